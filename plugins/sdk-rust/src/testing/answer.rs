//! What an endpoint answers.

use std::cell::RefCell;

use crate::http::Error;

/// What an endpoint answers to one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer(Result<Head, Error>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    final_url: Option<String>,
    body: Vec<u8>,
    /// Bytes after which the body breaks.
    breaks_after: Option<usize>,
}

impl Answer {
    /// An answer without headers and body.
    pub fn status(status: u16) -> Self {
        Self(Ok(Head { status, headers: Vec::new(), final_url: None, body: Vec::new(), breaks_after: None }))
    }

    /// No answer at all.
    pub fn error(error: Error) -> Self {
        Self(Err(error))
    }

    /// The same with a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.with(|head| head.headers.push((name.to_ascii_lowercase(), value.into())))
    }

    /// The same with a body. A `content-length` is only there if it is set.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.with(|head| head.body = body.into())
    }

    /// The same, but the body breaks after so many bytes.
    pub fn breaks_after(self, bytes: usize) -> Self {
        self.with(|head| head.breaks_after = Some(bytes))
    }

    /// The same, but it comes from elsewhere.
    pub fn redirected_to(self, url: &str) -> Self {
        self.with(|head| head.final_url = Some(url.into()))
    }

    fn with(mut self, change: impl FnOnce(&mut Head)) -> Self {
        if let Ok(head) = &mut self.0 {
            change(head);
        }
        self
    }

    /// As the answer to a request for `target`.
    pub(super) fn received(self, target: &str) -> Result<Received, Error> {
        let head = self.0?;
        let asked = target.split(['?', '#']).next().unwrap_or_default();
        let final_url = head.final_url.unwrap_or_else(|| asked.to_owned());
        let body = Body { bytes: head.body, breaks_after: head.breaks_after };
        Ok(Received { status: head.status, headers: head.headers, final_url, body: RefCell::new(Some(body)) })
    }
}

struct Body {
    bytes: Vec<u8>,
    breaks_after: Option<usize>,
}

/// A response whose body was not read yet.
pub(crate) struct Received {
    status: u16,
    headers: Vec<(String, String)>,
    final_url: String,
    body: RefCell<Option<Body>>,
}

impl Received {
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let named = self.headers.iter().find(|header| header.0.eq_ignore_ascii_case(name));
        named.map(|header| header.1.clone())
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }

    pub(crate) fn final_url(&self) -> String {
        self.final_url.clone()
    }

    /// The first bytes, which stay.
    pub(crate) fn opening(&self, bytes: usize) -> Result<Vec<u8>, Error> {
        let body = self.body.borrow();
        let Some(body) = body.as_ref() else { return Err(read_already()) };
        match body.breaks_after {
            Some(after) if after < bytes.min(body.bytes.len()) => Err(broken(after)),
            _ => Ok(body.bytes.iter().copied().take(bytes).collect()),
        }
    }

    /// The whole body, once.
    pub(crate) fn take(&self) -> Result<Vec<u8>, Error> {
        let Some(body) = self.body.take() else { return Err(read_already()) };
        match body.breaks_after {
            Some(after) => Err(broken(after)),
            None => Ok(body.bytes),
        }
    }
}

fn read_already() -> Error {
    Error::Other("the body was read already".into())
}

fn broken(after: usize) -> Error {
    Error::Interrupted { received: after as u64 }
}
