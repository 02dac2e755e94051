//! What the oracle knows of one message in one place: where it stands, how it is to leave, which of its records are
//! durable, and what this life of the pipeline is doing with it. A record that it is parked as is a place of its own.

use bytes::Bytes;
use tokio::time::Instant;

use super::script::{Ending, Made, PLACE, Rounds, Script, emission};
use crate::model::{Message, MessageId, Partition, Position, Record, header};

/// The pipeline of every run.
pub(super) const PIPELINE: &str = "p";
/// Where dead letters go.
pub(super) const LETTERS: &str = "letters";
/// Where parked messages stand.
pub(super) const RETRY: &str = "retry";

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
    pub(super) partition: Partition,
    pub(super) position: i64,
    /// What it must not run beside.
    pub(super) lane: Option<String>,
    pub(super) key: Option<Bytes>,
    pub(super) script: Script,
    pub(super) ending: Ending,
    /// Rounds and attempts that failed before, the last attempt of this round, and what may follow.
    pub(super) rounds: u32,
    pub(super) before: u32,
    pub(super) last: u32,
    pub(super) policy: Rounds,
    /// Parked until then.
    pub(super) due: Option<Instant>,
    /// Its emissions that go to topics, in list order, then what it is parked as, then its dead letter.
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
    /// The retry topic refused it, once.
    pub(super) park_refused: bool,
    /// The assignment in which the pipeline knew it settled.
    pub(super) settled: Option<u64>,
}

impl Fate {
    pub(super) fn new(message: &Message, lane: Option<String>, script: Script, policy: Rounds) -> Self {
        let planned = |(place, ordinal, made): (usize, u32, Made)| Planned {
            topic: made.output,
            id: MessageId::of_emission(&message.id, PIPELINE, made.output, ordinal),
            payload: emission(message, place, made).payload,
            refused: made.refused,
            copy: None,
            acked: false,
        };
        let emissions = script.to_topics().map(planned);
        let whole = |topic| {
            let (id, payload) = (message.id.clone(), message.payload.clone());
            Planned { topic, id, payload, refused: false, copy: None, acked: false }
        };
        let (last, ending) = script.round(0, 0, &policy);
        Self {
            planned: emissions.chain([whole(RETRY), whole(LETTERS)]).collect(),
            id: message.id.clone(),
            partition: message.origin.partition.clone(),
            position: message.origin.position.0,
            lane,
            key: message.key.clone(),
            ending,
            rounds: 0,
            before: 0,
            last,
            policy,
            due: None,
            script,
            calls: 0,
            held: 0,
            doing: Doing::Nothing,
            run: 0,
            assignment: 0,
            failed: 0,
            judged: false,
            ever_judged: false,
            park_refused: false,
            settled: None,
        }
    }

    /// What stands in the retry topic of it, for its next round.
    pub(super) fn parked(&self, partition: Partition, position: Position) -> Self {
        let Ending::Parked { step } = self.ending else { unreachable!("{} is not to be parked", self.name()) };
        let blank = |planned: &Planned| Planned {
            topic: planned.topic,
            id: planned.id.clone(),
            payload: planned.payload.clone(),
            refused: planned.refused,
            copy: None,
            acked: false,
        };
        let (rounds, before, policy) = (self.rounds + 1, self.last, self.policy.clone());
        let (last, ending) = self.script.round(rounds, before, &policy);
        Self {
            id: self.id.clone(),
            partition,
            position: position.0,
            lane: self.lane.clone(),
            key: self.key.clone(),
            script: self.script.clone(),
            ending,
            rounds,
            before,
            last,
            due: Some(Instant::now() + policy.delays[step]),
            policy,
            planned: self.planned.iter().map(blank).collect(),
            calls: 0,
            held: self.held,
            doing: Doing::Nothing,
            run: 0,
            assignment: 0,
            failed: 0,
            judged: false,
            ever_judged: false,
            park_refused: false,
            settled: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.partition, self.position)
    }

    pub(super) fn is_parked(&self, index: usize) -> bool {
        index + 2 == self.planned.len()
    }

    pub(super) fn is_letter(&self, index: usize) -> bool {
        index + 1 == self.planned.len()
    }

    /// Whether enough of its records are what they must be before the message settles. What is to be parked may become
    /// a letter instead when the retry topic refuses it.
    pub(super) fn is_enough(&self, is: impl Fn(&Planned) -> bool) -> bool {
        match self.ending {
            Ending::Parked { .. } => self.planned[self.planned.len() - 2..].iter().any(is),
            _ => self.required().all(is),
        }
    }

    fn required(&self) -> impl Iterator<Item = &Planned> {
        let (emissions, letter) = match self.ending {
            Ending::Emitted => (true, false),
            Ending::Skipped | Ending::Parked { .. } => (false, false),
            Ending::Dead { class: "rejected", .. } => (true, true),
            Ending::Dead { .. } => (false, true),
        };
        let counts = move |index: usize| match () {
            () if self.is_letter(index) => letter,
            () if self.is_parked(index) => false,
            () => emissions,
        };
        self.planned
            .iter()
            .enumerate()
            .filter(move |(index, planned)| counts(*index) && !planned.refused)
            .map(|(_, it)| it)
    }

    /// Whether this record may be written at all.
    pub(super) fn may_become(&self, index: usize) -> bool {
        match self.ending {
            Ending::Parked { .. } => self.is_parked(index) || self.is_letter(index) && self.park_refused,
            _ if self.is_parked(index) => false,
            Ending::Emitted => !self.is_letter(index),
            Ending::Skipped => false,
            Ending::Dead { class: "rejected" | "refused", .. } => true,
            Ending::Dead { .. } => self.is_letter(index),
        }
    }

    /// It has left, as it was to.
    pub(super) fn has_left(&self) -> bool {
        self.ever_judged && self.is_enough(|planned| planned.copy.is_some())
    }

    /// What is wrong with a record that is to be written for it.
    pub(super) fn fault_of(&self, index: usize, record: &Record) -> Option<String> {
        let planned = &self.planned[index];
        if record.payload != planned.payload || record.key != self.key {
            return Some("key or payload of the record are not what they were".into());
        }
        let (class, code) = match self.ending {
            Ending::Dead { class, code } => (class, code),
            Ending::Parked { step } if self.is_parked(index) => return self.fault_of_parked(step, record),
            Ending::Parked { .. } => ("refused", "refused"),
            Ending::Emitted | Ending::Skipped => return None,
        };
        let said = (record.headers.text(header::CLASS), record.headers.text(header::CODE));
        (self.is_letter(index) && said != (Some(class), Some(code))).then(|| format!("the letter says {said:?}"))
    }

    fn fault_of_parked(&self, step: usize, record: &Record) -> Option<String> {
        let said = [header::FOR, header::ROUNDS, header::ATTEMPTS, header::DELAY_MS]
            .map(|name| record.headers.text(name).map(str::to_owned));
        let millis = self.policy.delays[step].as_millis().to_string();
        let is = [PIPELINE.to_owned(), (self.rounds + 1).to_string(), self.last.to_string(), millis].map(Some);
        let class = record.partition.map(|partition| partition as usize % self.policy.delays.len());
        (said != is || class != Some(step)).then(|| format!("it is parked as {said:?} in {:?}", record.partition))
    }

    /// The number of the place that a record or message says it comes from; none for one that was never parked.
    pub(super) fn place(headers: &crate::model::Headers) -> Option<usize> {
        headers.text(PLACE)?.parse().ok()
    }
}
