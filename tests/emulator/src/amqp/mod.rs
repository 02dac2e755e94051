//! AMQP on the wire: frames, performatives, and messages by their sections. Knows nothing of hubs.

use serde_amqp::Value;
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;

pub(crate) mod frames;
pub(crate) mod message;
pub(crate) mod performatives;
mod walk;

/// A value under a descriptor of the standard.
pub(crate) fn described(code: u64, value: Value) -> Value {
    Value::Described(Box::new(Described { descriptor: Descriptor::Code(code), value }))
}

/// A text, be it a string or a symbol.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Symbol(symbol) => Some(&symbol.0),
        _ => None,
    }
}

/// An integer of whatever width.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Ubyte(number) => Some((*number).into()),
        Value::Ushort(number) => Some((*number).into()),
        Value::Uint(number) => Some((*number).into()),
        Value::Ulong(number) => i64::try_from(*number).ok(),
        Value::Byte(number) => Some((*number).into()),
        Value::Short(number) => Some((*number).into()),
        Value::Int(number) => Some((*number).into()),
        Value::Long(number) => Some(*number),
        _ => None,
    }
}

/// What a map holds under a symbol or a string.
pub(crate) fn entry<'a>(map: &'a Value, key: &str) -> Option<&'a Value> {
    let Value::Map(map) = map else { return None };
    map.iter().find_map(|(name, value)| (text(name) == Some(key)).then_some(value))
}

/// What was encoded is not what it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);
