//! Messages as the lines that `tail --json` prints and `send --records` reads, without a command: for the fuzz targets.

use super::record;
use crate::model::{Message, Record};

/// A message as a line, without its end.
pub fn line(message: &Message) -> String {
    record::line(message)
}

/// The record that a line tells and the id that it gives; says what is wrong with it.
pub fn read(line: &str) -> Result<(Record, Option<String>), String> {
    let record::Read { id, key, headers, payload } = record::read(line)?;
    Ok((Record { key, headers, payload, partition: None }, id))
}
