//! `http`: requests through the endpoints that the pipeline was granted. The body of a response stays in the host
//! until the guest asks for it, or hands it to a store.

use std::collections::VecDeque;

use bytes::Bytes;
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::{Call, State, call_of, granted};
use crate::egress::{self, Body, EgressError};
use crate::plugin::bindings::http::{self, Error};

/// The most that a guest may peek at, in bytes.
const PEEK_LIMIT: usize = 64 << 10;

/// Headers that are the host's: credentials, the place, and what belongs to one connection.
const REFUSED_HEADERS: [&str; 12] = [
    "authorization",
    "connection",
    "cookie",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A response whose body is still in the host.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    final_url: String,
    /// Absent while it is read, and once it was.
    body: Option<Incoming>,
}

impl From<egress::Response> for Response {
    fn from(response: egress::Response) -> Self {
        let egress::Response { status, headers, final_url, body } = response;
        Self { status, headers, final_url, body: Some(Incoming { body, head: VecDeque::new(), ended: false }) }
    }
}

impl Response {
    /// The body, if nobody took it.
    pub(super) fn into_body(self) -> Option<Incoming> {
        self.body
    }
}

/// A body that is still coming, behind what was peeked at.
pub(super) struct Incoming {
    head: VecDeque<Bytes>,
    body: Box<dyn Body>,
    ended: bool,
}

impl Incoming {
    /// The next bytes; `None` at a proper end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, EgressError> {
        match self.head.pop_front() {
            Some(bytes) => Ok(Some(bytes)),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, EgressError> {
        if self.ended {
            return Ok(None);
        }
        let received = self.body.chunk().await?;
        self.ended = received.is_none();
        Ok(received)
    }

    /// The first `n` bytes, or all if there are fewer; they still come with [`Incoming::next`].
    async fn peek(&mut self, n: usize) -> Result<Vec<u8>, EgressError> {
        while self.head.iter().map(Bytes::len).sum::<usize>() < n {
            match self.receive().await? {
                Some(bytes) => self.head.push_back(bytes),
                None => break,
            }
        }
        Ok(self.head.iter().flatten().copied().take(n).collect())
    }

    /// Everything, if that is at most `limit` bytes.
    async fn read(&mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if (whole.len() + bytes.len()) as u64 > limit {
                return Err(Error::TooLarge(limit));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

impl Call {
    async fn send(&self, request: http::Request) -> Result<Response, Error> {
        granted("endpoint", &self.lent.grants.endpoints, &request.endpoint).map_err(Error::Denied)?;
        if let Some((name, _)) = request.headers.iter().find(|(name, _)| is_refused(name)) {
            return Err(Error::Denied(format!("header `{name}` is the host's to set")));
        }
        let http::Request { method, endpoint, target, headers, body } = request;
        let request = egress::Request { method, target, headers, body: body.map(Bytes::from) };
        let response = self.wait(self.lent.http.send(&endpoint, request, &self.progress)).await?;
        Ok(response.into())
    }
}

fn is_refused(name: &str) -> bool {
    REFUSED_HEADERS.iter().any(|refused| refused.eq_ignore_ascii_case(name))
}

impl From<EgressError> for Error {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Denied(reason) => Self::Denied(reason),
            EgressError::Unavailable { retry_after, .. } => {
                Self::Unavailable(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX))
            }
            EgressError::Timeout(reason) => Self::Timeout(reason),
            EgressError::Connect(reason) => Self::Connect(reason),
            EgressError::Interrupted { received } => Self::Interrupted(received),
            EgressError::Other(reason) => Self::Other(reason),
        }
    }
}

impl http::Host for State {}

impl http::HostWithStore<State> for HasSelf<State> {
    async fn send(
        accessor: &Accessor<State, Self>,
        request: http::Request,
    ) -> wasmtime::Result<Result<Resource<Response>, Error>> {
        let call = call_of(accessor, "http.send")?;
        match call.send(request).await {
            Ok(response) => Ok(Ok(accessor.with(|mut access| access.get().table.push(response))?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl http::HostResponse for State {
    fn status(&mut self, response: Resource<Response>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&response)?.status)
    }

    fn header(&mut self, response: Resource<Response>, name: String) -> wasmtime::Result<Option<String>> {
        let headers = &self.table.get(&response)?.headers;
        let first = headers.iter().find(|header| header.0.eq_ignore_ascii_case(&name));
        Ok(first.map(|header| header.1.clone()))
    }

    fn headers(&mut self, response: Resource<Response>) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.table.get(&response)?.headers.clone())
    }

    fn final_url(&mut self, response: Resource<Response>) -> wasmtime::Result<String> {
        Ok(self.table.get(&response)?.final_url.clone())
    }

    fn drop(&mut self, response: Resource<Response>) -> wasmtime::Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl http::HostResponseWithStore<State> for HasSelf<State> {
    async fn peek(
        accessor: &Accessor<State, Self>,
        response: Resource<Response>,
        n: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let call = call_of(accessor, "http.response.peek")?;
        let Some(mut body) = take_body(accessor, &response)? else { return Ok(Err(consumed())) };
        let limit = usize::try_from(n).unwrap_or(usize::MAX).min(PEEK_LIMIT);
        let peeked = call.wait(body.peek(limit)).await;
        if peeked.is_ok() {
            accessor.with(|mut access| access.get().table.get_mut(&response).map(|held| held.body = Some(body)))?;
        }
        Ok(peeked.map_err(Error::from))
    }

    async fn read_all(
        accessor: &Accessor<State, Self>,
        response: Resource<Response>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let call = call_of(accessor, "http.response.read-all")?;
        let Some(mut body) = take_body(accessor, &response)? else { return Ok(Err(consumed())) };
        Ok(call.wait(body.read(call.value_limit(max))).await)
    }
}

/// The body is taken out while it is read: the store must not be held across a wait.
fn take_body(
    accessor: &Accessor<State, HasSelf<State>>,
    response: &Resource<Response>,
) -> wasmtime::Result<Option<Incoming>> {
    accessor.with(|mut access| Ok(access.get().table.get_mut(response)?.body.take()))
}

fn consumed() -> Error {
    Error::Other("the body was read already, or is being read".into())
}
