//! Messages, and topics full of them.

use anyhow::Context;
use bytes::Bytes;
use lockgate::model::Record;
use lockgate::transport::Transport;

/// A message as the claims systems send them, of exactly 1 KiB.
pub(crate) const CLAIM: &str = include_str!("message.json");

/// Records in one write.
const TOGETHER: usize = 1000;

/// A record with this body.
pub(crate) fn record(payload: &'static str) -> Record {
    Record { payload: Bytes::from_static(payload.as_bytes()), ..Record::default() }
}

/// Writes records into a topic, made where missing.
pub(crate) async fn fill(
    transport: &dyn Transport,
    topic: &str,
    records: impl Iterator<Item = Record>,
) -> anyhow::Result<()> {
    let sink = transport.sink(topic).await?;
    let mut records = records.peekable();
    while records.peek().is_some() {
        let written = sink.write(records.by_ref().take(TOGETHER).collect()).await;
        written.into_iter().collect::<Result<Vec<_>, _>>().with_context(|| format!("cannot fill topic {topic}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_one_kibibyte() {
        assert_eq!(CLAIM.len(), 1024);
    }
}
