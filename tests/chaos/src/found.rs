//! What is found where messages end. Pure.

use lockgate::model::{Message, header};
use serde::Deserialize;

use crate::setting::DEAD;

/// A record of the topic of what is made, or of that of dead letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// Something was made of a message.
    Made {
        /// The id of the message that it was made of.
        source: String,
        /// Its own.
        id: String,
    },
    /// A dead letter.
    Dead {
        /// The id of the message.
        source: String,
        /// Why it is one.
        class: String,
    },
    /// Neither.
    Strange(String),
}

impl Found {
    /// What a message of either topic is.
    pub fn of(message: &Message) -> Self {
        #[derive(Deserialize)]
        struct Emitted {
            id: String,
        }
        let id = message.id.as_str().to_owned();
        if &*message.origin.partition.topic == DEAD {
            return match message.headers.text(header::CLASS) {
                Some(class) => Self::Dead { source: id, class: class.to_owned() },
                None => Self::Strange(format!("a dead letter {id} without a class")),
            };
        }
        match serde_json::from_slice(&message.payload) {
            Ok(Emitted { id: source }) => Self::Made { source, id },
            Err(error) => Self::Strange(format!("a message {id} that the plugin does not make: {error}")),
        }
    }
}
