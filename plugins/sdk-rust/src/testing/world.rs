//! What the host that stands in holds, and which one a thread is in.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::answer::{Answer, Received};
use super::headers;
use super::keyvalue::Keys;
use crate::blobs::{Error, Place, PutOptions, Replace, Stored};
use crate::http::{Error as HttpError, Request};
use crate::keyvalue::{Entry, Error as KeyError};
use crate::log::Level;
use crate::{Binding, http};

/// A blob of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blob {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its media type, if it was put with one.
    pub content_type: Option<String>,
}

impl Blob {
    /// What a store says of it.
    pub fn stored(&self) -> Stored {
        Stored {
            size: self.bytes.len() as u64,
            sha256: format!("{:x}", Sha256::digest(&self.bytes)),
            etag: None,
            content_type: self.content_type.clone(),
        }
    }
}

/// A line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub text: String,
    /// Its fields, in order.
    pub fields: Vec<(String, String)>,
}

/// An operation on a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Writing a blob, the second half of a copy too.
    Put,
    /// Reading one into the plugin.
    Get,
    /// Looking at one.
    Stat,
    /// Reading one, the first half of a copy.
    Copy,
    /// Removing one.
    Delete,
}

/// All that the host holds.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(super) binding: Binding,
    pub(super) answers: BTreeMap<(String, String), VecDeque<Answer>>,
    pub(super) requests: Vec<Request>,
    pub(super) blobs: BTreeMap<(String, String), Blob>,
    pub(super) faults: Vec<(String, Operation, Error)>,
    pub(super) lines: Vec<Line>,
    keyvalues: BTreeMap<String, BTreeMap<String, (Entry, Option<u64>)>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<World>>>> = const { RefCell::new(None) };
}

/// Runs `run` in a world.
pub(super) fn enter<T>(world: &Rc<RefCell<World>>, run: impl FnOnce() -> T) -> T {
    struct Leave(Option<Rc<RefCell<World>>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.replace(self.0.take());
        }
    }
    let _leave = Leave(CURRENT.replace(Some(Rc::clone(world))));
    run()
}

/// What the world that this thread is in answers.
pub(crate) fn with_world<T>(ask: impl FnOnce(&mut World) -> T) -> T {
    let Some(world) = CURRENT.with_borrow(Option::clone) else {
        panic!("there is no host here: call the plugin through `testing::Host`")
    };
    let mut world = world.borrow_mut();
    ask(&mut world)
}

impl World {
    pub(crate) fn log(&mut self, level: Level, text: &str, fields: &[(String, String)]) {
        self.lines.push(Line { level, text: text.into(), fields: fields.to_vec() });
    }

    pub(crate) fn send(&mut self, request: Request) -> Result<Received, HttpError> {
        granted("endpoint", &self.binding.endpoints, &request.endpoint).map_err(HttpError::Denied)?;
        headers::judge(&request.headers).map_err(HttpError::Denied)?;
        let http::Request { endpoint, target, .. } = &request;
        let place = (endpoint.clone(), target.clone());
        let Some(answers) = self.answers.get_mut(&place) else {
            panic!("endpoint {endpoint} has no answer for {target}: script one with `Host::answer`")
        };
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let Some(answer) = next else { panic!("endpoint {endpoint} was given no answers for {target}") };
        let received = answer.received(target);
        self.requests.push(request);
        received
    }

    /// Whether an operation may go on.
    pub(crate) fn admit(&mut self, operation: Operation, place: Place<'_>) -> Result<(), Error> {
        granted("store", &self.binding.stores, place.store).map_err(Error::Denied)?;
        confined(place.path).map_err(Error::Denied)?;
        let fault = self.faults.iter().position(|(store, fails, _)| store == place.store && *fails == operation);
        match fault {
            Some(index) => Err(self.faults.remove(index).2),
            None => Ok(()),
        }
    }

    pub(crate) fn blob(&self, Place { store, path }: Place<'_>) -> Result<Blob, Error> {
        let blob = self.blobs.get(&(store.into(), path.into())).cloned();
        blob.ok_or_else(|| Error::NotFound { store: store.into(), path: path.into() })
    }

    pub(crate) fn put(&mut self, place: Place<'_>, bytes: Vec<u8>, options: PutOptions) -> Result<Stored, Error> {
        let size = bytes.len() as u64;
        if let Some(limit) = options.max_bytes.filter(|limit| size > *limit) {
            return Err(Error::TooLarge { limit });
        }
        if let Some(expected) = options.expected_bytes.filter(|expected| size != *expected) {
            return Err(Error::Source(format!("the body had {size} bytes, where {expected} were expected")));
        }
        let Place { store, path } = place;
        let blob = Blob { bytes, content_type: options.content_type };
        match self.blob(place) {
            Ok(there) if there.bytes == blob.bytes => return Ok(there.stored()),
            Ok(there) if options.replace == Replace::Refuse => {
                return Err(Error::Conflict {
                    store: store.into(),
                    path: path.into(),
                    stored: Box::new(there.stored()),
                });
            }
            _ => {}
        }
        let stored = blob.stored();
        self.blobs.insert((store.into(), path.into()), blob);
        Ok(stored)
    }

    pub(crate) fn remove(&mut self, Place { store, path }: Place<'_>) {
        self.blobs.remove(&(store.into(), path.into()));
    }

    pub(crate) fn keyvalue(&mut self, store: &str) -> Result<Keys<'_>, KeyError> {
        granted("key-value store", &self.binding.keyvalues, store).map_err(KeyError::Denied)?;
        Ok(Keys { entries: self.keyvalues.entry(store.into()).or_default(), now_ms: self.now_ms })
    }
}

fn granted(kind: &str, granted: &[String], name: &str) -> Result<(), String> {
    match granted.iter().any(|grant| grant == name) {
        true => Ok(()),
        false => Err(format!("{kind} `{name}` is not granted")),
    }
}

/// The rules of paths that matter most; the host has more.
fn confined(path: &str) -> Result<(), String> {
    let leaves = path.is_empty() || path.starts_with('/') || path.split('/').any(|segment| segment == "..");
    let odd = path.chars().any(|c| c.is_control() || c == '\\' || c == ':');
    if leaves || odd { Err(format!("path {path:?} is refused")) } else { Ok(()) }
}
