//! Checkpoints as Kafka keeps them: the offset is that of the next message to read, as every tool expects, which is the
//! one behind the base. What is settled above the base stands in the metadata beside it: `lg1:` and the bytes of
//! [`Checkpoint::encode`] in base64. Where nothing is settled above, the metadata is empty. An offset that another
//! client committed is a checkpoint with nothing settled above it, and ours is one for every other client.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::model::{Checkpoint, Position};

/// Before what we wrote ourselves.
const MARK: &str = "lg1:";

/// Offset and metadata of a checkpoint.
pub(super) fn to_kafka(checkpoint: &Checkpoint) -> (i64, String) {
    let offset = checkpoint.base().0.saturating_add(1);
    if checkpoint.highest() == checkpoint.base() {
        return (offset, String::new());
    }
    (offset, format!("{MARK}{}", STANDARD_NO_PAD.encode(checkpoint.encode())))
}

/// The checkpoint of what is committed. Metadata that is not ours, or belongs to another offset, says nothing.
pub(super) fn from_kafka(offset: i64, metadata: &str) -> Checkpoint {
    let base = Position(offset.saturating_sub(1));
    let bytes = metadata.strip_prefix(MARK).and_then(|text| STANDARD_NO_PAD.decode(text).ok());
    let stored = bytes.and_then(|bytes| Checkpoint::decode(&bytes).ok());
    stored.filter(|checkpoint| checkpoint.base() == base).unwrap_or_else(|| Checkpoint::plain(base))
}

/// The most bytes of [`Checkpoint::encode`] that fit into so many bytes of metadata.
pub(super) fn limit(metadata_bytes: usize) -> usize {
    let text = metadata_bytes.saturating_sub(MARK.len());
    (text / 4 * 3 + (text % 4).saturating_sub(1)).max(Checkpoint::LONGEST_HEAD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_offset_is_that_of_the_next_message() {
        assert_eq!(to_kafka(&Checkpoint::plain(Position(41))), (42, String::new()));
        assert_eq!(from_kafka(42, ""), Checkpoint::plain(Position(41)));
        assert_eq!(from_kafka(0, ""), Checkpoint::plain(Position(-1)));
    }

    #[test]
    fn what_others_wrote_is_a_plain_checkpoint() {
        let ours = to_kafka(&Checkpoint::new(Position(41), Position(50), vec![Position(43)])).1;
        for (offset, metadata) in [(42, "their own"), (42, "lg1:!"), (42, "lg1:AAAA"), (99, &ours)] {
            assert_eq!(from_kafka(offset, metadata), Checkpoint::plain(Position(offset - 1)), "{metadata}");
        }
    }

    #[test]
    fn the_smallest_metadata_holds_the_longest_head() {
        let least = usize::try_from(super::super::config::LEAST_CHECKPOINT_BYTES).unwrap();
        assert!(limit(least) >= Checkpoint::LONGEST_HEAD);
        assert!(MARK.len() + STANDARD_NO_PAD.encode(vec![0; limit(least)]).len() <= least);
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back(base in -1_i64..1_000_000, gaps in prop::collection::vec(1_i64..300, 0..50), top in 1_i64..9) {
            let unsettled: Vec<Position> = gaps.iter().scan(base, |at, gap| { *at += gap; Some(Position(*at)) }).collect();
            let highest = Position(unsettled.last().map_or(base, |last| last.0) + top);
            let checkpoint = Checkpoint::new(Position(base), highest, unsettled);
            let (offset, metadata) = to_kafka(&checkpoint);
            prop_assert_eq!(from_kafka(offset, &metadata), checkpoint);
        }

        #[test]
        fn what_is_within_the_limit_fits(metadata in 64_usize..5000) {
            let longest = MARK.len() + STANDARD_NO_PAD.encode(vec![0; limit(metadata)]).len();
            prop_assert!(longest <= metadata, "{} of {}", longest, metadata);
            let longer = MARK.len() + STANDARD_NO_PAD.encode(vec![0; limit(metadata) + 1]).len();
            prop_assert!(longer > metadata, "{} of {}", longer, metadata);
        }
    }
}
