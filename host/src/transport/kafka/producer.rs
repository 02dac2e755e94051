//! Writes records, many at once; each is answered when all in-sync replicas have it. Shared by the sinks of a cluster.

use std::time::Duration;

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::oneshot;
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

/// A record that waits for its answer. Nothing comes when the producer is gone.
pub(super) type Pending = oneshot::Receiver<Delivered>;

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
    type DeliveryOpaque = Box<oneshot::Sender<Delivered>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Self::DeliveryOpaque) {
        let delivered = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        // Whoever asked may be gone.
        let _ = answer.send(delivered);
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

    /// Gives a record to the producer, in order; waits while its queue is full. Says what is wrong with the record.
    pub(super) async fn send(
        &self,
        topic: &str,
        record: &Record,
        partition: Option<u32>,
    ) -> Result<Result<Pending, KafkaError>, String> {
        let headers = headers(&record.headers)?;
        let (answer, pending) = oneshot::channel();
        let mut shaped: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(topic, Box::new(answer)).payload(&*record.payload);
        shaped.key = record.key.as_deref();
        shaped.partition = partition.map(number);
        shaped.headers = headers;
        loop {
            match self.0.send(shaped) {
                Ok(()) => return Ok(Ok(pending)),
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

/// Waits until a record is delivered, or is not.
pub(super) async fn delivered(pending: Pending) -> Delivered {
    pending.await.unwrap_or(Err(KafkaError::Canceled))
}
