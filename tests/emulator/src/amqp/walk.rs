//! How long an encoded value is, without decoding it: a format code's upper half tells how the value's width is
//! written. So a message is cut into its sections, and a performative from its payload, with nothing copied.

/// The length of the value that `bytes` begin with; `None` where it is cut off, or no value begins with such a byte.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // A descriptor is a primitive value; what it describes may be described again.
    while bytes.get(at) == Some(&DESCRIBED) {
        at += 1;
        at += primitive(bytes.get(at..)?)?;
    }
    Some(at + primitive(bytes.get(at..)?)?)
}

/// What a described value begins with.
const DESCRIBED: u8 = 0;

fn primitive(bytes: &[u8]) -> Option<usize> {
    let (&code, rest) = bytes.split_first()?;
    let width = match code >> 4 {
        0x4 => 0,
        0x5 => 1,
        0x6 => 2,
        0x7 => 4,
        0x8 => 8,
        0x9 => 16,
        0xa | 0xc | 0xe => 1 + usize::from(*rest.first()?),
        0xb | 0xd | 0xf => 4 + usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?,
        _ => return None,
    };
    (width <= rest.len()).then_some(1 + width)
}

#[cfg(test)]
mod tests {
    use serde_amqp::primitives::{Array, OrderedMap, Timestamp};
    use serde_amqp::{Value, to_vec};
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::amqp::described;

    #[test]
    fn every_kind_of_value_is_as_long_as_it_is_encoded() {
        let long = "x".repeat(300);
        let map = OrderedMap::from_iter([(Value::Symbol("k".into()), Value::Long(1 << 40))]);
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Ubyte(1),
            Value::Ushort(2),
            Value::Uint(0),
            Value::Uint(200),
            Value::Uint(70_000),
            Value::Long(-3),
            Value::Ulong(u64::MAX),
            Value::Double(1.5.into()),
            Value::Char('x'),
            Value::Timestamp(Timestamp::from_milliseconds(1)),
            Value::Uuid([7; 16].into()),
            Value::String("short".into()),
            Value::String(long.clone()),
            Value::Symbol(long.as_str().into()),
            Value::Binary(ByteBuf::from(vec![0; 1000])),
            Value::List(vec![Value::Null; 3]),
            Value::List(vec![]),
            Value::List(vec![Value::String(long)]),
            Value::Map(map),
            Value::Array(Array(vec![Value::Symbol("a".into())])),
            described(0x24, Value::List(vec![])),
            described(0x28, described(0x29, Value::Uint(5))),
        ];
        for value in values {
            let mut encoded = to_vec(&value).unwrap();
            let expected = encoded.len();
            encoded.extend([0xff, 0]);
            assert_eq!(length(&encoded), Some(expected), "{value:?}");
            assert_eq!(length(&encoded[..expected - 1]), None, "{value:?} cut off");
        }
    }

    #[test]
    fn what_begins_no_value_has_no_length() {
        for bytes in [&[][..], &[0x13], &[0], &[0, 0x53], &[0, 0x53, 1], &[0, 0, 0, 0], &[0xa1], &[0xb1, 0, 0, 1]] {
            assert_eq!(length(bytes), None, "{bytes:02x?}");
        }
    }
}
