//! One connection to a namespace. Tokens are put on it for each hub that is used, and renewed as long as it lives; what
//! uses it ends with it. Nothing is connected again by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection as Amqp, Session};
use fe2o3_amqp_cbs::client::CbsClient;
use fe2o3_amqp_cbs::token::CbsToken;
use fe2o3_amqp_types::definitions::Fields;
use fe2o3_amqp_types::primitives::{Symbol, Timestamp as AmqpTimestamp, Value};
use tokio::sync::{Mutex, Notify, OnceCell};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::failure::Failure;
use super::line::{Hold, Line};
use super::management::asked;
use super::task::Task;
use super::token::Token;
use super::{Service, causes::Cause};

/// The largest frame that is taken. Small, so that a number of frames bounds the bytes that wait in a session.
pub(super) const FRAME: u32 = 8 << 10;
/// How long the service may be silent before it counts as gone. It is told so, and says something in time.
const IDLE: Duration = Duration::from_secs(60);
/// How long it may take until AMQP is spoken, until a session is begun, until a token is taken.
const STEP: Duration = Duration::from_secs(15);
/// How long the end of a connection is waited for.
const CLOSE: Duration = Duration::from_secs(2);
/// How long it takes until a token that could not be renewed is tried again.
const AGAIN: Duration = Duration::from_secs(20);
/// Frames that wait in a session of few frames. More wait in the connection, and the peer with them.
const FEW: usize = 64;

/// A connection. It ends when it is dropped.
pub(super) struct Connection {
    shared: Arc<Shared>,
    /// Renews the tokens.
    _renewal: Task,
    _hold: Hold,
}

struct Shared {
    service: Arc<Service>,
    handle: Mutex<ConnectionHandle<()>>,
    /// The tokens that were put, by the resource that they are for. Locked while one is put.
    tokens: Mutex<HashMap<String, Put>>,
    /// Told when one is put for another resource.
    more: Notify,
    /// Why it is over, once it was asked.
    why: OnceCell<Option<Failure>>,
}

/// A token that was put.
struct Put {
    token: Token,
    renew_at: Instant,
    /// Whether it could not be renewed, which was said.
    is_late: bool,
}

impl Connection {
    /// Connects, and puts no token yet.
    pub(super) async fn open(service: Arc<Service>) -> Result<Self, Failure> {
        let (line, hold) = Line::new(service.dial.stream().await?);
        let idle = u32::try_from(IDLE.as_millis()).unwrap_or(u32::MAX);
        let builder = Amqp::builder().container_id(service.container.clone()).hostname(service.namespace.as_str());
        let builder = builder.max_frame_size(FRAME).idle_time_out(idle).properties(product());
        let opening = builder.sasl_profile(SaslProfile::Anonymous).open_with_stream(line);
        let handle = Mutex::new(within(&service.at(), "opening AMQP", STEP, opening).await?);
        let shared =
            Arc::new(Shared { service, handle, tokens: Mutex::default(), more: Notify::new(), why: OnceCell::new() });
        let renewal = Task::spawn(Arc::clone(&shared).renew());
        Ok(Self { shared, _renewal: renewal, _hold: hold })
    }

    /// Sees to it that a token for a hub is there.
    pub(super) async fn authorize(&self, hub: &str) -> Result<(), Failure> {
        self.shared.authorize(self.shared.service.resource(hub)).await
    }

    /// Begins a session in which so many frames may wait for whoever takes them.
    pub(super) async fn session(&self, frames: usize) -> Result<SessionHandle<()>, Failure> {
        self.shared.session(frames).await
    }

    /// Begins a session of few frames.
    pub(super) async fn small_session(&self) -> Result<SessionHandle<()>, Failure> {
        self.session(FEW).await
    }

    /// Whether it is over. One that is in use counts as alive.
    pub(super) fn is_over(&self) -> bool {
        self.shared.handle.try_lock().is_ok_and(|handle| handle.is_closed())
    }

    /// Why something that is about a hub failed on it: what the library says of a link is often only that the connection
    /// ended; of that it knows why. A token that the service does not honour is not used again.
    pub(super) async fn explain(&self, hub: &str, failure: Failure) -> Failure {
        if failure.is_about_tokens() {
            self.shared.doubt(hub).await;
        }
        if !matches!(failure, Failure::Unavailable(_)) || !self.is_over() {
            return failure;
        }
        let why = self.shared.why.get_or_init(|| self.shared.why_over()).await;
        why.clone().unwrap_or(failure)
    }

    /// Ends it, and tells the service so.
    pub(super) async fn close(self) {
        let mut handle = self.shared.handle.lock().await;
        let _ = timeout(CLOSE, handle.close()).await;
    }
}

impl Shared {
    async fn session(&self, frames: usize) -> Result<SessionHandle<()>, Failure> {
        let begin = async {
            let mut handle = self.handle.lock().await;
            Session::builder().buffer_size(frames).begin(&mut handle).await
        };
        within(&self.service.at(), "beginning a session", STEP, begin).await
    }

    /// The library tells this once.
    async fn why_over(&self) -> Option<Failure> {
        let mut handle = self.handle.lock().await;
        let ended = timeout(CLOSE, handle.on_close()).await.ok()?;
        ended.err().map(|error| Failure::because(&self.service.at(), &error))
    }

    async fn authorize(self: &Arc<Self>, resource: String) -> Result<(), Failure> {
        let mut tokens = self.tokens.lock().await;
        let (wall, now) = (self.service.clock.wall(), self.service.clock.now());
        // One that is being renewed holds until it ends.
        let holds = |put: &Put| put.token.is_fresh(wall) || put.renew_at > now && !put.token.has_ended(wall);
        if tokens.get(&resource).is_some_and(holds) {
            return Ok(());
        }
        let put = self.put(&resource).await?;
        tokens.insert(resource, put);
        self.more.notify_one();
        Ok(())
    }

    /// Has a new token put for the next use of a hub, whatever this machine's clock says of the one that is there.
    async fn doubt(&self, hub: &str) {
        self.tokens.lock().await.remove(&self.service.resource(hub));
        self.service.credentials.doubt(&self.service.clock).await;
    }

    /// Puts a new token, on links of their own: idle ones may be ended by the service.
    async fn put(self: &Arc<Self>, resource: &str) -> Result<Put, Failure> {
        let service = &self.service;
        let token = service.credentials.token(resource, &service.clock).await?;
        let (at, showing) = (service.at(), Arc::clone(self).show(resource.to_owned(), token.clone()));
        let putting = async move {
            let slow = |_| Failure::unavailable(&at, format!("putting a token took longer than {} s", STEP.as_secs()));
            timeout(STEP, showing).await.map_err(slow).flatten()
        };
        if let Err(failure) = whole(&service.at(), putting).await {
            if failure.is_about_tokens() {
                service.credentials.doubt(&service.clock).await;
            }
            return Err(failure);
        }
        // Where the one before it was given once more, its renewal failed.
        let least = if token.is_fresh(service.clock.wall()) { Duration::ZERO } else { AGAIN };
        let renew_at = service.clock.now() + token.renew_in(service.clock.wall()).max(least);
        Ok(Put { token, renew_at, is_late: false })
    }

    async fn show(self: Arc<Self>, resource: String, token: Token) -> Result<(), Failure> {
        let at = self.service.at();
        let mut session = self.session(FEW).await?;
        let mut cbs = CbsClient::attach(&mut session).await.map_err(|error| Failure::because(&at, &error))?;
        let expires = i64::try_from(token.expires().0).map(AmqpTimestamp::from).ok();
        let shown = CbsToken::new(token.text(), token.kind().name(), expires);
        cbs.put_token(&resource, shown).await.map_err(|error| asked(&at, error))?;
        let _ = cbs.close().await;
        let _ = session.end().await;
        Ok(())
    }

    /// Renews tokens for ever.
    async fn renew(self: Arc<Self>) {
        loop {
            let next = self.tokens.lock().await.values().map(|put| put.renew_at).min();
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.more.notified() => {}
                () = due => self.renew_due().await,
            }
        }
    }

    async fn renew_due(self: &Arc<Self>) {
        let mut tokens = self.tokens.lock().await;
        for (resource, put) in tokens.iter_mut() {
            let now = self.service.clock.now();
            if put.renew_at > now {
                continue;
            }
            match self.put(resource).await {
                Ok(renewed) => *put = renewed,
                Err(failure) => {
                    self.complain(resource, put, &failure);
                    put.renew_at = now + AGAIN;
                }
            }
        }
    }

    /// Says once that a token could not be renewed: links end with it, which is an error of its own.
    fn complain(&self, resource: &str, put: &mut Put, failure: &Failure) {
        let (transport, expires) = (&*self.service.transport, put.token.expires());
        if std::mem::replace(&mut put.is_late, true) {
            debug!(transport, resource, %expires, %failure, "a token cannot be renewed yet");
        } else {
            warn!(transport, resource, %expires, %failure, "a token cannot be renewed; it is tried again");
        }
    }
}

/// Who we say that we are.
fn product() -> Fields {
    let entry = |name: &str, value: &str| (Symbol::from(name), Value::String(value.to_owned()));
    [entry("product", "lockgate"), entry("version", env!("CARGO_PKG_VERSION"))].into_iter().collect()
}

/// Does something to its end, though whoever waits for it is gone: a session that is left with an answer to come ends the
/// connection with it, and so what others have under way there.
pub(super) async fn whole<T: Send + 'static>(
    at: &str,
    doing: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let broke_off = |error: tokio::task::JoinError| Err(Failure::unavailable(at, error.to_string()));
    tokio::spawn(doing).await.unwrap_or_else(broke_off)
}

/// What comes of a call of the library within a time.
pub(super) async fn within<T, E: Cause>(
    at: &str,
    what: &str,
    limit: Duration,
    doing: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout(limit, doing).await {
        Ok(done) => done.map_err(|error| Failure::because(at, &error)),
        Err(_) => Err(Failure::unavailable(at, format!("{what} took longer than {} s", limit.as_secs()))),
    }
}
