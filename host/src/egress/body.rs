//! A body on its way. It holds its place at the gate until it ends, breaks or is dropped; when it breaks, and the origin
//! can prove that the entity is still the same, the rest is asked for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{HeaderValue, IF_RANGE, RANGE};

use super::endpoint::{Answer, Endpoint, Outgoing};
use super::failure::redact;
use super::gate::Admission;
use super::headers;
use super::resume::{Rest, Validator, announced_length, rest};
use super::{Body, EgressError};
use crate::model::{Period, Progress};

/// Attempts to resume that bring less than [`ADVANCE`] bytes, in a row.
const MAX_ATTEMPTS: u32 = 5;

/// Bytes that must come after a break before attempts are counted anew.
const ADVANCE: u64 = 64 << 10;

/// Before the first attempt to resume; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The body of an answer.
pub(super) struct Incoming {
    endpoint: Arc<Endpoint>,
    /// What was asked; asked again, it asks for the rest.
    outgoing: Outgoing,
    progress: Progress,
    validator: Option<Validator>,
    state: State,
    received: u64,
    /// How long it is to be.
    whole: Option<u64>,
    attempts: u32,
    /// What was received at the last break.
    broke_at: u64,
}

enum State {
    Flowing(Flow),
    /// By this; to be resumed.
    Broken(EgressError),
    Ended,
    Failed(EgressError),
}

struct Flow {
    response: reqwest::Response,
    admission: Admission,
}

enum Piece {
    Bytes(Bytes),
    End,
    Broke,
    Stalled,
}

impl Flow {
    /// What comes next. Dropped before, nothing is lost.
    async fn next(&mut self, stall: Period) -> Piece {
        match tokio::time::timeout(stall.0, self.response.chunk()).await {
            Ok(Ok(Some(bytes))) => Piece::Bytes(bytes),
            Ok(Ok(None)) => Piece::End,
            Ok(Err(_)) => Piece::Broke,
            Err(_) => Piece::Stalled,
        }
    }
}

impl Incoming {
    /// The body behind the head of an answer.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        mut outgoing: Outgoing,
        (response, admission): Answer,
        progress: Progress,
    ) -> Self {
        let (status, answer) = (response.status(), response.headers());
        let validator = Validator::of(&outgoing.method, status, &outgoing.headers, answer);
        let whole = announced_length(&outgoing.method, status, answer);
        // Only a GET is asked again; what another request carried need not be kept.
        outgoing.body = outgoing.body.filter(|_| validator.is_some());
        headers::drop_conditions(&mut outgoing.headers);
        let state = State::Flowing(Flow { response, admission });
        Self { endpoint, outgoing, progress, validator, state, received: 0, whole, attempts: 0, broke_at: 0 }
    }

    fn arrived(&mut self, bytes: &Bytes) {
        self.received += bytes.len() as u64;
        self.progress.touch();
        if self.received - self.broke_at >= ADVANCE {
            self.attempts = 0;
        }
    }

    fn interrupted(&self) -> EgressError {
        EgressError::Interrupted { received: self.received }
    }

    fn stalled(&self) -> EgressError {
        let (place, stall, received) = (redact(&self.outgoing.url), self.endpoint.timeouts.stall, self.received);
        EgressError::Timeout(format!("{place}: nothing more within {stall}, after {received} bytes"))
    }

    /// Asks for the rest, once. Dropped on the way, it is still broken.
    async fn resume(&mut self, reason: EgressError) -> State {
        let Some(validator) = self.validator.clone().filter(|_| self.attempts < MAX_ATTEMPTS) else {
            return State::Failed(reason);
        };
        self.broke_at = self.received;
        self.attempts += 1;
        tokio::time::sleep(FIRST_PAUSE * (1 << (self.attempts - 1))).await;
        let (endpoint, place) = (&*self.endpoint.name, redact(&self.outgoing.url));
        tracing::debug!(endpoint, place, received = self.received, attempt = self.attempts, "resuming a broken body");
        match self.endpoint.exchange(&self.ask_for_rest(&validator), &self.progress).await {
            Ok(answer) => self.joined(&validator, answer, reason),
            Err(error @ (EgressError::Denied(_) | EgressError::Unavailable { .. })) => State::Failed(error),
            Err(_) => State::Broken(reason),
        }
    }

    fn joined(&mut self, validator: &Validator, (response, admission): Answer, reason: EgressError) -> State {
        match rest(validator, self.received, self.whole, response.status(), response.headers()) {
            Rest::Continues { whole } => {
                self.whole = Some(whole);
                State::Flowing(Flow { response, admission })
            }
            Rest::Later => State::Broken(reason),
            Rest::Lost => State::Failed(self.interrupted()),
        }
    }

    fn ask_for_rest(&self, validator: &Validator) -> Outgoing {
        let mut outgoing = self.outgoing.clone();
        // Digits and ASCII letters, so always a header's value.
        if let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.received)) {
            outgoing.headers.insert(RANGE, range);
        }
        outgoing.headers.insert(IF_RANGE, validator.value().clone());
        outgoing
    }
}

#[async_trait]
impl Body for Incoming {
    async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        loop {
            self.state = match &mut self.state {
                State::Flowing(flow) => match flow.next(self.endpoint.timeouts.stall).await {
                    // A part may be longer than it said: what it is of is not known then.
                    Piece::Bytes(bytes)
                        if self.whole.is_some_and(|whole| self.received + bytes.len() as u64 > whole) =>
                    {
                        flow.admission.broke();
                        State::Failed(self.interrupted())
                    }
                    Piece::Bytes(bytes) => {
                        self.arrived(&bytes);
                        return Ok(Some(bytes));
                    }
                    Piece::End if self.whole.is_none_or(|whole| self.received >= whole) => State::Ended,
                    Piece::End | Piece::Broke => {
                        flow.admission.broke();
                        State::Broken(self.interrupted())
                    }
                    Piece::Stalled => {
                        flow.admission.failed();
                        State::Broken(self.stalled())
                    }
                },
                State::Broken(reason) => {
                    let reason = reason.clone();
                    self.resume(reason).await
                }
                State::Ended => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
