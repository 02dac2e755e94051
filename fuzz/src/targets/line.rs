//! A line of JSON that tells a record, as `send --records` reads it; and, read in another way, a message to write as
//! one, as lines of `name: value`, an empty line, and the payload, which is the key as well.
//!
//! - Any line is read or refused with a reason that is one line.
//! - What was read, written as a line and read again, is the same: key, headers and payload byte for byte.

use bytes::Bytes;
use lockgate::cli::lines;
use lockgate::model::Record;

use crate::{Verdict, text};

pub(crate) fn run(data: &[u8]) -> Verdict {
    let message = text::message(data);
    let key = Some(message.payload.clone()).filter(|key| !key.is_empty());
    same_again(Record { key, headers: message.headers, payload: message.payload, partition: None });
    same_again(Record { payload: Bytes::copy_from_slice(data), ..Record::default() });
    let read = lines::read(&String::from_utf8_lossy(data));
    match &read {
        Ok((record, _)) => same_again(record.clone()),
        Err(reason) => assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}"),
    }
    Verdict::of(&read)
}

fn same_again(record: Record) {
    let message = text::received(record.clone());
    let line = lines::line(&message);
    assert!(!line.contains(['\n', '\r']), "{line}");
    let read = lines::read(&line);
    assert_eq!(read, Ok((record, Some(message.id.as_str().to_owned()))), "{line}");
}
