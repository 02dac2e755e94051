//! What went wrong with an attachment, and what its message ends as.

use std::time::Duration;

use lockgate_plugin::{Context, Emission, Outcome, Verdict, blobs, http, json};

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// A short stable word to count by.
    pub code: String,
    /// For the operator. Never holds a query of a URL.
    pub reason: String,
    /// The status that the origin answered, where that is what is wrong.
    pub http_status: Option<u16>,
    /// What can be done about it.
    pub next: Next,
}

/// What can be done about a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing.
    Never,
    /// It may go better later, after this long where something says so.
    Later(Option<Duration>),
    /// No message can pass until something is repaired.
    Hold(Option<Duration>),
}

impl Failure {
    /// What will never go better.
    pub fn never(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { code: code.into(), reason: reason.into(), http_status: None, next: Next::Never }
    }

    /// What may go better later.
    pub fn later(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { next: Next::Later(None), ..Self::never(code, reason) }
    }

    /// The same, as the answer of an origin with this status.
    pub fn answered(self, status: u16) -> Self {
        Self { http_status: Some(status), ..self }
    }

    /// The same, but only after this long. What never goes better does not with time.
    pub fn after(self, after: Option<Duration>) -> Self {
        let next = match self.next {
            Next::Later(none) => Next::Later(after.or(none)),
            next => next,
        };
        Self { next, ..self }
    }

    /// What the message ends as. `result` says what is published where the attachment is given up.
    ///
    /// | the failure | attempts left | ends as |
    /// |---|---|---|
    /// | will never go better | any | `reject`, with the result |
    /// | may go better later | some | `retry` |
    /// | may go better later | none | `reject`, with the result; the reason begins with how many attempts there were |
    /// | nothing can pass | any | `hold` |
    pub fn outcome(
        self,
        context: &Context,
        result: impl FnOnce(&Self) -> Result<Option<Emission>, json::Error>,
    ) -> Outcome {
        match self.next {
            Next::Hold(after) => Outcome::of(Verdict::Hold { after, reason: self.reason }),
            Next::Later(after) if context.attempts_left() > 0 => {
                Outcome::of(Verdict::Retry { after, reason: self.reason })
            }
            Next::Later(_) => self.tried(context.attempt()).given_up(result),
            Next::Never => self.given_up(result),
        }
    }

    /// The same after so many attempts. It is said first, for long reasons are cut.
    fn tried(self, attempts: u32) -> Self {
        let attempts = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
        Self { reason: format!("after {attempts}: {}", self.reason), ..self }
    }

    fn given_up(self, result: impl FnOnce(&Self) -> Result<Option<Emission>, json::Error>) -> Outcome {
        match result(&self) {
            Ok(result) => result.into_iter().fold(Outcome::reject(self.code, self.reason), Outcome::emit),
            Err(error) => error.into(),
        }
    }
}

impl Next {
    /// As the SDK has it.
    fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Retry { after, .. } => Self::Later(after),
            Verdict::Hold { after, .. } => Self::Hold(after),
            Verdict::Done | Verdict::Skip { .. } | Verdict::Reject { .. } => Self::Never,
        }
    }
}

/// As the SDK has it: an open breaker before one system holds the pipeline; before one of many hosts its message is tried
/// again once the breaker may have closed, and the other hosts' messages go on.
impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        let (code, reason) = (error.code(), error.to_string());
        Self { next: Next::of(Outcome::from(error).verdict), ..Self::never(code, reason) }
    }
}

impl From<blobs::Error> for Failure {
    fn from(error: blobs::Error) -> Self {
        let (code, reason) = (error.code(), error.to_string());
        Self { next: Next::of(Outcome::from(error).verdict), ..Self::never(code, reason) }
    }
}

impl From<json::Error> for Failure {
    fn from(error: json::Error) -> Self {
        Self::never(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::http::Reach;

    use super::*;

    #[test]
    fn errors_of_the_host_are_failures_as_the_sdk_has_them() {
        let after = Duration::from_secs(3);
        let open = |reach| http::Error::Unavailable { endpoint: "e".into(), retry_after: after, reach };
        let down = blobs::Error::Unavailable { store: "s".into(), reason: "r".into() };
        for (failure, code, next) in [
            (open(Reach::ManyHosts).into(), "unavailable", Next::Later(Some(after))),
            (open(Reach::OneSystem).into(), "unavailable", Next::Hold(Some(after))),
            (http::Error::Timeout("t".into()).into(), "timeout", Next::Later(None)),
            (http::Error::Denied("d".into()).into(), "denied", Next::Never),
            (down.into(), "store-unavailable", Next::Hold(None)),
            (blobs::Error::Source("s".into()).into(), "source", Next::Later(None)),
            (blobs::Error::TooLarge { limit: 1 }.into(), "too-large", Next::Never),
        ] {
            let Failure { code: is, next: then, .. } = failure;
            assert_eq!((is.as_str(), then), (code, next));
        }
    }

    #[test]
    fn time_heals_only_what_may_go_better() {
        let after = Some(Duration::from_secs(3));
        assert_eq!(Failure::later("c", "r").after(after).next, Next::Later(after));
        assert_eq!(Failure::later("c", "r").after(after).after(None).next, Next::Later(after));
        assert_eq!(Failure::never("c", "r").after(after).next, Next::Never);
    }
}
