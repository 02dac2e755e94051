//! Messages, and topics full of them.

use anyhow::Context;
use bytes::Bytes;
use lockgate::model::Record;
use lockgate::transport::Transport;

/// A message as the claims systems send them, of exactly 1 KiB.
pub(crate) const CLAIM: &str = include_str!("message.json");

/// The message of this number: as long as any other, but with ids and hashes of its own, so that it compresses as
/// messages do, and not as copies of one.
pub(crate) fn claim(number: u64) -> Vec<u8> {
    const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let hash = |salt: u64| {
        let mut mixed = (number << 3 | salt).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    CLAIM
        .replace("7d1e-7b42-9a55-3f0c8e6f1a77", &format!("7d1e-7b42-9a55-{:012x}", hash(0) >> 16))
        .replace("4bf92f3577b34da6a3ce929d0e0e4736", &format!("{:016x}{:016x}", hash(1), hash(2)))
        .replace(SHA256, &format!("{:016x}{:016x}{:016x}{:016x}", hash(3), hash(4), hash(5), hash(6)))
        .replace("99172345", &(10_000_000 + number % 90_000_000).to_string())
        .into_bytes()
}

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

    #[test]
    fn each_number_has_its_own_message_of_the_same_size() {
        let (one, other) = (claim(7), claim(1_000_000));
        assert_ne!(one, other);
        for message in [one, other] {
            assert_eq!(message.len(), CLAIM.len());
            serde_json::from_slice::<serde_json::Value>(&message).unwrap();
        }
    }
}
