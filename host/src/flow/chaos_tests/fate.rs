//! What the oracle knows of one message: where it stands, how it is to leave, which of its records are durable, and
//! what this life of the pipeline is doing with it.

use bytes::Bytes;
use tokio::time::Instant;

use super::script::{Ending, Made, Script, emission};
use crate::model::{Message, MessageId, Record, header};

/// The pipeline of every run.
pub(super) const PIPELINE: &str = "p";
/// Where dead letters go.
pub(super) const LETTERS: &str = "letters";

/// One record that a message may become.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) topic: &'static str,
    pub(super) id: MessageId,
    pub(super) payload: Bytes,
    pub(super) refused: bool,
    /// It has been written.
    pub(super) copy: Option<Copy>,
    /// The pipeline has been told so since the last verdict.
    pub(super) acked: bool,
}

/// A record in its topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    /// In which assignment of the message's partition it was written.
    pub(super) assignment: u64,
    /// The pipeline was told.
    pub(super) told: bool,
}

/// What the pipeline does with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doing {
    Nothing,
    Running {
        trial: bool,
    },
    BackingOff,
    Held,
    /// Between the verdict and the first write, or between writes.
    Publishing,
    Writing {
        again: bool,
    },
    /// A topic was unavailable.
    Stuck {
        since: Instant,
    },
}

#[derive(Debug)]
pub(super) struct Fate {
    pub(super) id: MessageId,
    pub(super) partition: u32,
    pub(super) position: i64,
    /// What it must not run beside.
    pub(super) lane: Option<String>,
    pub(super) key: Option<Bytes>,
    pub(super) script: Script,
    pub(super) ending: Ending,
    /// Its emissions that go to topics, in list order, then its dead letter.
    pub(super) planned: Vec<Planned>,
    /// Calls over all lives.
    pub(super) calls: u32,
    /// Holds over all lives.
    pub(super) held: u32,
    pub(super) doing: Doing,
    /// The call that is the last so far, over all messages.
    pub(super) run: u64,
    /// The assignment in which it was called last.
    pub(super) assignment: u64,
    /// Failed attempts in that assignment.
    pub(super) failed: u32,
    /// It had its last verdict, in this assignment and ever.
    pub(super) judged: bool,
    pub(super) ever_judged: bool,
    /// The assignment in which the pipeline knew it settled.
    pub(super) settled: Option<u64>,
}

impl Fate {
    pub(super) fn new(message: &Message, lane: Option<String>, script: Script, attempts: u32) -> Self {
        let planned = |(place, ordinal, made): (usize, u32, Made)| Planned {
            topic: made.output,
            id: MessageId::of_emission(&message.id, PIPELINE, made.output, ordinal),
            payload: emission(message, place, made).payload,
            refused: made.refused,
            copy: None,
            acked: false,
        };
        let emissions = script.to_topics().map(planned);
        let (id, payload) = (message.id.clone(), message.payload.clone());
        let letter = Planned { topic: LETTERS, id, payload, refused: false, copy: None, acked: false };
        Self {
            planned: emissions.chain([letter]).collect(),
            id: message.id.clone(),
            partition: message.origin.partition.index,
            position: message.origin.position.0,
            lane,
            key: message.key.clone(),
            ending: script.ending(attempts),
            script,
            calls: 0,
            held: 0,
            doing: Doing::Nothing,
            run: 0,
            assignment: 0,
            failed: 0,
            judged: false,
            ever_judged: false,
            settled: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.partition, self.position)
    }

    pub(super) fn is_letter(&self, index: usize) -> bool {
        index + 1 == self.planned.len()
    }

    /// Records that must be durable before the message settles.
    pub(super) fn required(&self) -> impl Iterator<Item = &Planned> {
        let (emissions, letter) = match self.ending {
            Ending::Emitted => (true, false),
            Ending::Skipped => (false, false),
            Ending::Dead { class: "rejected", .. } => (true, true),
            Ending::Dead { .. } => (false, true),
        };
        let counts = move |index: usize| if self.is_letter(index) { letter } else { emissions };
        self.planned
            .iter()
            .enumerate()
            .filter(move |(index, planned)| counts(*index) && !planned.refused)
            .map(|(_, it)| it)
    }

    /// Whether this record may be written at all.
    pub(super) fn may_become(&self, index: usize) -> bool {
        match self.ending {
            Ending::Emitted => !self.is_letter(index),
            Ending::Skipped => false,
            Ending::Dead { class: "rejected" | "refused", .. } => true,
            Ending::Dead { .. } => self.is_letter(index),
        }
    }

    /// It has left, as it was to.
    pub(super) fn has_left(&self) -> bool {
        self.ever_judged && self.required().all(|planned| planned.copy.is_some())
    }

    /// What is wrong with a record that is to be written for it.
    pub(super) fn fault_of(&self, index: usize, record: &Record) -> Option<String> {
        let planned = &self.planned[index];
        if record.payload != planned.payload || record.key != self.key {
            return Some("key or payload of the record are not what they were".into());
        }
        let Ending::Dead { class, code } = self.ending else { return None };
        let said = (record.headers.text(header::CLASS), record.headers.text(header::CODE));
        (self.is_letter(index) && said != (Some(class), Some(code))).then(|| format!("the letter says {said:?}"))
    }
}
