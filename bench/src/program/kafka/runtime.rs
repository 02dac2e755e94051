//! rdkafka's asynchronous clients on tokio. The library has the same behind a feature that the host does without, and
//! bench and host share one build of it.

use std::future::Future;
use std::time::Duration;

use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{DefaultConsumerContext, StreamConsumer};
use rdkafka::producer::FutureProducer;
use rdkafka::util::AsyncRuntime;
use tokio::time::{Sleep, sleep};

/// A consumer that is awaited.
pub(super) type Consumer<C = DefaultConsumerContext> = StreamConsumer<C, Tokio>;
/// A producer whose deliveries are awaited.
pub(super) type Producer = FutureProducer<DefaultClientContext, Tokio>;

/// The runtime of whoever makes a client.
pub(super) struct Tokio;

impl AsyncRuntime for Tokio {
    type Delay = Sleep;

    fn spawn<T: Future<Output = ()> + Send + 'static>(task: T) {
        drop(tokio::spawn(task));
    }

    fn delay_for(duration: Duration) -> Sleep {
        sleep(duration)
    }
}
