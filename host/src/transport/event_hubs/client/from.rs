//! Where a receiver begins, as a filter of the service.

use fe2o3_amqp_types::primitives::{Symbol, Value};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;

use crate::model::{Position, Timestamp};

/// The kind of filter that Event Hubs knows.
const FILTER: &str = "apache.org:selector-filter:string";

/// Where a receiver begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum From {
    /// With the oldest event that is kept.
    Earliest,
    /// With the first event behind this one.
    After(Position),
    /// With the first event that came at this time or later.
    Since(Timestamp),
    /// With what comes from now on; when that is, only the service knows.
    Now,
}

impl From {
    /// The filter's text.
    fn selector(self) -> String {
        match self {
            Self::Earliest => "amqp.annotation.x-opt-offset > '-1'".to_owned(),
            Self::After(Position(number)) => format!("amqp.annotation.x-opt-sequence-number > '{number}'"),
            Self::Since(Timestamp(0)) => Self::Earliest.selector(),
            // The service knows only what comes later than a time.
            Self::Since(Timestamp(time)) => format!("amqp.annotation.x-opt-enqueued-time > '{}'", time - 1),
            Self::Now => "amqp.annotation.x-opt-offset > '@latest'".to_owned(),
        }
    }

    /// The filter, and its name.
    pub(super) fn filter(self) -> (Symbol, Described<Value>) {
        let name: Symbol = FILTER.into();
        let value = Value::String(self.selector());
        (name.clone(), Described { descriptor: Descriptor::Name(name), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_beginning_is_a_selector() {
        for (from, selector) in [
            (From::Earliest, "amqp.annotation.x-opt-offset > '-1'"),
            (From::After(Position(41)), "amqp.annotation.x-opt-sequence-number > '41'"),
            (From::Since(Timestamp(1_700_000_000_000)), "amqp.annotation.x-opt-enqueued-time > '1699999999999'"),
            (From::Since(Timestamp(0)), "amqp.annotation.x-opt-offset > '-1'"),
            (From::Now, "amqp.annotation.x-opt-offset > '@latest'"),
        ] {
            assert_eq!(from.filter().1.value, Value::String(selector.to_owned()));
        }
    }
}
