//! What every client of librdkafka has: it logs into ours, and it remembers what last went wrong, for a call that comes
//! to nothing says only that it took too long.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::sync::Notify;

/// What went wrong last, and who waits for that.
#[derive(Default)]
pub(super) struct Trouble {
    last: Mutex<Option<String>>,
    /// Told of trouble.
    wake: Option<Arc<Notify>>,
}

impl Trouble {
    /// One whose trouble somebody waits for.
    pub(super) fn waking(wake: Arc<Notify>) -> Self {
        Self { last: Mutex::default(), wake: Some(wake) }
    }

    /// Takes what went wrong since it was last asked.
    pub(super) fn take(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What an error is about: its own words, and what went wrong before it where that says more.
    pub(super) fn explain(&self, error: &KafkaError) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (error.rdkafka_error_code(), last) {
            (Some(Code::OperationTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown), Some(last)) => last,
            (_, Some(last)) if error.rdkafka_error_code().is_none() => format!("{error}: {last}"),
            _ => plain(error),
        }
    }

    pub(super) fn note(&self, reason: &str) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        if let Some(wake) = &self.wake {
            wake.notify_one();
        }
    }
}

/// An error without the library's own name for the call.
pub(super) fn plain(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// The context of a client that needs none of its own.
#[derive(Default)]
pub(super) struct Plain {
    pub(super) trouble: Trouble,
}

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(&self.trouble, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        told(&self.trouble, &error, reason);
    }
}

impl ConsumerContext for Plain {}

/// A line of librdkafka's log. Lost connections and refused sign-ins are told there and nowhere else; they are said
/// once by whoever needs the broker, so that a broker that is away does not fill our log.
pub(super) fn log(trouble: &Trouble, level: RDKafkaLogLevel, facility: &str, message: &str) {
    let message = reason(message);
    match facility {
        "FAIL" | "ERROR" => {
            trouble.note(message);
            tracing::debug!(target: "lockgate::kafka", facility, "{message}");
        }
        _ => match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "lockgate::kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::info!(target: "lockgate::kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "lockgate::kafka", facility, "{message}");
            }
        },
    }
}

/// An error of a client as a whole. That all brokers are down says less than why.
pub(super) fn told(trouble: &Trouble, error: &KafkaError, reason_given: &str) {
    if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
        trouble.note(reason(reason_given));
    }
}

/// A log line without the thread that wrote it: `[thrd:…]: `.
fn reason(message: &str) -> &str {
    let without = message.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map(|(_, rest)| rest);
    without.unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_took_too_long_is_explained_by_what_went_wrong_before_it() {
        let trouble = Trouble::default();
        let late = KafkaError::MetadataFetch(Code::OperationTimedOut);
        assert!(trouble.explain(&late).contains("Timed out"), "{}", trouble.explain(&late));
        trouble.note("127.0.0.1:1: Connect failed: Connection refused");
        assert_eq!(trouble.explain(&late), "127.0.0.1:1: Connect failed: Connection refused");
        let other = KafkaError::MetadataFetch(Code::TopicAuthorizationFailed);
        assert!(trouble.explain(&other).contains("authorization"), "{}", trouble.explain(&other));
    }

    #[test]
    fn threads_are_left_out_of_reasons() {
        assert_eq!(reason("[thrd:localhost:9092/1]: localhost: down"), "localhost: down");
        assert_eq!(reason("plain"), "plain");
    }
}
