//! How long the other members of a group have stood still, by this member's own clock. Time in which it did not look
//! itself counts for little: where the whole machine slept, everybody stands still, and nobody is dead.

use std::time::Duration;

use tokio::time::Instant;

use super::look::Sign;

/// Looks that must pass before a member may count as dead, however long they take.
const LOOKS: u32 = 3;

/// The signs of life that were seen last.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// With the time that each has stood still. There are no more than members.
    seen: Vec<(Sign, Duration)>,
    /// When that was.
    at: Option<Instant>,
}

impl Signs {
    /// These are the signs of life now.
    pub(super) fn see(&mut self, signs: Vec<Sign>, now: Instant, lease: Duration) {
        let since = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)).min(lease / LOOKS);
        let seen = std::mem::take(&mut self.seen);
        let still = |sign: Sign| {
            let before = seen.iter().find(|(before, _)| *before == sign);
            (sign, before.map_or(Duration::ZERO, |(_, still)| still.saturating_add(since)))
        };
        self.seen = signs.into_iter().map(still).collect();
        self.at = Some(now);
    }

    /// Those that have stood still for a lease.
    pub(super) fn stale(&self, lease: Duration) -> Vec<Sign> {
        // Thirds of a lease may not add up to it exactly.
        let enough = (lease / LOOKS).saturating_mul(LOOKS);
        self.seen.iter().filter(|(_, still)| *still >= enough).map(|(sign, _)| *sign).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn sign(member: i64, beat: i64) -> Sign {
        Sign { member, beat }
    }

    /// Sees signs at the given seconds; says who is stale then.
    fn stale_after(looks: &[(u64, &[Sign])]) -> Vec<Sign> {
        let (mut signs, start) = (Signs::default(), Instant::now());
        for (second, seen) in looks {
            signs.see(seen.to_vec(), start + Duration::from_secs(*second), LEASE);
        }
        signs.stale(LEASE)
    }

    #[test]
    fn who_stands_still_for_a_lease_is_stale_and_who_moves_is_not() {
        let (still, moves) = (sign(1, 5), |beat| sign(2, beat));
        let looks = |seconds: u64| -> Vec<(u64, Vec<Sign>)> {
            (0..=seconds).map(|second| (second, vec![still, moves(second as i64 / 9)])).collect()
        };
        let stale = |seconds| {
            let looks = looks(seconds);
            stale_after(&looks.iter().map(|(second, signs)| (*second, &signs[..])).collect::<Vec<_>>())
        };
        assert_eq!(stale(9), []);
        assert_eq!(stale(10), [still]);
        assert_eq!(stale(17), [still]);
    }

    #[test]
    fn a_looker_that_slept_itself_takes_nobody_for_dead() {
        let other = [sign(1, 5)];
        assert_eq!(stale_after(&[(0, &other), (1, &other), (500, &other)]), []);
        assert_eq!(stale_after(&[(0, &other), (4, &other), (8, &other), (12, &other)]), other);
    }

    #[test]
    fn who_left_and_came_again_begins_anew() {
        let (other, none) = ([sign(1, 5)], []);
        let seen: [(u64, &[Sign]); 5] = [(0, &other), (3, &other), (6, &other), (9, &none), (12, &other)];
        assert_eq!(stale_after(&seen), []);
    }
}
