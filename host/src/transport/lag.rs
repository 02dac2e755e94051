//! How far a group is behind in a partition.

use super::{PartitionInfo, Start};
use crate::model::Checkpoint;

impl PartitionInfo {
    /// Messages that are kept and not settled.
    ///
    /// | checkpoint | lag |
    /// |---|---|
    /// | stored | from behind its base, or from the oldest kept one if that is later, to the end, less what is settled there |
    /// | none, `start: earliest` | all that are kept |
    /// | none, `start` is a time | all that are kept: which of them are older is known once the group begins |
    /// | none, `start: latest` | none: the group begins with what is written once it runs |
    pub fn lag(&self, stored: Option<&Checkpoint>, start: Start) -> u64 {
        let Some(checkpoint) = stored else {
            return if start == Start::Latest { 0 } else { length(self.first, self.end) };
        };
        let next = self.first.max(checkpoint.base().0.saturating_add(1));
        // What is settled there ends with the highest; of it, the unsettled are named.
        let settled_to = self.end.min(checkpoint.highest().0.saturating_add(1));
        let unsettled =
            checkpoint.unsettled().iter().filter(|position| (next..settled_to).contains(&position.0)).count();
        length(next.max(settled_to), self.end) + unsettled as u64
    }
}

fn length(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Position;

    #[test]
    fn what_retention_removed_is_no_lag_and_hides_none() {
        let stored = Checkpoint::new(Position(0), Position(10), vec![Position(1)]);
        let lag = |first, end| PartitionInfo { first, end }.lag(Some(&stored), Start::Earliest);
        assert_eq!(lag(9, 12), 1, "11");
        assert_eq!(lag(0, 12), 2, "1 and 11");
        assert_eq!((lag(11, 11), lag(12, 12), lag(0, 0)), (0, 0, 0));
    }

    #[test]
    fn a_group_without_a_checkpoint_lags_as_it_would_start() {
        let info = PartitionInfo { first: 3, end: 10 };
        assert_eq!((info.lag(None, Start::Earliest), info.lag(None, Start::Latest)), (7, 0));
    }

    proptest! {
        #[test]
        fn lag_is_what_one_by_one_is_not_settled(
            base in -1_i64..20, span in 0_i64..20, unsettled in prop::collection::vec(0_i64..40, 0..9),
            first in 0_i64..30, kept in 0_i64..20,
        ) {
            let unsettled = unsettled.into_iter().map(Position).collect();
            let stored = Checkpoint::new(Position(base), Position(base + span), unsettled);
            let info = PartitionInfo { first, end: first + kept };
            let slow = (first..info.end).filter(|position| !stored.is_settled(Position(*position))).count();
            prop_assert_eq!(info.lag(Some(&stored), Start::Earliest), slow as u64);
        }
    }
}
