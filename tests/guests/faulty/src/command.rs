//! What a message can say.

use lockgate_plugin::{Message, json};
use serde::Deserialize;

/// A command: the payload as JSON, such as `{"do":"emit","count":3}`. A header `do` goes before it, as JSON or as the
/// bare word of a command without fields, so that the payload may be anything.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Command {
    /// What to do.
    #[serde(flatten)]
    pub act: Act,
    /// Only on the first so many attempts; afterwards one emission and `done`.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What to do. Fields with a default may be left out.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Act {
    /// Processed, and nothing published.
    Done,
    /// Deliberately dropped.
    Skip {
        /// Counted by this.
        #[serde(default = "words::asked")]
        reason: String,
    },
    /// Failed for now. With `times`, it succeeds in the end.
    #[serde(alias = "retry-n-times")]
    Retry {
        /// Milliseconds to wait at least.
        after: Option<u64>,
        /// What failed.
        #[serde(default = "words::asked")]
        reason: String,
    },
    /// Never.
    Reject {
        /// The word to count by.
        #[serde(default = "words::asked")]
        code: String,
        /// What is wrong.
        #[serde(default = "words::asked")]
        reason: String,
        /// Emissions to publish with it.
        #[serde(default)]
        count: u32,
    },
    /// Holds the pipeline.
    Hold {
        /// Milliseconds to wait at least.
        after: Option<u64>,
        /// What is down.
        #[serde(default = "words::asked")]
        reason: String,
    },
    /// Holds the pipeline until the host's clock shows this.
    HoldUntil {
        /// Milliseconds since the Unix epoch.
        at: u64,
    },
    /// Holds the pipeline until a blob stands there.
    HoldUntilBlob {
        /// The store.
        store: String,
        /// The path.
        path: String,
    },
    /// Publishes, with the message's own key, `{"id":…,"ordinal":…,"attempt":…,"filling":…}`.
    Emit {
        /// So many.
        #[serde(default = "words::one")]
        count: u32,
        /// Where to, if not the first output.
        output: Option<String>,
        /// Bytes of filling in each.
        #[serde(default)]
        bytes: usize,
    },
    /// Publishes to an output that is not bound.
    UnknownOutput,
    /// Publishes with a header that is the host's.
    ReservedHeader,
    /// An instruction that traps.
    Trap,
    /// Panics.
    Panic {
        /// With this text.
        #[serde(default = "words::asked")]
        text: String,
    },
    /// Ends the process.
    Exit,
    /// Computes for good.
    Spin,
    /// Computes for a while.
    Busy {
        /// For so many milliseconds of the host's clock.
        ms: u64,
    },
    /// Calls itself until the stack ends.
    Recurse,
    /// Takes memory.
    Allocate {
        /// So many bytes; for good where absent.
        bytes: Option<u64>,
    },
    /// Waits on nothing.
    WaitForever,
    /// Waits as it should.
    Slow {
        /// For so many milliseconds.
        ms: u64,
    },
    /// Waits as it should not: it blocks.
    Block {
        /// For so many milliseconds.
        ms: u64,
    },
    /// Writes many lines.
    LogFlood {
        /// So many.
        #[serde(default = "words::many")]
        lines: u32,
        /// So long each.
        #[serde(default)]
        bytes: usize,
    },
    /// Prints to standard output and error.
    Print {
        /// This text.
        text: String,
    },
    /// Asks for something by HTTP and publishes status, size and where it came from.
    Fetch {
        /// The endpoint.
        endpoint: String,
        /// Path or URL.
        target: String,
        /// Bytes to take at most.
        #[serde(default = "words::mebibyte")]
        max: u32,
    },
    /// Streams something from HTTP into a store and publishes what stands there.
    Store {
        /// The endpoint.
        endpoint: String,
        /// Path or URL.
        target: String,
        /// The store.
        store: String,
        /// The path.
        path: String,
    },
    /// Puts a text into a store.
    Put {
        /// The store.
        store: String,
        /// The path.
        path: String,
        /// The text.
        text: String,
    },
}

impl Command {
    /// The command of a message.
    pub fn of(message: &Message) -> Result<Self, json::Error> {
        match message.header("do") {
            None => message.json(),
            Some(said) if said.trim_start().starts_with('{') => json::parse(said.as_bytes()),
            Some(word) => json::parse(serde_json::json!({ "do": word }).to_string().as_bytes()),
        }
    }
}

/// What stands where nothing was said.
mod words {
    pub(super) fn asked() -> String {
        "asked".into()
    }

    pub(super) fn one() -> u32 {
        1
    }

    pub(super) fn many() -> u32 {
        10_000
    }

    pub(super) fn mebibyte() -> u32 {
        1 << 20
    }
}
