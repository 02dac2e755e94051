//! Writes records, many at once; each is answered when all in-sync replicas have it. Shared by the sinks of a cluster. What
//! is written together is answered together, by one wake-up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::client::{self, Trouble};
use super::message::headers;
use super::native::Elsewhere;
use super::topics::number;
use crate::model::Record;

/// The wait while the producer's queue is full.
const FULL: Duration = Duration::from_millis(5);

pub(super) struct Producer(Elsewhere<ThreadedProducer<Context>>);

/// How a record ended: its partition and offset.
pub(super) type Delivered = Result<(i32, i64), KafkaError>;

/// The answers to records that are written together.
pub(super) struct Answers(Arc<Awaited>);

struct Awaited {
    delivered: Mutex<Vec<Option<Delivered>>>,
    /// Answers that are still to come, and one more until they are waited for.
    left: AtomicUsize,
    complete: Notify,
}

/// The place of a record's answer. Where it is dropped without one, nothing is known.
pub(super) struct Answer {
    awaited: Arc<Awaited>,
    index: usize,
    delivered: Option<Delivered>,
}

impl Answers {
    /// To so many records.
    pub(super) fn new(records: usize) -> Self {
        let delivered = Mutex::new(vec![None; records]);
        Self(Arc::new(Awaited { delivered, left: AtomicUsize::new(1), complete: Notify::new() }))
    }

    /// The place of one of them.
    fn place(&self, index: usize) -> Box<Answer> {
        self.0.left.fetch_add(1, Ordering::AcqRel);
        Box::new(Answer { awaited: self.0.clone(), index, delivered: None })
    }

    /// Waits for all that are to come; of records that were not sent there is none.
    pub(super) async fn all(self) -> Vec<Option<Delivered>> {
        if self.0.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            self.0.complete.notified().await;
        }
        std::mem::take(&mut *self.0.lock())
    }
}

impl Awaited {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Delivered>>> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(place) = self.awaited.lock().get_mut(self.index) {
            *place = self.delivered.take();
        }
        if self.awaited.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.awaited.complete.notify_one();
        }
    }
}

struct Context {
    trouble: Trouble,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(&self.trouble, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::told(&self.trouble, &error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = Box<Answer>;

    fn delivery(&self, result: &DeliveryResult<'_>, mut answer: Self::DeliveryOpaque) {
        answer.delivered = Some(match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        });
    }
}

impl Producer {
    pub(super) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let client = ThreadedProducer::from_config_and_context(config, Context { trouble: Trouble::default() })?;
        Ok(Self(Elsewhere::new(client)))
    }

    /// Whether it met an error after which it writes nothing any more.
    pub(super) fn is_dead(&self) -> bool {
        self.0.client().fatal_error().is_some()
    }

    /// Has it meet such an error.
    #[cfg(test)]
    pub(super) fn die(&self) {
        super::native::fail_fatally(self.0.client());
    }

    /// Gives a record to the producer, in order; waits while its queue is full. Says what is wrong with the record. When
    /// it is taken, the answer at this index is to come.
    pub(super) async fn send(
        &self,
        topic: &str,
        record: &Record,
        (answers, index): (&Answers, usize),
    ) -> Result<Result<(), KafkaError>, String> {
        let headers = headers(&record.headers)?;
        let mut shaped: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(topic, answers.place(index)).payload(&*record.payload);
        shaped.key = record.key.as_deref();
        shaped.partition = record.partition.map(number);
        shaped.headers = headers;
        loop {
            match self.0.send(shaped) {
                Ok(()) => return Ok(Ok(())),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    shaped = back;
                    sleep(FULL).await;
                }
                Err((error, _)) => return Ok(Err(error)),
            }
        }
    }

    /// Why an error came, as far as the client knows.
    pub(super) fn explain(&self, error: &KafkaError) -> String {
        let client = self.0.client();
        match client.fatal_error() {
            Some((_, reason)) => reason,
            // That it took too long says less than what kept it.
            None if error.rdkafka_error_code() == Some(Code::MessageTimedOut) => {
                client.context().trouble.explain(&KafkaError::MessageProduction(Code::OperationTimedOut))
            }
            None => client.context().trouble.explain(error),
        }
    }
}
