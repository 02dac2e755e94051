//! `http`: requests through the endpoints that the pipeline was granted. The body of a response stays in the host
//! until the guest asks for it, or hands it to a store.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use url::Url;
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::{Call, Holding, HoldsTooMuch, State, call_of, granted};
use crate::egress::{self, Body, EgressError};
use crate::plugin::bindings::http::{self, Error};

/// The most that a guest may peek at, in bytes.
const PEEK_LIMIT: usize = 64 << 10;

/// A response whose body is still in the host.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    final_url: String,
    /// Absent while it is read, and once it was.
    body: Option<Incoming>,
}

impl Response {
    fn new(response: egress::Response, asked: Asked) -> Self {
        let egress::Response { status, headers, final_url, body } = response;
        let body = Some(Incoming { asked, body, head: VecDeque::new(), ended: false });
        Self { status, headers, final_url, body }
    }

    /// Frees what the response holds in the host: its body, with its place at the endpoint, and its headers.
    pub(super) fn let_go(&mut self) {
        (self.body, self.headers) = (None, Vec::new());
    }

    /// The body, if nobody took it.
    pub(super) fn into_body(self) -> Option<Incoming> {
        self.body
    }
}

/// A body that is still coming, behind what was peeked at.
pub(super) struct Incoming {
    asked: Asked,
    head: VecDeque<Bytes>,
    body: Box<dyn Body>,
    ended: bool,
}

impl Incoming {
    /// Why there is no more, as the guest gets it.
    fn told(&self, error: EgressError) -> Error {
        self.asked.told(error)
    }

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
    async fn read(&mut self, limit: u64, mut holding: Holding) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await.map_err(|error| self.told(error))? {
            holding.grow(bytes.len())?;
            if (whole.len() + bytes.len()) as u64 > limit {
                return Err(Error::TooLarge(limit));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

impl Call {
    async fn send(self: &Arc<Self>, request: http::Request) -> Result<Response, Error> {
        granted("endpoint", &self.lent.grants.endpoints, &request.endpoint).map_err(Error::Denied)?;
        let http::Request { method, endpoint, target, headers, body } = request;
        let header = |header: &(String, String)| size_of_val(header) + header.0.len() + header.1.len();
        let sent = [method.len(), endpoint.len(), target.len(), body.as_ref().map_or(0, Vec::len)];
        let _holding = self.holding(sent.into_iter().chain(headers.iter().map(header)))?;
        let asked = Asked::of(&target);
        let request = egress::Request { method, target, headers, body: body.map(Bytes::from) };
        match self.wait(self.lent.http.send(&endpoint, request, &self.progress)).await {
            Ok(response) => Ok(Response::new(response, asked)),
            Err(error) => Err(asked.told(error)),
        }
    }
}

/// What a guest asked for, which is what it judges an answer by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// A path of an endpoint, which is one system: while that is unavailable, no message can pass.
    Path,
    /// An absolute URL: one host of many.
    Url,
}

impl Asked {
    fn of(target: &str) -> Self {
        if Url::parse(target).is_ok() { Self::Url } else { Self::Path }
    }

    /// An error as the guest gets it. Who asked the one system for a path and was led by it to one host of another
    /// endpoint must not take that host's breaker for the system's.
    fn told(self, error: EgressError) -> Error {
        match error {
            EgressError::Unavailable { endpoint, retry_after, one_system: false } if self == Self::Path => {
                Error::Other(format!(
                    "a redirect leads to endpoint {endpoint}, which is unavailable for {retry_after:?}"
                ))
            }
            EgressError::Unavailable { retry_after, .. } => {
                Error::Unavailable(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX))
            }
            EgressError::Denied(reason) => Error::Denied(reason),
            EgressError::Timeout(reason) => Error::Timeout(reason),
            EgressError::Connect(reason) => Error::Connect(reason),
            EgressError::Interrupted { received } => Error::Interrupted(received),
            EgressError::Other(reason) => Error::Other(reason),
        }
    }
}

impl From<HoldsTooMuch> for Error {
    fn from(error: HoldsTooMuch) -> Self {
        Self::Other(error.to_string())
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
        match call.wait(body.peek(limit)).await {
            Ok(peeked) => {
                accessor.with(|mut access| access.get().table.get_mut(&response).map(|held| held.body = Some(body)))?;
                Ok(Ok(peeked))
            }
            Err(error) => Ok(Err(body.told(error))),
        }
    }

    async fn read_all(
        accessor: &Accessor<State, Self>,
        response: Resource<Response>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let call = call_of(accessor, "http.response.read-all")?;
        let Some(mut body) = take_body(accessor, &response)? else { return Ok(Err(consumed())) };
        Ok(async { call.wait(body.read(call.value_limit(max), call.holding([])?)).await }.await)
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
