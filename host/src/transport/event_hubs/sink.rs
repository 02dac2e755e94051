//! Writes to one hub, in batches. A batch has one destination: a partition that was chosen, a partition key, or whatever
//! partition the service takes. Batches of one write with the same one go one after another, so that what is tried again
//! does not overtake; all others go beside each other. What several write at once goes together, but for partition keys:
//! there are too many. The service does not say where an event stands.
//!
//! | a record | goes to |
//! |---|---|
//! | with a chosen partition | that one |
//! | with a key | the partition that the service's own hash gives its partition key, as from every other client |
//! | else | the partition whose turn it is, batch by batch |

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{StreamExt, iter};
use futures::{FutureExt, TryFutureExt};
use tokio::sync::{OnceCell, RwLock, watch};
use tokio::time::{Instant, sleep_until};

use super::Namespace;
use super::batches::{Item, batches, by_lane};
use super::client::{Failure, Sender};
use super::gather::{Answers, Gather};
use super::message::{Encoded, event, partition_key};
use crate::model::Record;
use crate::transport::{Sink, WriteError, Written};

/// Batches of one write that are on their way at once; the others wait.
const AT_ONCE: usize = 64;

pub(super) struct HubSink {
    hub: Arc<Sending>,
    /// What is under way by destination: to the hub, and to each partition that is chosen.
    gathers: Mutex<HashMap<Option<u32>, Arc<Gather<Encoded>>>>,
}

/// What sends to one hub.
struct Sending {
    namespace: Arc<Namespace>,
    /// The topic's name in the spec.
    topic: Arc<str>,
    /// The topic's name in the namespace.
    hub: String,
    partitions: u32,
    /// Links by destination, opened when they are first needed: one to the hub, and one to each partition that is chosen.
    senders: Mutex<HashMap<Option<u32>, Slot>>,
    /// Until when the service asked to be left alone.
    busy_until: watch::Sender<Instant>,
    /// Bytes that the service takes at once, as far as it has refused more that the link allows.
    together: AtomicUsize,
    /// Held to send beside others; wholly, to send what the service may not take at all.
    alone: RwLock<()>,
}

/// What decides where a record goes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Lane {
    Chosen(u32),
    /// A partition key.
    OfKey(String),
    Any,
}

impl Lane {
    fn partition(&self) -> Option<u32> {
        match self {
            Self::Chosen(partition) => Some(*partition),
            Self::OfKey(_) | Self::Any => None,
        }
    }

    fn key(&self) -> Option<&str> {
        match self {
            Self::OfKey(key) => Some(key),
            Self::Chosen(_) | Self::Any => None,
        }
    }
}

/// A link, once it is open.
type Slot = Arc<OnceCell<Arc<Sender>>>;

impl HubSink {
    /// Of a hub that is there, and has so many partitions.
    pub(super) fn new(namespace: Arc<Namespace>, topic: &str, partitions: u32) -> Self {
        let hub = Sending {
            hub: namespace.hub(topic),
            topic: topic.into(),
            partitions,
            senders: Mutex::default(),
            busy_until: watch::Sender::new(namespace.clock.now()),
            together: AtomicUsize::new(usize::MAX),
            alone: RwLock::default(),
            namespace,
        };
        Self { hub: Arc::new(hub), gathers: Mutex::default() }
    }

    /// Writes what has one destination, together with what others write there.
    async fn write_lane(&self, lane: Lane, items: Vec<Item<Encoded>>) -> Answers {
        match lane {
            // By itself on the heap: it is large, and what goes together with others has no need of it.
            Lane::OfKey(_) => self.hub.write_lane(&lane, items).boxed().await,
            Lane::Any | Lane::Chosen(_) => self.gather(&lane).send(items).await,
        }
    }

    fn gather(&self, lane: &Lane) -> Arc<Gather<Encoded>> {
        let mut gathers = self.gathers.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || {
            let (hub, lane) = (self.hub.clone(), lane.clone());
            let send = move |items| {
                let (hub, lane) = (hub.clone(), lane.clone());
                async move { hub.write_lane(&lane, items).await }.boxed()
            };
            Arc::new(Gather::new(AT_ONCE, Box::new(send)))
        };
        gathers.entry(lane.partition()).or_insert_with(open).clone()
    }
}

impl Sending {
    fn place(&self, record: &Record) -> Result<(Lane, Encoded), WriteError> {
        let lane = self.lane(record)?;
        let event = event(record, lane.key()).map_err(|error| self.refused(format!("it is no event: {error}")))?;
        Ok((lane, event))
    }

    fn lane(&self, record: &Record) -> Result<Lane, WriteError> {
        match (record.partition, &record.key) {
            (Some(chosen), _) if chosen < self.partitions => Ok(Lane::Chosen(chosen)),
            (Some(chosen), _) => Err(self.refused(format!("there is no partition {chosen}, only {}", self.partitions))),
            (None, Some(key)) => Ok(Lane::OfKey(partition_key(key))),
            (None, None) => Ok(Lane::Any),
        }
    }

    /// Writes what has one destination. Where the order does not matter, batches go beside each other.
    async fn write_lane(&self, lane: &Lane, items: Vec<Item<Encoded>>) -> Answers {
        let sender = match self.sender(lane.partition()).await {
            Ok(sender) => sender,
            Err(failure) => {
                let error = self.failed(&failure);
                return items.into_iter().map(|item| (item.index, Err(error.clone()))).collect();
            }
        };
        let limit = sender.limit();
        let (batches, too_large) = batches(items, limit, self.together.load(Ordering::Relaxed));
        let mut answers: Answers =
            too_large.iter().map(|item| (item.index, Err(self.too_large(item.size, limit)))).collect();
        if *lane == Lane::Any {
            let sent = iter(batches).map(|batch| self.send(&sender, lane, batch)).buffer_unordered(AT_ONCE);
            answers.extend(sent.collect::<Vec<Answers>>().await.into_iter().flatten());
            return answers;
        }
        let mut broken: Option<WriteError> = None;
        for batch in batches {
            match &broken {
                // It would come to stand before what is tried again.
                Some(error) => answers.extend(batch.into_iter().map(|item| (item.index, Err(error.clone())))),
                None => {
                    let sent = self.send(&sender, lane, batch).await;
                    let error = sent.iter().find_map(|(_, answer)| answer.as_ref().err());
                    broken = error.filter(|error| matches!(error, WriteError::Unavailable { .. })).cloned();
                    answers.extend(sent);
                }
            }
        }
        answers
    }

    /// Sends one batch, once the service may be asked again.
    async fn send(&self, sender: &Sender, lane: &Lane, batch: Vec<Item<Encoded>>) -> Answers {
        let busy_until = *self.busy_until.borrow();
        sleep_until(busy_until).await;
        let (indexes, size) = (
            batch.iter().map(|item| item.index).collect::<Vec<_>>(),
            batch.iter().map(|item| item.size).sum::<usize>(),
        );
        let events: Vec<Encoded> = batch.into_iter().map(|item| item.event).collect();
        let only = (events.len() == 1).then(|| events.clone());
        let sent = {
            let _beside = self.alone.read().await;
            sender.send(events, lane.key()).await
        };
        let sent = match (sent, only) {
            // It was not too large by what the link said, and a link that ends so ends for all that are on their way.
            (Err(Failure::TooLarge(_)), Some(only)) => {
                let _alone = self.alone.write().await;
                sender.send(only, lane.key()).await
            }
            (sent, _) => sent,
        };
        let answer = match sent {
            Ok(()) => Ok(()),
            Err(Failure::TooLarge(_)) if indexes.len() == 1 => Err(self.too_large(size, sender.limit())),
            Err(failure) => {
                if matches!(failure, Failure::TooLarge(_)) {
                    self.together.fetch_min(size / 2, Ordering::Relaxed);
                }
                Err(self.failed(&failure))
            }
        };
        indexes.into_iter().map(|index| (index, answer.clone())).collect()
    }

    /// The link to a destination.
    async fn sender(&self, partition: Option<u32>) -> Result<Arc<Sender>, Failure> {
        let slot = {
            let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            senders.entry(partition).or_default().clone()
        };
        let open = || self.namespace.client.sender(&self.hub, partition).map_ok(Arc::new).boxed();
        slot.get_or_try_init(open).await.cloned()
    }

    /// What a failure means for what was to be written: that it can be later, however long that may take.
    fn failed(&self, failure: &Failure) -> WriteError {
        if let Some(after) = failure.after() {
            let until = self.namespace.clock.now() + after;
            self.busy_until.send_if_modified(|busy_until| {
                let is_later = until > *busy_until;
                *busy_until = until.max(*busy_until);
                is_later
            });
        }
        WriteError::Unavailable { topic: self.topic.clone(), reason: failure.to_string() }
    }

    fn too_large(&self, size: usize, limit: usize) -> WriteError {
        self.refused(format!("it has {size} bytes with all around it, more than the {limit} that the hub takes"))
    }

    fn refused(&self, reason: String) -> WriteError {
        WriteError::Refused { topic: self.topic.clone(), reason }
    }
}

#[async_trait]
impl Sink for HubSink {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let mut answers: Vec<Option<Result<(), WriteError>>> = vec![None; records.len()];
        let placed = records.iter().zip(&mut answers).enumerate().filter_map(|(index, (record, answer))| {
            match self.hub.place(record) {
                Ok((lane, event)) => Some((lane, Item { index, size: event.len(), event })),
                Err(error) => {
                    *answer = Some(Err(error));
                    None
                }
            }
        });
        let lanes = by_lane(placed);
        let written = iter(lanes).map(|(lane, items)| self.write_lane(lane, items)).buffer_unordered(AT_ONCE);
        for (index, answer) in written.collect::<Vec<Answers>>().await.into_iter().flatten() {
            answers.iter_mut().skip(index).take(1).for_each(|slot| *slot = Some(answer.clone()));
        }
        // Each has one: it was placed, or refused.
        let unanswered =
            || WriteError::Unavailable { topic: self.hub.topic.clone(), reason: "it was not tried".to_owned() };
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(unanswered())).map(|()| None)).collect()
    }

    fn partitions(&self) -> u32 {
        self.hub.partitions
    }
}
