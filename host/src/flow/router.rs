//! From emissions to durable records. Keeps no state of its own: what is not written yet travels in [`Pending`], so
//! that an unavailable topic costs no message.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::spill::{Spill, Spiller};
use crate::model::header;
use crate::model::{Emission, Headers, Message, MessageId, Record};
use crate::transport::{Sink, WriteError, Written};

/// Where an output goes.
#[derive(Clone)]
pub enum Route {
    /// Into a topic.
    Topic(Arc<dyn Sink>),
    /// Nowhere.
    Discard,
}

/// The outputs of one pipeline.
pub struct Router {
    /// The pipeline's name.
    pub pipeline: Arc<str>,
    /// By the plugin's name for them.
    pub outputs: BTreeMap<String, Route>,
    /// Where dead letters go.
    pub dead_letter: Arc<dyn Sink>,
    /// Where parked messages go; a pipeline that parks has it.
    pub retry: Option<Arc<dyn Sink>>,
    /// Where goes what these topics refuse of a record that has nowhere else to go.
    pub spill: Option<Arc<dyn Spill>>,
}

/// Records that are not durable yet, in the order in which they become so.
#[derive(Default)]
pub struct Pending(VecDeque<Step>);

struct Step {
    sink: Arc<dyn Sink>,
    record: Record,
    kind: Kind,
    /// Makes the record smaller when it is refused; emissions have none.
    spiller: Option<Spiller>,
}

/// What becomes of a record that was refused.
enum Refusal {
    /// It is smaller now: at once again.
    Smaller,
    /// Its store cannot take what is to go, for this reason.
    NotNow(String),
    /// It stays refused, for this reason.
    Lasting(String),
}

impl Step {
    /// Takes out of the record what is to go elsewhere.
    async fn shrink(&mut self, reason: String) -> Refusal {
        let help = "with a store as `dead_letter.spill`, what is too large goes there";
        let Some(spiller) = &self.spiller else {
            return Refusal::Lasting(if self.kind == Kind::Emission { reason } else { format!("{reason}; {help}") });
        };
        match spiller.shrink(&self.record).await {
            Ok(Some(smaller)) => {
                self.record = smaller;
                Refusal::Smaller
            }
            Ok(None) => Refusal::Lasting(format!("{reason}; nothing more of it can be spilled")),
            Err(error) => Refusal::NotNow(format!("{reason}; and its store: {error}")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Emission,
    Parked,
    Letter,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Emission => "an emission",
            Self::Parked => "a parked message",
            Self::Letter => "a dead letter",
        }
    }
}

/// How far writing got.
pub enum Publication {
    /// Everything is durable.
    Durable,
    /// Some is not: again later.
    Unavailable {
        /// What is left.
        rest: Pending,
        /// What failed.
        reason: String,
    },
    /// A topic will never take one of the records. Those before it stand.
    Refused {
        /// What is left without it.
        rest: Pending,
        /// What the topic says.
        reason: String,
    },
}

impl Router {
    /// The records of a message's emissions. Each gets its own id, which a repeated run gives it again, and the trace
    /// and the origin of the message that it came from.
    pub fn emissions(&self, message: &Message, emit: Vec<Emission>) -> Pending {
        // The number of each among those of its output; most messages emit one.
        let mut ordinals: BTreeMap<String, u32> = BTreeMap::new();
        let is_alone = emit.len() == 1;
        let mut pending = Pending::default();
        for emission in emit {
            let ordinal = if is_alone { 0 } else { next(&mut ordinals, &emission.output) };
            let id = MessageId::of_emission(&message.id, &self.pipeline, &emission.output, ordinal);
            if let Some(Route::Topic(sink)) = self.outputs.get(&emission.output) {
                let headers = headers(message, &id, emission.headers);
                let record = Record { key: emission.key, headers, payload: emission.payload, partition: None };
                let kind = Kind::Emission;
                pending.0.push_back(Step { sink: sink.clone(), record, kind, spiller: None });
            }
        }
        pending
    }

    /// The record of a message that is parked, made for so many partitions. None when there is no retry topic.
    pub fn parked(&self, record: impl FnOnce(u32) -> Record) -> Option<Pending> {
        let sink = self.retry.clone()?;
        let record = record(sink.partitions());
        Some(Pending([Step { sink, record, kind: Kind::Parked, spiller: self.spiller() }].into()))
    }

    /// Adds a dead letter behind what is pending.
    pub fn letter(&self, mut pending: Pending, record: Record) -> Pending {
        let spiller = self.spiller();
        pending.0.push_back(Step { sink: self.dead_letter.clone(), record, kind: Kind::Letter, spiller });
        pending
    }

    fn spiller(&self) -> Option<Spiller> {
        Some(Spiller { pipeline: self.pipeline.clone(), spill: self.spill.clone()? })
    }
}

impl Pending {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left weighs so many bytes.
    pub fn size(&self) -> u64 {
        self.0.iter().map(|step| step.record.size()).sum()
    }

    /// Writes what is pending, runs of one topic together. A dead letter that is refused gives what is too large of it
    /// to a store and is written again; when that does not help it counts as unavailable: there is nowhere else to go,
    /// and nothing is skipped.
    pub async fn write(mut self) -> Publication {
        while let Some((sink, kind)) = self.0.front().map(|step| (step.sink.clone(), step.kind)) {
            let same = |step: &Step| Arc::ptr_eq(&step.sink, &sink) && step.kind == kind;
            let run = self.0.iter().take_while(|step| same(step)).count();
            let records = self.0.iter().take(run).map(|step| step.record.clone()).collect();
            let answers = sink.write(records).await;
            let steps: Vec<Step> = self.0.drain(..run).collect();
            let Unwritten { unavailable, refused } = self.take_back(steps, answers).await;
            match (refused, unavailable) {
                (Some(reason), _) => return Publication::Refused { rest: self, reason },
                (None, Some(reason)) => return Publication::Unavailable { rest: self, reason },
                (None, None) => {}
            }
        }
        Publication::Durable
    }

    /// Puts back in front what may still be written. A record without an answer was not written.
    async fn take_back(&mut self, steps: Vec<Step>, answers: Vec<Result<Option<Written>, WriteError>>) -> Unwritten {
        let mut unwritten = Unwritten::default();
        let answers = answers.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let mut left = VecDeque::new();
        for (mut step, answer) in steps.into_iter().zip(answers) {
            let reason = match answer {
                Some(Ok(_)) => continue,
                Some(Err(WriteError::Refused { topic, reason })) => {
                    let reason = format!("topic {topic} refuses {}: {reason}", step.kind.as_str());
                    match step.shrink(reason).await {
                        Refusal::Smaller => None,
                        Refusal::Lasting(reason) if step.kind != Kind::Letter => {
                            unwritten.refused.get_or_insert(reason);
                            continue;
                        }
                        Refusal::Lasting(reason) | Refusal::NotNow(reason) => Some(reason),
                    }
                }
                Some(Err(error)) => Some(error.to_string()),
                None => Some("the sink gave no answer".to_owned()),
            };
            if let Some(reason) = reason {
                unwritten.unavailable.get_or_insert(reason);
            }
            left.push_back(step);
        }
        left.append(&mut self.0);
        self.0 = left;
        unwritten
    }
}

/// Why records of one run were not written.
#[derive(Default)]
struct Unwritten {
    unavailable: Option<String>,
    refused: Option<String>,
}

fn next(ordinals: &mut BTreeMap<String, u32>, output: &str) -> u32 {
    let next = ordinals.entry(output.to_owned()).or_default();
    *next += 1;
    *next - 1
}

fn headers(message: &Message, id: &MessageId, mut headers: Headers) -> Headers {
    headers.set(header::ID, id.as_str().to_owned());
    headers.set(header::ORIGIN_MS, message.origin_ms().to_string());
    if let (None, Some(parent)) = (headers.get(header::TRACE_PARENT), message.headers.get(header::TRACE_PARENT)) {
        headers.push(header::TRACE_PARENT, parent.clone());
    }
    headers
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
