//! Sends batches to a hub or to one of its partitions. A link is attached when it is needed, and again after it ended;
//! a batch is never sent twice by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fe2o3_amqp::Sender as Amqp;
use fe2o3_amqp::link::SendError;
use fe2o3_amqp::link::delivery::{DeliveryFut, Sendable};
use fe2o3_amqp_types::messaging::annotations::OwnedKey;
use fe2o3_amqp_types::messaging::{Batch, Data, Message, MessageAnnotations, Outcome};
use fe2o3_amqp_types::primitives::Value;
use futures::FutureExt;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::Inner;
use super::connection::{Connection, within};
use super::failure::Failure;
use crate::transport::event_hubs::message::{Encoded, PARTITION_KEY};

/// How long it may take until the link is attached.
const ATTACH: Duration = Duration::from_secs(30);
/// How long the end of a link, and of its session, is waited for.
const CLOSE: Duration = Duration::from_secs(2);
/// How long it may take until the service has settled a batch.
const SEND: Duration = Duration::from_secs(60);
/// What each message of a batch is a whole encoded message of.
const BATCH: u32 = 0x8001_3700;
/// Room for what is around the events of a batch: a partition key, and the sections that hold it.
const ENVELOPE: usize = 256;
/// What a link takes that does not say.
const LIMIT: u64 = 1 << 20;
/// Batches that wait for the link. More wait in their callers.
const WAITING: usize = 16;

/// Sends to one hub or partition.
pub(in crate::transport) struct Sender {
    client: Arc<Inner>,
    hub: String,
    partition: Option<u32>,
    limit: AtomicUsize,
    link: Mutex<Option<Arc<Link>>>,
}

/// A link, which a task has. It ends when this is dropped.
struct Link {
    batches: mpsc::Sender<Batched>,
    connection: Arc<Connection>,
    /// Told when nothing more is to be sent on it.
    over: Arc<Notify>,
}

/// A batch on its way to the link.
struct Batched {
    sendable: Sendable<Batch<Data>>,
    sent: oneshot::Sender<Result<Settlement, SendError>>,
}

/// Tells what became of a batch.
type Settlement = DeliveryFut<Result<Outcome, SendError>>;

impl Sender {
    /// Attaches to a hub, or to one of its partitions.
    pub(super) async fn open(client: Arc<Inner>, hub: &str, partition: Option<u32>) -> Result<Self, Failure> {
        client.service.check_entity(hub)?;
        let (limit, link) = (AtomicUsize::new(0), Mutex::new(None));
        let sender = Self { client, hub: hub.to_owned(), partition, limit, link };
        sender.link().await?;
        Ok(sender)
    }

    /// The bytes that the events of one batch may have together.
    pub(in crate::transport) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sends events as one batch: all of them or none is kept. `Ok` only when the service has them for good. Batches are
    /// sent in the order of the calls, and many may be on their way.
    ///
    /// A dropped call may have sent its batch.
    pub(in crate::transport) async fn send(
        &self,
        events: Vec<Encoded>,
        partition_key: Option<&str>,
    ) -> Result<(), Failure> {
        let size: usize = events.iter().map(Encoded::len).sum();
        if size > self.limit() {
            return Err(Failure::too_large(&self.at(), size as u64, self.limit() as u64));
        }
        let (link, sent) = self.hand_over(batch(events, partition_key)).await?;
        let result = match timeout(SEND, settled(sent)).await {
            Ok(Ok(outcome)) => return self.judge(outcome),
            Ok(Err(Some(error))) => Failure::because(&self.at(), &error),
            Ok(Err(None)) => Failure::unavailable(&self.at(), "the link was given up, for another batch failed"),
            Err(_) => Failure::unavailable(&self.at(), format!("a batch was not settled within {} s", SEND.as_secs())),
        };
        self.forget(&link).await;
        Err(link.connection.explain(&self.hub, result).await)
    }

    /// Hands a batch to the link; to a new one where that had ended unused.
    async fn hand_over(
        &self,
        sendable: Sendable<Batch<Data>>,
    ) -> Result<(Arc<Link>, oneshot::Receiver<Result<Settlement, SendError>>), Failure> {
        let (sent, settlement) = oneshot::channel();
        let mut batched = Batched { sendable, sent };
        for _ in 0..2 {
            let link = self.link().await?;
            match timeout(SEND, link.batches.send(batched)).await {
                Ok(Ok(())) => return Ok((link, settlement)),
                Ok(Err(mpsc::error::SendError(back))) => {
                    batched = back;
                    self.forget(&link).await;
                }
                // Whoever waits for those before it may be gone.
                Err(_) => {
                    self.forget(&link).await;
                    let reason = format!("the service takes no batch for {} s", SEND.as_secs());
                    return Err(Failure::unavailable(&self.at(), reason));
                }
            }
        }
        Err(Failure::unavailable(&self.at(), "the link ends as soon as it is attached"))
    }

    async fn link(&self) -> Result<Arc<Link>, Failure> {
        let mut slot = self.link.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.batches.is_closed()) {
            return Ok(Arc::clone(link));
        }
        // On the heap: each batch that is sent would have room for it otherwise.
        let link = self.attach().boxed().await?;
        *slot = Some(Arc::clone(&link));
        Ok(link)
    }

    async fn attach(&self) -> Result<Arc<Link>, Failure> {
        let connection = self.client.shared().await?;
        connection.authorize(&self.hub).await?;
        let (batches, waiting) = mpsc::channel(WAITING);
        let ((tell, attached), over) = (oneshot::channel(), Arc::new(Notify::new()));
        let service = &self.client.service;
        let names = Names {
            at: self.at(),
            link: service.unique("sender"),
            source: service.container.clone(),
            target: self.address(),
        };
        tokio::spawn(names.run(Arc::clone(&connection), tell, waiting, Arc::clone(&over)));
        let ended = |_| Err(Failure::unavailable(&self.at(), "the link ends as soon as it is attached"));
        let limit = match attached.await.unwrap_or_else(ended) {
            Ok(limit) => limit,
            Err(failure) => return Err(connection.explain(&self.hub, failure).await),
        };
        let limit = usize::try_from(limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
        self.limit.store(limit.saturating_sub(ENVELOPE), Ordering::Relaxed);
        Ok(Arc::new(Link { batches, connection, over }))
    }

    /// Has a new link attached for the next batch. What is on its way on this one comes to nothing.
    async fn forget(&self, link: &Arc<Link>) {
        link.over.notify_one();
        let mut slot = self.link.lock().await;
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            *slot = None;
        }
    }

    fn judge(&self, outcome: Outcome) -> Result<(), Failure> {
        match outcome {
            Outcome::Accepted(_) => Ok(()),
            Outcome::Rejected(rejected) => Err(match rejected.error {
                Some(error) => Failure::of_error(&self.at(), &error),
                None => Failure::unavailable(&self.at(), "the service refuses a batch and does not say why"),
            }),
            Outcome::Released(_) => Err(Failure::unavailable(&self.at(), "the service gives a batch back")),
            Outcome::Modified(_) => Err(Failure::unavailable(&self.at(), "the service gives a batch back, modified")),
        }
    }

    fn address(&self) -> String {
        match self.partition {
            Some(partition) => format!("{}/Partitions/{partition}", self.hub),
            None => self.hub.clone(),
        }
    }

    fn at(&self) -> String {
        match self.partition {
            Some(partition) => format!("hub {}, partition {partition}", self.hub),
            None => format!("hub {}", self.hub),
        }
    }
}

fn batch(events: Vec<Encoded>, partition_key: Option<&str>) -> Sendable<Batch<Data>> {
    let annotations = partition_key.map(|key| {
        let mut annotations = MessageAnnotations::default();
        annotations.0.insert(OwnedKey::from(PARTITION_KEY), Value::String(key.to_owned()));
        annotations
    });
    let body: Batch<Data> = events.into_iter().map(|event| Data::from(event.into_bytes())).collect();
    let message = Message::builder().message_annotations(annotations).body(body).build();
    Sendable { message, message_format: BATCH, settled: None }
}

/// What became of a batch that the link's task has; no error where the task ended.
async fn settled(sent: oneshot::Receiver<Result<Settlement, SendError>>) -> Result<Outcome, Option<SendError>> {
    let settlement = sent.await.map_err(|_| None)?.map_err(Some)?;
    settlement.await.map_err(Some)
}

/// What a link is called, and what it connects.
struct Names {
    /// What failures are about.
    at: String,
    link: String,
    source: String,
    target: String,
}

impl Names {
    /// Attaches a link, says what it takes, and sends what comes until it is over. It ends in order, whoever is gone: a link
    /// or a session that is dropped with something to come ends the connection, and with it what others send there.
    async fn run(
        self,
        connection: Arc<Connection>,
        tell: oneshot::Sender<Result<Option<u64>, Failure>>,
        waiting: mpsc::Receiver<Batched>,
        over: Arc<Notify>,
    ) {
        // One of its own: what is refused in one leaves traces there.
        let mut session = match connection.small_session().await {
            Ok(session) => session,
            // Nobody wants to know where it is given up.
            Err(failure) => return drop(tell.send(Err(failure))),
        };
        let builder = Amqp::builder().name(self.link).source(self.source).target(self.target);
        let builder = builder.verify_incoming_source(false).verify_incoming_target(false);
        match within(&self.at, "attaching", ATTACH, builder.attach(&mut session)).await {
            Ok(mut amqp) => {
                if tell.send(Ok(amqp.max_message_size())).is_ok() {
                    serve(&mut amqp, waiting, &over).await;
                }
                let _ = timeout(CLOSE, amqp.close()).await;
            }
            Err(failure) => drop(tell.send(Err(failure))),
        }
        let _ = timeout(CLOSE, session.end()).await;
    }
}

/// Sends what comes, until the link ends, or is to. A batch of several frames is never left half-way.
async fn serve(amqp: &mut Amqp, mut waiting: mpsc::Receiver<Batched>, over: &Notify) {
    loop {
        let batched = tokio::select! {
            // Nothing is put on a link that is known to have ended.
            biased;
            _ = amqp.on_detach() => return,
            () = over.notified() => return,
            batched = waiting.recv() => batched,
        };
        let Some(Batched { sendable, sent }) = batched else { return };
        // Nobody waits for it any more: what it holds may be another host's by now.
        if sent.is_closed() {
            continue;
        }
        let settlement = amqp.send_batchable(sendable).await;
        let is_over = settlement.is_err();
        let _ = sent.send(settlement);
        if is_over {
            return;
        }
    }
}
