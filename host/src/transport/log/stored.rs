//! How the headers of a message lie in the log's table, without a table: for the fuzz targets.

use bytes::Bytes;

use super::headers;
use crate::model::Headers;

/// The stored form; none for no headers.
pub fn encode(headers: &Headers) -> Option<Vec<u8>> {
    headers::encode(headers)
}

/// Reads it back; none when it is damaged.
pub fn decode(bytes: Bytes) -> Option<Headers> {
    headers::decode(bytes)
}
