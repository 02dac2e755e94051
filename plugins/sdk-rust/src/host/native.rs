//! What the host does where there is none: the [`testing::Host`](crate::testing::Host) of this thread.

use std::time::Duration;

use crate::blobs::{Error as BlobError, Place, PutOptions, Stored};
use crate::http::{Error as HttpError, Request};
use crate::keyvalue::{Entry, Error as KeyError};
use crate::log::Level;
use crate::testing::{Blob, Call, Operation, with_world};

pub(crate) use crate::testing::{Call as Context, Received as Response};

impl Context {
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt.number
    }

    pub(crate) fn attempts_left(&self) -> u32 {
        self.attempt.left
    }

    pub(crate) fn remaining_ms(&self) -> Option<u64> {
        None
    }

    pub(crate) fn trace_parent(&self) -> Option<String> {
        let Call { trace_parent, .. } = self;
        trace_parent.clone()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        with_world(|world| world.now_ms)
    }
}

pub(crate) async fn sleep(milliseconds: u32) {
    with_world(|world| world.now_ms += u64::from(milliseconds));
}

pub(crate) fn log(level: Level, text: &str, fields: &[(String, String)]) {
    with_world(|world| world.log(level, text, fields));
}

/// An error of a request, before it is known what the request reached.
pub(crate) enum HttpFailure {
    Error(HttpError),
    Unavailable { retry_after: Duration },
}

pub(crate) async fn send(request: Request) -> Result<Response, HttpFailure> {
    with_world(|world| world.send(request)).map_err(Into::into)
}

impl From<HttpError> for HttpFailure {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Unavailable { retry_after, .. } => Self::Unavailable { retry_after },
            error => Self::Error(error),
        }
    }
}

impl Response {
    pub(crate) async fn peek(&self, bytes: u32) -> Result<Vec<u8>, HttpFailure> {
        Ok(self.opening(usize::try_from(bytes.min(64 << 10)).unwrap_or(0))?)
    }

    pub(crate) async fn read_all(&self, max: u32) -> Result<Vec<u8>, HttpFailure> {
        let body = self.take()?;
        if body.len() as u64 > u64::from(max) {
            return Err(HttpFailure::Error(HttpError::TooLarge { limit: max.into() }));
        }
        Ok(body)
    }
}

pub(crate) async fn put_response(
    store: &str,
    path: &str,
    source: Response,
    options: PutOptions,
) -> Result<Stored, BlobError> {
    let place = Place { store, path };
    with_world(|world| {
        world.admit(Operation::Put, place)?;
        let body = source.take().map_err(|error| BlobError::Source(error.to_string()))?;
        world.put(place, body, options)
    })
}

pub(crate) async fn put_bytes(
    store: &str,
    path: &str,
    data: Vec<u8>,
    options: PutOptions,
) -> Result<Stored, BlobError> {
    let place = Place { store, path };
    with_world(|world| {
        world.admit(Operation::Put, place)?;
        world.put(place, data, options)
    })
}

pub(crate) async fn get_blob(store: &str, path: &str, max: u32) -> Result<Vec<u8>, BlobError> {
    let place = Place { store, path };
    with_world(|world| {
        world.admit(Operation::Get, place)?;
        let Blob { bytes, .. } = world.blob(place)?;
        if bytes.len() as u64 > u64::from(max) { Err(BlobError::TooLarge { limit: max.into() }) } else { Ok(bytes) }
    })
}

pub(crate) async fn stat(store: &str, path: &str) -> Result<Stored, BlobError> {
    let place = Place { store, path };
    with_world(|world| {
        world.admit(Operation::Stat, place)?;
        Ok(world.blob(place)?.stored())
    })
}

pub(crate) async fn copy(from: Place<'_>, to: Place<'_>, mut options: PutOptions) -> Result<Stored, BlobError> {
    with_world(|world| {
        world.admit(Operation::Copy, from)?;
        world.admit(Operation::Put, to)?;
        let Blob { bytes, content_type } = world.blob(from)?;
        options.content_type = options.content_type.or(content_type);
        world.put(to, bytes, options)
    })
}

pub(crate) async fn delete(store: &str, path: &str) -> Result<(), BlobError> {
    let place = Place { store, path };
    with_world(|world| {
        world.admit(Operation::Delete, place)?;
        world.remove(place);
        Ok(())
    })
}

pub(crate) async fn keyvalue_get(store: &str, key: &str) -> Result<Option<Entry>, KeyError> {
    with_world(|world| Ok(world.keyvalue(store)?.get(key)))
}

pub(crate) async fn keyvalue_set(
    store: &str,
    key: &str,
    value: Vec<u8>,
    time_to_live: Option<u64>,
) -> Result<(), KeyError> {
    with_world(|world| {
        world.keyvalue(store)?.set(key, value, time_to_live);
        Ok(())
    })
}

pub(crate) async fn keyvalue_put_if_absent(
    store: &str,
    key: &str,
    value: Vec<u8>,
    time_to_live: Option<u64>,
) -> Result<bool, KeyError> {
    with_world(|world| Ok(world.keyvalue(store)?.set_if(None, key, value, time_to_live)))
}

pub(crate) async fn keyvalue_compare_and_set(
    store: &str,
    key: &str,
    version: u64,
    value: Vec<u8>,
    time_to_live: Option<u64>,
) -> Result<bool, KeyError> {
    with_world(|world| Ok(world.keyvalue(store)?.set_if(Some(version), key, value, time_to_live)))
}

pub(crate) async fn keyvalue_delete(store: &str, key: &str) -> Result<(), KeyError> {
    with_world(|world| {
        world.keyvalue(store)?.delete(key);
        Ok(())
    })
}
