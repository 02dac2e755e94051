//! The stored headers of a message in the embedded log, and, read in another way, headers to store, as lines of
//! `name: value`.
//!
//! - Any bytes are read or refused; what is read is stored as the very same bytes, so that there is one way to write
//!   headers, and weighs no more than they do.
//! - Any headers are stored and read again as the same; none take no room.

use bytes::Bytes;
use lockgate::model::Headers;
use lockgate::transport::log::stored;

use crate::{Verdict, text};

pub(crate) fn run(data: &[u8]) -> Verdict {
    same_again(&text::headers(data));
    let Some(headers) = stored::decode(Bytes::copy_from_slice(data)) else { return Verdict::Refused };
    assert!(headers.size() <= data.len());
    assert_eq!(stored::encode(&headers).unwrap_or_default(), data);
    Verdict::Taken
}

fn same_again(headers: &Headers) {
    match stored::encode(headers) {
        Some(bytes) => assert_eq!(stored::decode(bytes.into()).as_ref(), Some(headers)),
        None => assert_eq!(headers, &Headers::default()),
    }
}
