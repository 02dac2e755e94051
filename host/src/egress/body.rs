//! A body on its way. It holds its place at the gate until it ends, breaks or is dropped; when it breaks, and the origin
//! can prove that the entity is still the same, the rest is asked for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{HeaderValue, IF_RANGE, RANGE};
use tokio::time::Instant;

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

/// Bytes a second that a body brings at least, taken over the stall limit: what comes by the drop holds its place, and
/// its plugin's, for ever.
const SLOWEST: u64 = 64;

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
    pace: Pace,
}

enum Piece {
    Bytes(Bytes),
    End,
    Broke,
    Stalled,
    Dripped,
}

/// How a body gets on while it is waited for; time that its reader takes does not count.
#[derive(Default)]
struct Pace {
    waited: Duration,
    brought: u64,
}

impl Pace {
    /// Counts a piece. Once it was waited for as long as a stall lasts, says whether all that came is too little.
    fn is_dripping(&mut self, waited: Duration, bytes: &Bytes, stall: Period) -> bool {
        self.waited += waited;
        self.brought += bytes.len() as u64;
        if self.waited < stall.0 {
            return false;
        }
        let Self { waited, brought } = std::mem::take(self);
        u128::from(brought) * 1000 < u128::from(SLOWEST) * waited.as_millis()
    }
}

impl Flow {
    fn new((response, admission): Answer) -> Self {
        Self { response, admission, pace: Pace::default() }
    }

    /// What comes next. Dropped before, nothing is lost.
    async fn next(&mut self, stall: Period) -> Piece {
        let asked = Instant::now();
        match tokio::time::timeout(stall.0, self.response.chunk()).await {
            Ok(Ok(Some(bytes))) if self.pace.is_dripping(asked.elapsed(), &bytes, stall) => Piece::Dripped,
            Ok(Ok(Some(bytes))) => Piece::Bytes(bytes),
            Ok(Ok(None)) => Piece::End,
            Ok(Err(_)) => Piece::Broke,
            Err(_) => Piece::Stalled,
        }
    }
}

impl Incoming {
    /// The body behind the head of an answer.
    pub(super) fn new(endpoint: Arc<Endpoint>, mut outgoing: Outgoing, answer: Answer, progress: Progress) -> Self {
        let (status, head) = (answer.0.status(), answer.0.headers());
        let validator = Validator::of(&outgoing.method, status, &outgoing.headers, head);
        let whole = announced_length(&outgoing.method, status, head);
        // Only a GET is asked again; what another request carried need not be kept.
        outgoing.body = outgoing.body.filter(|_| validator.is_some());
        headers::drop_conditions(&mut outgoing.headers);
        let state = State::Flowing(Flow::new(answer));
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
        let (place, stall, received) = (self.place(), self.endpoint.timeouts.stall, self.received);
        EgressError::Timeout(format!("{place}: nothing more within {stall}, after {received} bytes"))
    }

    fn dripped(&self) -> EgressError {
        let (place, stall, received) = (self.place(), self.endpoint.timeouts.stall, self.received);
        EgressError::Timeout(format!(
            "{place}: fewer than {SLOWEST} bytes a second for {stall}, after {received} bytes"
        ))
    }

    fn too_long(&self) -> EgressError {
        let (place, most) = (self.place(), self.endpoint.max_body);
        EgressError::Denied(format!("{place}: the body is longer than {most}, the endpoint's `max_body`"))
    }

    fn place(&self) -> String {
        self.endpoint.place(&self.outgoing.url)
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

    fn joined(&mut self, validator: &Validator, answer: Answer, reason: EgressError) -> State {
        match rest(validator, self.received, self.whole, answer.0.status(), answer.0.headers()) {
            Rest::Continues { whole } => {
                self.whole = Some(whole);
                State::Flowing(Flow::new(answer))
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
            let (whole, most) = (self.whole, self.endpoint.max_body.0);
            let so_far = self.received;
            let with = |bytes: &Bytes| so_far + bytes.len() as u64;
            self.state = match &mut self.state {
                State::Flowing(flow) => match flow.next(self.endpoint.timeouts.stall).await {
                    // What says that it is too long is not waited for.
                    Piece::Bytes(bytes) if whole.unwrap_or_default().max(with(&bytes)) > most => {
                        flow.admission.broke();
                        State::Failed(self.too_long())
                    }
                    // A part may be longer than it said: what it is of is not known then.
                    Piece::Bytes(bytes) if whole.is_some_and(|whole| with(&bytes) > whole) => {
                        flow.admission.broke();
                        State::Failed(self.interrupted())
                    }
                    Piece::Bytes(bytes) => {
                        self.arrived(&bytes);
                        return Ok(Some(bytes));
                    }
                    Piece::End if whole.is_none_or(|whole| so_far >= whole) => State::Ended,
                    Piece::End | Piece::Broke => {
                        flow.admission.broke();
                        State::Broken(self.interrupted())
                    }
                    Piece::Stalled => {
                        flow.admission.failed();
                        State::Broken(self.stalled())
                    }
                    Piece::Dripped => {
                        flow.admission.failed();
                        State::Broken(self.dripped())
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
