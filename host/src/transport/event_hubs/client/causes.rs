//! Finds the service's own words in the errors of the AMQP library, which wraps them deep; and says shortly what
//! happened where there are none.

use std::fmt::Display;

use fe2o3_amqp::connection::{ConnectionStopReason, OpenError};
use fe2o3_amqp::link::{
    DetachError, IllegalLinkStateError, LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError,
    SessionStopReason,
};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp::{connection, transport};
use fe2o3_amqp_management::error::AttachError;
use fe2o3_amqp_types::definitions::{self, ErrorCondition};
use fe2o3_amqp_types::primitives::Symbol;

/// What went wrong in the library.
pub(super) trait Cause {
    /// What the service said.
    fn told(&self) -> Option<&definitions::Error>;
    /// What happened, where it said nothing.
    fn text(&self) -> String;
}

/// The name of a condition, as it goes over the wire.
pub(super) fn condition(condition: &ErrorCondition) -> String {
    let symbol = match condition {
        ErrorCondition::AmqpError(error) => Symbol::from(error),
        ErrorCondition::ConnectionError(error) => Symbol::from(error),
        ErrorCondition::SessionError(error) => Symbol::from(error),
        ErrorCondition::LinkError(error) => Symbol::from(error),
        ErrorCondition::Custom(symbol) => return symbol.0.clone(),
    };
    symbol.0
}

/// The words of an error, and of what caused it.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.fold(String::new(), |mut text, cause| {
        let cause = cause.to_string();
        match text.contains(&cause) {
            true => text,
            false => {
                text.push_str(if text.is_empty() { "" } else { ": " });
                text.push_str(&cause);
                text
            }
        }
    })
}

fn stopped(reason: &ConnectionStopReason) -> Option<&definitions::Error> {
    match reason {
        ConnectionStopReason::RemoteClosedWithError(error) => Some(error),
        ConnectionStopReason::Closed
        | ConnectionStopReason::ClosedWithError(_)
        | ConnectionStopReason::RemoteClosed => None,
    }
}

impl Cause for SessionStopReason {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::RemoteEndedWithError(error) => Some(error),
            Self::ConnectionStopped(reason) => stopped(reason),
            Self::Ended | Self::EndedWithError(_) | Self::RemoteEnded => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::ConnectionStopped(_) => "the connection ended".to_owned(),
            Self::RemoteEnded | Self::RemoteEndedWithError(_) => "the service ended the session".to_owned(),
            Self::Ended | Self::EndedWithError(_) => "the session ended".to_owned(),
        }
    }
}

impl Cause for LinkStateError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::SessionStopped(reason) => reason.told(),
            Self::RemoteDetachedWithError(error) | Self::RemoteClosedWithError(error) => Some(error),
            Self::IllegalState | Self::RemoteDetached | Self::RemoteClosed | Self::ExpectImmediateDetach => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::SessionStopped(reason) => reason.text(),
            Self::RemoteDetached | Self::RemoteClosed => "the service ended the link".to_owned(),
            other => lower(other),
        }
    }
}

impl Cause for IllegalLinkStateError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::SessionStopped(reason) => reason.told(),
            Self::IllegalState => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::SessionStopped(reason) => reason.text(),
            Self::IllegalState => "the link has ended".to_owned(),
        }
    }
}

impl Cause for RecvError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::LinkStateError(error) => error.told(),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::LinkStateError(error) => error.text(),
            other => lower(other),
        }
    }
}

impl Cause for SendError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::LinkStateError(error) => error.told(),
            Self::Detached(error) => error.told(),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::LinkStateError(error) => error.text(),
            Self::Detached(error) => error.text(),
            other => lower(other),
        }
    }
}

impl Cause for DetachError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::SessionStopped(reason) => reason.told(),
            Self::RemoteDetachedWithError(error) | Self::RemoteClosedWithError(error) => Some(error),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::SessionStopped(reason) => reason.text(),
            other => lower(other),
        }
    }
}

impl Cause for ReceiverAttachError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::SessionStopped(reason) => reason.told(),
            Self::RemoteClosedWithError(error) => Some(error),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::SessionStopped(reason) => reason.text(),
            other => lower(other),
        }
    }
}

impl Cause for SenderAttachError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::SessionStopped(reason) => reason.told(),
            Self::RemoteClosedWithError(error) => Some(error),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::SessionStopped(reason) => reason.text(),
            other => lower(other),
        }
    }
}

impl Cause for AttachError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::Sender(error) => error.told(),
            Self::Receiver(error) => error.told(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Sender(error) => error.text(),
            Self::Receiver(error) => error.text(),
        }
    }
}

impl Cause for BeginError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::RemoteEndedWithError(error) => Some(error),
            Self::ConnectionStopped(reason) => stopped(reason),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::ConnectionStopped(_) => "the connection ended".to_owned(),
            other => lower(other),
        }
    }
}

impl Cause for OpenError {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::RemoteClosedWithError(error) => Some(error),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Io(error) => words(error),
            Self::TransportError(error) => in_transport(error),
            Self::ProtocolHeaderMismatch(_) => "what answers does not speak AMQP 1.0".to_owned(),
            other => lower(other),
        }
    }
}

impl Cause for connection::Error {
    fn told(&self) -> Option<&definitions::Error> {
        match self {
            Self::RemoteClosedWithError(error) => Some(error),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::TransportError(error) => in_transport(error),
            Self::RemoteClosed => "the service closed the connection".to_owned(),
            // This is what it says when a stream ends between two frames.
            Self::IllegalState => "the connection was cut".to_owned(),
            other => lower(other),
        }
    }
}

fn in_transport(error: &transport::Error) -> String {
    match error {
        transport::Error::Io(error) => format!("the connection broke: {}", words(error)),
        transport::Error::IdleTimeoutElapsed => "the connection was silent for too long".to_owned(),
        other => lower(other),
    }
}

fn lower(error: &impl Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text,
    }
}
