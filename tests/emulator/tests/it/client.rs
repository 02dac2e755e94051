//! A client on the AMQP library that the emulator is not made with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::DEFAULT_KEY;
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{Receiver, ReceiverAttachError, Sender, SenderAttachError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection, Delivery, Session};
use fe2o3_amqp_cbs::client::CbsClient;
use fe2o3_amqp_cbs::token::CbsToken;
use fe2o3_amqp_types::definitions::{Fields, SenderSettleMode};
use fe2o3_amqp_types::messaging::annotations::OwnedKey;
use fe2o3_amqp_types::messaging::{Body, Data, Message, Outcome, Source, Target};
use fe2o3_amqp_types::primitives::{Binary, Symbol, Value};
use fe2o3_amqp_ws::WebSocketStream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs as provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::scene::{SECRET, in_time};

/// What the namespace calls itself.
pub(crate) const HOST: &str = "myns.servicebus.windows.net";
/// The kind of tokens that are signed with a key.
pub(crate) const SAS: &str = "servicebus.windows.net:sastoken";

/// A way to connect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Amqp,
    Amqps,
    Ws,
    Wss,
}

/// A connection, with a session for each link: after a link that was refused the library takes the next one of the same
/// session for that, now and then.
pub(crate) struct Client {
    pub(crate) connection: ConnectionHandle<()>,
    /// They end when they are dropped, and their links with them.
    sessions: Vec<SessionHandle<()>>,
    cbs: CbsClient,
}

/// An event that was received.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    pub(crate) sequence: i64,
    pub(crate) body: Vec<u8>,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Io for T {}

impl Client {
    /// Connects in the clear, and puts a token for everything.
    pub(crate) async fn connect(emulator: &Emulator) -> Self {
        Self::by(emulator, Way::Amqp).await
    }

    /// Connects this way, and puts a token for everything.
    pub(crate) async fn by(emulator: &Emulator, way: Way) -> Self {
        let mut client = Self::without_token(emulator, way).await.unwrap();
        client.put_token("", &sas(DEFAULT_KEY, SECRET, "", 3600)).await.unwrap();
        client
    }

    /// Connects this way, and nothing else.
    pub(crate) async fn without_token(emulator: &Emulator, way: Way) -> Result<Self, String> {
        in_time("a connection", async {
            let stream = stream(emulator, way).await?;
            let builder = Connection::builder().container_id("test").hostname(HOST).max_frame_size(16_384_u32);
            let opened = builder.sasl_profile(SaslProfile::Anonymous).open_with_stream(stream).await;
            let mut connection = opened.map_err(|error| format!("{error:?}"))?;
            let mut session = Session::begin(&mut connection).await.map_err(|error| format!("{error:?}"))?;
            let cbs = CbsClient::attach(&mut session).await.map_err(|error| format!("{error:?}"))?;
            Ok(Self { connection, sessions: vec![session], cbs })
        })
        .await
    }

    /// Puts a token for a path; the error is what the answer says.
    pub(crate) async fn put_token(&mut self, path: &str, token: &str) -> Result<(), String> {
        let kind = if token.starts_with("SharedAccessSignature") { SAS } else { "jwt" };
        let token = CbsToken::new(token.to_owned(), kind, None);
        let put = self.cbs.put_token(format!("sb://{HOST}/{path}"), token);
        in_time("an answer", put).await.map_err(|error| format!("{error}"))
    }

    /// Attaches a link to send by.
    pub(crate) async fn sender(&mut self, address: &str) -> Result<Sender, SenderAttachError> {
        let mut session = self.session().await;
        let attach = Sender::builder().name(name()).source("test").target(address).attach(&mut session);
        let sender = in_time("an attach", attach).await?;
        self.sessions.push(session);
        Ok(sender)
    }

    /// Attaches a link that receives a partition from its beginning.
    pub(crate) async fn receiver(&mut self, partition: &str, epoch: Option<i64>) -> Receiver {
        self.receiver_from(&source(partition), "amqp.annotation.x-opt-offset > '-1'", epoch).await.unwrap()
    }

    /// Attaches a link that receives from a place on.
    pub(crate) async fn receiver_from(
        &mut self,
        address: &str,
        selector: &str,
        epoch: Option<i64>,
    ) -> Result<Receiver, ReceiverAttachError> {
        let filter = Symbol::from("apache.org:selector-filter:string");
        let value = Value::String(selector.to_owned());
        let described = Described { descriptor: Descriptor::Name(filter.clone()), value };
        let source = Source::builder().address(address).add_to_filter(filter, described).build();
        let mut properties = Fields::new();
        if let Some(epoch) = epoch {
            properties.insert(Symbol::from("com.microsoft:epoch"), Value::Long(epoch));
        }
        let builder = Receiver::builder().name(name()).source(source).target(Target::from("test"));
        let builder = builder.credit_mode(CreditMode::Auto(100)).auto_accept(true).properties(properties);
        let mut session = self.session().await;
        let attach = builder.sender_settle_mode(SenderSettleMode::Mixed).attach(&mut session);
        let receiver = in_time("an attach", attach).await?;
        self.sessions.push(session);
        Ok(receiver)
    }

    async fn session(&mut self) -> SessionHandle<()> {
        in_time("a session", Session::begin(&mut self.connection)).await.unwrap()
    }
}

/// The address of a partition as the default group reads it.
pub(crate) fn source(partition: &str) -> String {
    format!("hub/ConsumerGroups/$Default/Partitions/{partition}")
}

/// Sends one event, and waits for its outcome.
pub(crate) async fn send(sender: &mut Sender, body: impl Into<Vec<u8>>) -> Result<(), String> {
    let message = Message::builder().data(Binary::from(body.into())).build();
    match in_time("an outcome", sender.send(message)).await {
        Ok(Outcome::Accepted(_)) => Ok(()),
        Ok(outcome) => Err(format!("{outcome:?}")),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Receives one event; the error is why the link ended.
pub(crate) async fn receive(receiver: &mut Receiver) -> Result<Received, String> {
    let received = in_time("an event", receiver.recv::<Body<Value>>()).await;
    received.map(|delivery| read(&delivery)).map_err(|error| format!("{error:?}"))
}

/// Receives so many events.
pub(crate) async fn receive_many(receiver: &mut Receiver, count: usize) -> Vec<Received> {
    let mut events = Vec::new();
    while events.len() < count {
        events.push(receive(receiver).await.unwrap());
    }
    events
}

fn read(delivery: &Delivery<Body<Value>>) -> Received {
    let message = delivery.message();
    let annotations = message.message_annotations.as_ref().unwrap();
    let Some(Value::Long(sequence)) = annotations.get(&OwnedKey::from("x-opt-sequence-number")) else {
        panic!("{annotations:?}");
    };
    let Body::Data(data) = &message.body else { panic!("{:?}", message.body) };
    let body = data.iter().flat_map(|Data(bytes)| bytes.iter().copied()).collect();
    Received { sequence: *sequence, body }
}

/// A token that is signed with a key, for a path and all below it, for so many seconds from now.
pub(crate) fn sas(name: &str, secret: &str, path: &str, seconds: i64) -> String {
    let resource = utf8_percent_encode(&format!("sb://{HOST}/{path}"), NON_ALPHANUMERIC).to_string();
    let expiry = now() + seconds;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes()));
    let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={name}")
}

/// In seconds.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

async fn stream(emulator: &Emulator, way: Way) -> Result<Box<dyn Io>, String> {
    let told = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let tcp = TcpStream::connect(emulator.address()).await.map_err(|error| told(&error))?;
    tcp.set_nodelay(true).map_err(|error| told(&error))?;
    let url = |scheme| format!("{scheme}://localhost:{}/$servicebus/websocket/", emulator.address().port());
    Ok(match way {
        Way::Amqp => Box::new(tcp),
        Way::Amqps => {
            Box::new(tls(emulator).connect("localhost".try_into().unwrap(), tcp).await.map_err(|e| told(&e))?)
        }
        Way::Ws => Box::new(WebSocketStream::connect_with_stream(url("ws"), tcp).await.map_err(|e| told(&e))?),
        Way::Wss => {
            let tls = tls(emulator).connect("localhost".try_into().unwrap(), tcp).await.map_err(|e| told(&e))?;
            Box::new(WebSocketStream::connect_with_stream(url("wss"), tls).await.map_err(|e| told(&e))?)
        }
    })
}

fn tls(emulator: &Emulator) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(emulator.ca().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// No two links may have the same.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("link-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
