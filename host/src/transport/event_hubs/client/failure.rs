//! What the service refuses and what breaks on the way to it, as this transport tells it apart.

use std::time::Duration;

use fe2o3_amqp_types::definitions;

use super::causes::{Cause, condition};
use crate::model::without_queries;

/// How long a service that is busy is left alone where it does not say.
const BUSY: Duration = Duration::from_secs(4);
/// The most that it is believed.
const LONGEST_BUSY: Duration = Duration::from_secs(300);
/// Characters of the service's words that are handed on.
const LONGEST: usize = 500;

const UNAUTHORIZED: &str = "amqp:unauthorized-access";

/// Why a call came to nothing. Nothing is repeated here: whoever asked decides.
///
/// | condition, or status of an answer | meaning | what to do |
/// |---|---|---|
/// | `amqp:link:stolen` | [`Stolen`](Self::Stolen): a receiver with a higher epoch has the partition | look who owns it |
/// | `amqp:unauthorized-access`, 401, 403 | [`Unauthorized`](Self::Unauthorized) | mend key, rights or role |
/// | `amqp:not-found` with such a text, 404, 410 | [`NotFound`](Self::NotFound): no such hub, group or partition | mend the name |
/// | `com.microsoft:entity-disabled` | [`Disabled`](Self::Disabled) | switch it on |
/// | `com.microsoft:server-busy`, 429, 503 | [`Busy`](Self::Busy): throttled | wait as long as it says |
/// | `amqp:resource-limit-exceeded` | [`Quota`](Self::Quota): receivers of a group, or links and connections | use fewer |
/// | `amqp:link:message-size-exceeded`, 413 | [`TooLarge`](Self::TooLarge) | send less at once |
/// | `com.microsoft:argument-error` on a position | [`Beyond`](Self::Beyond): behind the last event | ask for the partition's end |
/// | `amqp:not-allowed`, `amqp:not-implemented`, `amqp:invalid-field`, `com.microsoft:argument-error`, `com.microsoft:argument-out-of-range`, other 4xx | [`NotAllowed`](Self::NotAllowed) | mend what was asked |
/// | an event that is no AMQP message | [`Unreadable`](Self::Unreadable) | go past it by hand |
/// | all else: `com.microsoft:timeout`, `amqp:internal-error`, `amqp:link:detach-forced`, `amqp:connection:forced`, tokens that expired on a link, released and modified sends, 5xx; time-outs, broken and silent connections | [`Unavailable`](Self::Unavailable) | try again |
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(in crate::transport) enum Failure {
    /// Another receiver has the partition.
    #[error("{0}; another receiver with an equal or a higher epoch has the partition")]
    Stolen(Told),
    /// The service does not let us.
    #[error(
        "{0}; check the key or the signature and its rights (Listen, Send), or that the identity has the role Azure Event \
         Hubs Data Receiver or Data Sender, and that the clock of this machine is right"
    )]
    Unauthorized(Told),
    /// There is no such thing.
    #[error("{0}; check the names of namespace, hub and consumer group, and that they were created")]
    NotFound(Told),
    /// It is switched off.
    #[error("{0}; set the status of the hub or the namespace to Active")]
    Disabled(Told),
    /// There is too much to do.
    #[error("{told}; it is throttled: more throughput or processing units, or fewer requests, would help")]
    Busy {
        /// How long to leave it alone.
        after: Duration,
        /// In whose words.
        told: Told,
    },
    /// No more of these are allowed.
    #[error(
        "{0}; a limit of the namespace is reached: at most five receivers without an epoch read a partition in a consumer \
         group, so give each reader a group of its own, or choose a larger tier"
    )]
    Quota(Told),
    /// The link takes no message of that size.
    #[error("{0}; the message or batch is larger than the hub takes")]
    TooLarge(Told),
    /// A position behind the last event.
    #[error("{0}; the partition ends before that position")]
    Beyond(Told),
    /// What was asked cannot be had.
    #[error("{0}; the service does not take what was asked")]
    NotAllowed(Told),
    /// An event that cannot be read.
    #[error("{0}; the event is no message of AMQP 1.0")]
    Unreadable(Told),
    /// Not now.
    #[error("{0}")]
    Unavailable(Told),
}

/// What was told, by the service or by what stands between.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::transport) struct Told {
    /// Of what: a hub, a partition, an endpoint.
    pub(in crate::transport) at: String,
    /// The condition, where the service named one.
    pub(in crate::transport) condition: Option<String>,
    /// The words.
    pub(in crate::transport) words: String,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.words)?;
        match &self.condition {
            Some(condition) => write!(f, " ({condition})"),
            None => Ok(()),
        }
    }
}

impl Told {
    fn new(at: &str, condition: Option<&str>, words: &str) -> Self {
        let words = without_queries(words.trim().trim_end_matches('.'));
        let words = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
        Self { at: at.to_owned(), condition: condition.map(str::to_owned), words }
    }
}

impl Failure {
    /// Something between us and the service, or of our own.
    pub(super) fn unavailable(at: &str, reason: impl AsRef<str>) -> Self {
        Self::Unavailable(Told::new(at, None, reason.as_ref()))
    }

    /// Something that did not come in time.
    pub(in crate::transport) fn late(at: &str, what: &str) -> Self {
        Self::unavailable(at, format!("{what} did not come in time"))
    }

    /// Something that cannot be asked at all.
    pub(super) fn not_allowed(at: &str, reason: impl AsRef<str>) -> Self {
        Self::NotAllowed(Told::new(at, None, reason.as_ref()))
    }

    /// Nobody who could be signed in as.
    pub(super) fn unauthorized(at: &str, reason: impl AsRef<str>) -> Self {
        Self::Unauthorized(Told::new(at, None, reason.as_ref()))
    }

    /// An event that is none.
    pub(super) fn unreadable(at: &str, reason: impl AsRef<str>) -> Self {
        Self::Unreadable(Told::new(at, None, reason.as_ref()))
    }

    /// A message of so many bytes, where only so many are taken.
    pub(super) fn too_large(at: &str, size: u64, limit: u64) -> Self {
        Self::TooLarge(Told::new(at, None, &format!("{size} bytes, where at most {limit} are taken")))
    }

    /// What the AMQP library reports: in the service's words where there are any.
    pub(super) fn because(at: &str, cause: &impl Cause) -> Self {
        match cause.told() {
            Some(error) => Self::of_error(at, error),
            None => Self::unavailable(at, cause.text()),
        }
    }

    /// What the service says.
    pub(super) fn of_error(at: &str, error: &definitions::Error) -> Self {
        Self::of_condition(at, &condition(&error.condition), error.description.as_deref().unwrap_or("no reason given"))
    }

    /// A condition, by the table above.
    fn of_condition(at: &str, condition: &str, words: &str) -> Self {
        let told = Told::new(at, Some(condition), words);
        match condition {
            "amqp:link:stolen" => Self::Stolen(told),
            // The next one may be good: a renewal came late.
            UNAUTHORIZED if words.contains("ExpiredToken") => Self::Unavailable(told),
            UNAUTHORIZED => Self::Unauthorized(told),
            "amqp:not-found" if names_what_is_missing(words) => Self::NotFound(told),
            "com.microsoft:entity-disabled" => Self::Disabled(told),
            "com.microsoft:server-busy" => Self::Busy { after: wait(words), told },
            "amqp:resource-limit-exceeded" => Self::Quota(told),
            "amqp:link:message-size-exceeded" => Self::TooLarge(told),
            "com.microsoft:argument-error" if words.contains(" in the system is ") => Self::Beyond(told),
            "amqp:not-allowed"
            | "amqp:not-implemented"
            | "amqp:invalid-field"
            | "com.microsoft:argument-error"
            | "com.microsoft:argument-out-of-range" => Self::NotAllowed(told),
            _ => Self::Unavailable(told),
        }
    }

    /// The status of an answer, by the table above.
    pub(super) fn of_status(at: &str, status: u16, words: &str) -> Self {
        let told = Told::new(at, Some(&format!("status {status}")), words);
        match status {
            401 | 403 => Self::Unauthorized(told),
            404 | 410 => Self::NotFound(told),
            413 => Self::TooLarge(told),
            429 | 503 => Self::Busy { after: wait(words), told },
            408 | 0..=399 | 500.. => Self::Unavailable(told),
            _ => Self::NotAllowed(told),
        }
    }

    /// Whether the same may work later with nothing mended.
    pub(in crate::transport) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy { .. })
    }

    /// How long the service asks to be left alone, where it does.
    pub(in crate::transport) fn after(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => Some(*after),
            _ => None,
        }
    }

    /// Whether the service does not honour the token, be it that it ended or that it is not good for what was asked.
    pub(super) fn is_about_tokens(&self) -> bool {
        matches!(self, Self::Unauthorized(_)) || self.told().condition.as_deref() == Some(UNAUTHORIZED)
    }

    /// What was told.
    pub(in crate::transport) fn told(&self) -> &Told {
        match self {
            Self::Stolen(told)
            | Self::Unauthorized(told)
            | Self::NotFound(told)
            | Self::Disabled(told)
            | Self::Busy { told, .. }
            | Self::Quota(told)
            | Self::TooLarge(told)
            | Self::Beyond(told)
            | Self::NotAllowed(told)
            | Self::Unreadable(told)
            | Self::Unavailable(told) => told,
        }
    }
}

/// Whether a hub or a group is what was not found: sessions and links can be missing too, after a failure.
fn names_what_is_missing(words: &str) -> bool {
    words.to_ascii_lowercase().contains("could not be found")
}

/// How long the words of a busy service ask to wait: `Please wait 4 seconds and try again`.
fn wait(words: &str) -> Duration {
    let words = words.to_ascii_lowercase();
    let seconds = words.split_once("wait ").and_then(|(_, after)| after.split(' ').next()?.parse().ok());
    seconds.map_or(BUSY, Duration::from_secs).clamp(Duration::from_millis(100), LONGEST_BUSY)
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::definitions::{AmqpError, ErrorCondition, LinkError};
    use fe2o3_amqp_types::primitives::Symbol;

    use super::*;

    fn kind(failure: &Failure) -> &'static str {
        match failure {
            Failure::Stolen(_) => "stolen",
            Failure::Unauthorized(_) => "unauthorized",
            Failure::NotFound(_) => "not found",
            Failure::Disabled(_) => "disabled",
            Failure::Busy { .. } => "busy",
            Failure::Quota(_) => "quota",
            Failure::TooLarge(_) => "too large",
            Failure::Beyond(_) => "beyond",
            Failure::NotAllowed(_) => "not allowed",
            Failure::Unreadable(_) => "unreadable",
            Failure::Unavailable(_) => "unavailable",
        }
    }

    #[test]
    fn conditions_mean_what_the_table_says() {
        let missing = "The messaging entity 'x' could not be found.";
        let beyond = "The supplied offset '9' is invalid. The last offset in the system is '7'";
        for (condition, words, expected) in [
            ("amqp:link:stolen", "", "stolen"),
            ("amqp:unauthorized-access", "", "unauthorized"),
            ("amqp:unauthorized-access", "ExpiredToken: The token is expired.", "unavailable"),
            ("amqp:not-found", missing, "not found"),
            ("amqp:not-found", "Session is not found", "unavailable"),
            ("com.microsoft:entity-disabled", "", "disabled"),
            ("com.microsoft:server-busy", "", "busy"),
            ("amqp:resource-limit-exceeded", "", "quota"),
            ("amqp:link:message-size-exceeded", "", "too large"),
            ("com.microsoft:argument-error", beyond, "beyond"),
            ("com.microsoft:argument-error", "", "not allowed"),
            ("com.microsoft:argument-out-of-range", "", "not allowed"),
            ("amqp:not-allowed", "", "not allowed"),
            ("amqp:link:detach-forced", "", "unavailable"),
            ("com.microsoft:timeout", "", "unavailable"),
            ("amqp:internal-error", "", "unavailable"),
        ] {
            assert_eq!(kind(&Failure::of_condition("hub x", condition, words)), expected, "{condition}");
        }
    }

    #[test]
    fn the_library_s_conditions_are_known_by_their_names() {
        for (condition, expected) in [
            (ErrorCondition::from(LinkError::Stolen), "stolen"),
            (AmqpError::UnauthorizedAccess.into(), "unauthorized"),
            (ErrorCondition::Custom(Symbol::from("com.microsoft:entity-disabled")), "disabled"),
        ] {
            let error = definitions::Error::new(condition, Some("words".to_owned()), None);
            assert_eq!(kind(&Failure::of_error("hub x", &error)), expected);
        }
    }

    #[test]
    fn statuses_mean_what_the_table_says() {
        for (status, expected) in [
            (401, "unauthorized"),
            (404, "not found"),
            (400, "not allowed"),
            (408, "unavailable"),
            (500, "unavailable"),
            (503, "busy"),
        ] {
            assert_eq!(kind(&Failure::of_status("hub x", status, "words")), expected, "{status}");
        }
    }

    #[test]
    fn a_busy_service_says_how_long_it_is() {
        let told = "Error code : 50002. Please wait 7 seconds and try again.";
        let failure = Failure::of_condition("hub x", "com.microsoft:server-busy", told);
        assert_eq!((failure.after(), failure.is_transient()), (Some(Duration::from_secs(7)), true));
        assert_eq!(wait("it is busy"), BUSY);
        assert_eq!(wait("Please wait 9999999 seconds"), LONGEST_BUSY);
    }

    #[test]
    fn a_failure_says_what_where_and_what_to_do_and_shows_no_signature() {
        let failure = Failure::of_condition("hub x", "amqp:unauthorized-access", "sig=SENTINEL&se=1 expired.\r\n");
        let text = failure.to_string();
        assert!(text.starts_with("hub x: sig=…&se=1 expired (amqp:unauthorized-access); check the key"), "{text}");
        assert!(!format!("{failure:?}").contains("SENTINEL"));
        let long = Failure::unavailable("hub x", "é".repeat(9999));
        assert_eq!(long.told().words.chars().count(), LONGEST);
    }
}
