//! What the host does, by the contract. Foreign shapes end here.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use crate::bindings::exports::lockgate::plugin::lifecycle;
use crate::bindings::lockgate::plugin as contract;
use crate::blobs::{Error as BlobError, Place, PutOptions, Replace, Stored};
use crate::http::{Error as HttpError, Request};
use crate::keyvalue::{Entry, Error as KeyError};
use crate::log::Level;
use crate::{Binding, Context as CallContext, Emission, Header, Instance, Message, Outcome, Verdict, Worker};

pub(crate) use contract::context::Context;

impl<W: Worker> Instance<W> {
    /// What the component is.
    pub fn describe() -> lifecycle::PluginInfo {
        lifecycle::PluginInfo {
            name: W::NAME.into(),
            version: W::VERSION.into(),
            description: W::DESCRIPTION.into(),
            config_schema: Self::schema(),
            attributes: Vec::new(),
        }
    }

    /// What this config needs.
    pub fn configured(&self, config_json: &str) -> Result<lifecycle::Binding, String> {
        let Binding { outputs, endpoints, stores, keyvalues } = self.configure(config_json)?;
        Ok(lifecycle::Binding { outputs, endpoints, stores, keyvalues })
    }

    /// One message.
    pub async fn process(
        worker: Option<Rc<W>>,
        context: Context,
        message: contract::types::Message,
    ) -> contract::types::Outcome {
        let Some(worker) = worker else {
            return Outcome::hold("the host called a plugin that it had not configured").into();
        };
        let answer = worker.process(&CallContext(context), message.into()).await;
        answer.unwrap_or_else(|outcome| outcome).into()
    }
}

impl From<contract::types::Message> for Message {
    fn from(message: contract::types::Message) -> Self {
        Self {
            id: message.id,
            topic: message.topic,
            partition: message.partition,
            offset: message.offset,
            enqueued: SystemTime::UNIX_EPOCH + Duration::from_millis(message.enqueued_ms),
            key: message.key,
            headers: message.headers.into_iter().map(|header| Header::new(header.name, header.value)).collect(),
            payload: message.payload,
        }
    }
}

impl From<Outcome> for contract::types::Outcome {
    fn from(outcome: Outcome) -> Self {
        let emit = outcome.emit.into_iter().map(Into::into).collect();
        Self { verdict: outcome.verdict.into(), emit, attributes: Vec::new() }
    }
}

impl From<Emission> for contract::types::Emission {
    fn from(emission: Emission) -> Self {
        let Emission { output, key, headers, payload } = emission;
        let header = |Header { name, value }| contract::types::Header { name, value };
        Self { output, key, headers: headers.into_iter().map(header).collect(), payload }
    }
}

impl From<Verdict> for contract::types::Verdict {
    fn from(verdict: Verdict) -> Self {
        let delay = |after: Option<Duration>, reason| contract::types::Delay {
            after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            reason,
        };
        match verdict {
            Verdict::Done => Self::Done,
            Verdict::Skip { reason } => Self::Skip(reason),
            Verdict::Retry { after, reason } => Self::Retry(delay(after, reason)),
            Verdict::Reject { code, reason } => Self::Reject(contract::types::Rejection { code, reason }),
            Verdict::Hold { after, reason } => Self::Hold(delay(after, reason)),
        }
    }
}

pub(crate) async fn sleep(milliseconds: u32) {
    contract::timers::sleep(milliseconds).await;
}

pub(crate) fn log(level: Level, text: &str, fields: &[(String, String)]) {
    let level = match level {
        Level::Debug => contract::log::Level::Debug,
        Level::Info => contract::log::Level::Info,
        Level::Warn => contract::log::Level::Warn,
        Level::Error => contract::log::Level::Error,
    };
    contract::log::log(level, text, fields);
}

/// An error of a request, before it is known what the request reached.
pub(crate) enum HttpFailure {
    Error(HttpError),
    Unavailable { retry_after: Duration },
}

impl From<contract::http::Error> for HttpFailure {
    fn from(error: contract::http::Error) -> Self {
        use contract::http::Error;
        Self::Error(match error {
            Error::Unavailable(ms) => return Self::Unavailable { retry_after: Duration::from_millis(ms) },
            Error::Denied(reason) => HttpError::Denied(reason),
            Error::Timeout(reason) => HttpError::Timeout(reason),
            Error::Connect(reason) => HttpError::Connect(reason),
            Error::TooLarge(limit) => HttpError::TooLarge { limit },
            Error::Interrupted(received) => HttpError::Interrupted { received },
            Error::Other(reason) => HttpError::Other(reason),
        })
    }
}

pub(crate) struct Response(contract::http::Response);

pub(crate) async fn send(request: Request) -> Result<Response, HttpFailure> {
    let Request { method, endpoint, target, headers, body } = request;
    Ok(Response(contract::http::send(contract::http::Request { method, endpoint, target, headers, body }).await?))
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.0.status()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.0.headers()
    }

    pub(crate) fn final_url(&self) -> String {
        self.0.final_url()
    }

    pub(crate) async fn peek(&self, bytes: u32) -> Result<Vec<u8>, HttpFailure> {
        Ok(self.0.peek(bytes).await?)
    }

    pub(crate) async fn read_all(&self, max: u32) -> Result<Vec<u8>, HttpFailure> {
        Ok(self.0.read_all(max).await?)
    }
}

fn blob_error(error: contract::blobs::Error, Place { store, path }: Place<'_>) -> BlobError {
    use contract::blobs::Error;
    let (store, path) = (store.to_owned(), path.to_owned());
    match error {
        Error::Denied(reason) => BlobError::Denied(reason),
        Error::NotFound => BlobError::NotFound { store, path },
        Error::Conflict(stored) => BlobError::Conflict { store, path, stored: Box::new(stored.into()) },
        Error::TooLarge(limit) => BlobError::TooLarge { limit },
        Error::Source(reason) => BlobError::Source(reason),
        Error::Unavailable(reason) => BlobError::Unavailable { store, reason },
        Error::Other(reason) => BlobError::Other { store, reason },
    }
}

impl From<contract::blobs::Stored> for Stored {
    fn from(stored: contract::blobs::Stored) -> Self {
        let contract::blobs::Stored { size, sha256, etag, content_type } = stored;
        Self { size, sha256, etag, content_type }
    }
}

impl From<PutOptions> for contract::blobs::PutOptions {
    fn from(options: PutOptions) -> Self {
        let PutOptions { content_type, replace, max_bytes, expected_bytes } = options;
        Self { content_type, replace: replace == Replace::Overwrite, max_bytes, expected_bytes }
    }
}

pub(crate) async fn put_response(
    store: &str,
    path: &str,
    Response(source): Response,
    options: PutOptions,
) -> Result<Stored, BlobError> {
    let put = contract::blobs::put_response(store.into(), path.into(), source, options.into()).await;
    put.map(Into::into).map_err(|error| blob_error(error, Place { store, path }))
}

pub(crate) async fn put_bytes(
    store: &str,
    path: &str,
    data: Vec<u8>,
    options: PutOptions,
) -> Result<Stored, BlobError> {
    let put = contract::blobs::put_bytes(store.into(), path.into(), data, options.into()).await;
    put.map(Into::into).map_err(|error| blob_error(error, Place { store, path }))
}

pub(crate) async fn get_blob(store: &str, path: &str, max: u32) -> Result<Vec<u8>, BlobError> {
    let got = contract::blobs::get(store.into(), path.into(), max).await;
    got.map_err(|error| blob_error(error, Place { store, path }))
}

pub(crate) async fn stat(store: &str, path: &str) -> Result<Stored, BlobError> {
    let stat = contract::blobs::stat(store.into(), path.into()).await;
    stat.map(Into::into).map_err(|error| blob_error(error, Place { store, path }))
}

pub(crate) async fn copy(from: Place<'_>, to: Place<'_>, options: PutOptions) -> Result<Stored, BlobError> {
    let copied =
        contract::blobs::copy(from.store.into(), from.path.into(), to.store.into(), to.path.into(), options.into());
    // The contract does not say which of the two stores failed, only that what is copied is what may be missing.
    let either = format!("{} or {}", from.store, to.store);
    copied.await.map(Into::into).map_err(|error| match error {
        contract::blobs::Error::NotFound => blob_error(error, from),
        contract::blobs::Error::Conflict(_) => blob_error(error, to),
        _ => blob_error(error, Place { store: &either, path: to.path }),
    })
}

pub(crate) async fn delete(store: &str, path: &str) -> Result<(), BlobError> {
    let deleted = contract::blobs::delete(store.into(), path.into()).await;
    deleted.map_err(|error| blob_error(error, Place { store, path }))
}

fn key_error(error: contract::keyvalue::Error, store: &str) -> KeyError {
    use contract::keyvalue::Error;
    let store = store.to_owned();
    match error {
        Error::Denied(reason) => KeyError::Denied(reason),
        Error::TooLarge(limit) => KeyError::TooLarge { limit },
        Error::Unavailable(reason) => KeyError::Unavailable { store, reason },
        Error::Other(reason) => KeyError::Other { store, reason },
    }
}

pub(crate) async fn keyvalue_get(store: &str, key: &str) -> Result<Option<Entry>, KeyError> {
    let got = contract::keyvalue::get(store.into(), key.into()).await;
    let entry = |contract::keyvalue::Entry { value, version }| Entry { value, version };
    got.map(|got| got.map(entry)).map_err(|error| key_error(error, store))
}

pub(crate) async fn keyvalue_set(
    store: &str,
    key: &str,
    value: Vec<u8>,
    time_to_live: Option<u64>,
) -> Result<(), KeyError> {
    let set = contract::keyvalue::set(store.into(), key.into(), value, time_to_live).await;
    set.map_err(|error| key_error(error, store))
}

pub(crate) async fn keyvalue_put_if_absent(
    store: &str,
    key: &str,
    value: Vec<u8>,
    time_to_live: Option<u64>,
) -> Result<bool, KeyError> {
    let put = contract::keyvalue::put_if_absent(store.into(), key.into(), value, time_to_live).await;
    put.map_err(|error| key_error(error, store))
}

pub(crate) async fn keyvalue_compare_and_set(
    store: &str,
    key: &str,
    version: u64,
    value: Vec<u8>,
    time_to_live: Option<u64>,
) -> Result<bool, KeyError> {
    let set = contract::keyvalue::compare_and_set(store.into(), key.into(), version, value, time_to_live).await;
    set.map_err(|error| key_error(error, store))
}

pub(crate) async fn keyvalue_delete(store: &str, key: &str) -> Result<(), KeyError> {
    let deleted = contract::keyvalue::delete(store.into(), key.into()).await;
    deleted.map_err(|error| key_error(error, store))
}
