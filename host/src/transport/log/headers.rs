//! How headers are stored: for each, in order, the name and the value, both with their length in four bytes, little
//! endian, before them.

use bytes::{Buf, Bytes};
use compact_str::CompactString;

use crate::model::Headers;

/// The stored form; none for no headers.
pub(super) fn encode(headers: &Headers) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(headers.size() + 8 * headers.as_slice().len());
    for header in headers {
        for part in [header.name.as_bytes(), &header.value] {
            // A message that is too large for this was refused before.
            bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(part);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Reads what [`encode`] gave; none when it is damaged. Values share the bytes.
pub(super) fn decode(mut bytes: Bytes) -> Option<Headers> {
    let mut headers = Headers::default();
    while bytes.has_remaining() {
        let name = CompactString::from_utf8(part(&mut bytes)?).ok()?;
        headers.push(name, part(&mut bytes)?);
    }
    Some(headers)
}

fn part(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_headers_take_no_room() {
        assert_eq!(encode(&Headers::default()), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(pairs in prop::collection::vec((".{0,5}", prop::collection::vec(any::<u8>(), 0..9)), 1..5)) {
            let mut headers = Headers::default();
            for (name, value) in pairs {
                headers.push(name, value);
            }
            let bytes = encode(&headers).unwrap();
            prop_assert_eq!(decode(bytes.into()), Some(headers));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(bytes.into());
        }
    }
}
