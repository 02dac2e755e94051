//! A checkpoint: what a group has settled in one partition. It is exact: besides the base it names every position
//! above it that is not settled yet, so that nothing settled runs again after a restart and nothing unsettled is
//! passed. How positions become settled is `flow`'s business; how a checkpoint is kept is a transport's.

use std::fmt;

use super::Position;

/// What is settled in one partition.
///
/// A position is settled when it is at or below `base`, or at or below `highest` and not in `unsettled`. `base` and
/// `highest` are inclusive; `base` may be the position before the first.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    base: Position,
    highest: Position,
    unsettled: Vec<Position>,
}

/// Why bytes are no checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// A later version of Lockgate wrote it, or something else did.
    #[error("checkpoint has format {0}, which this version does not read")]
    Format(u8),
    /// The bytes end too early, or run on.
    #[error("checkpoint is damaged")]
    Damaged,
}

/// Unsettled positions follow as differences.
const DELTAS: u8 = 1;
/// Unsettled positions follow as a bitmap from the base on.
const BITMAP: u8 = 2;

impl Checkpoint {
    /// The most bytes of a checkpoint beside its unsettled positions: format, base, highest. Like the other bounds it
    /// holds where base and highest are less than 2^63 apart, as they are in every log.
    pub const LONGEST_HEAD: usize = 1 + 10 + 9;
    /// The most bytes that one unsettled position adds.
    pub const LONGEST_POSITION: usize = 9;

    /// The most bytes of a checkpoint with so many unsettled positions within `span` above its base: the varint of a
    /// difference has a second byte where that is at least 2^7, a third where at least 2^14, and there is no room in
    /// `span` for many of those.
    pub fn longest(unsettled: usize, span: u64) -> usize {
        let with_byte = |byte: usize| usize::try_from(span >> (7 * byte)).unwrap_or(usize::MAX).min(unsettled);
        Self::LONGEST_HEAD + (0..Self::LONGEST_POSITION).map(with_byte).sum::<usize>()
    }

    /// Everything up to `base` is settled and nothing above it.
    pub fn plain(base: Position) -> Self {
        Self { base, highest: base, unsettled: Vec::new() }
    }

    /// Everything up to `base`, and above it everything up to `highest` but `unsettled`. Positions outside of
    /// (`base`, `highest`) are left out; the rest is put in order.
    pub fn new(base: Position, highest: Position, mut unsettled: Vec<Position>) -> Self {
        let highest = highest.max(base);
        unsettled.retain(|position| *position > base && *position < highest);
        unsettled.sort_unstable();
        unsettled.dedup();
        Self { base, highest, unsettled }
    }

    /// The last position such that it and all before it are settled.
    pub fn base(&self) -> Position {
        self.base
    }

    /// The highest settled position.
    pub fn highest(&self) -> Position {
        self.highest
    }

    /// The positions between base and highest that are not settled, ascending.
    pub fn unsettled(&self) -> &[Position] {
        &self.unsettled
    }

    /// How many positions above the base are settled.
    pub fn settled_above(&self) -> u64 {
        self.span().saturating_sub(self.unsettled.len() as u64)
    }

    /// Whether the message at `position` is settled.
    pub fn is_settled(&self, position: Position) -> bool {
        position <= self.base || position <= self.highest && self.unsettled.binary_search(&position).is_err()
    }

    /// The bytes that a transport stores: a format byte, base and highest as varints, then the unsettled positions
    /// as varint differences or as a bitmap, whichever is shorter.
    pub fn encode(&self) -> Vec<u8> {
        let deltas = self.encode_deltas();
        let bitmap_len = usize::try_from(self.span().div_ceil(8)).unwrap_or(usize::MAX);
        let (format, tail) =
            if deltas.len() <= bitmap_len { (DELTAS, deltas) } else { (BITMAP, self.encode_bitmap(bitmap_len)) };
        let mut bytes = vec![format];
        put_varint(&mut bytes, zigzag(self.base.0));
        put_varint(&mut bytes, self.span());
        bytes.extend(tail);
        bytes
    }

    /// Reads what [`Checkpoint::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&format, mut rest) = bytes.split_first().ok_or(DecodeError::Damaged)?;
        if format != DELTAS && format != BITMAP {
            return Err(DecodeError::Format(format));
        }
        let base = unzigzag(take_varint(&mut rest)?);
        let span = take_varint(&mut rest)?;
        let highest = base.checked_add_unsigned(span).ok_or(DecodeError::Damaged)?;
        let unsettled = match format {
            DELTAS => decode_deltas(base, highest, rest)?,
            _ => decode_bitmap(base, highest, rest)?,
        };
        Ok(Self { base: Position(base), highest: Position(highest), unsettled })
    }

    fn span(&self) -> u64 {
        self.highest.0.abs_diff(self.base.0)
    }

    fn encode_deltas(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.unsettled.len());
        let mut last = self.base;
        for position in &self.unsettled {
            put_varint(&mut bytes, position.0.abs_diff(last.0));
            last = *position;
        }
        bytes
    }

    fn encode_bitmap(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0_u8; len];
        for position in &self.unsettled {
            let bit = position.0.abs_diff(self.base.0) - 1;
            let byte = usize::try_from(bit / 8).ok().and_then(|index| bytes.get_mut(index));
            if let Some(byte) = byte {
                *byte |= 1 << (bit % 8);
            }
        }
        bytes
    }
}

fn decode_deltas(base: i64, highest: i64, mut rest: &[u8]) -> Result<Vec<Position>, DecodeError> {
    let mut unsettled = Vec::new();
    let mut last = base;
    while !rest.is_empty() {
        let delta = take_varint(&mut rest)?;
        let next = last.checked_add_unsigned(delta).filter(|next| delta > 0 && *next < highest);
        let next = next.ok_or(DecodeError::Damaged)?;
        unsettled.push(Position(next));
        last = next;
    }
    Ok(unsettled)
}

fn decode_bitmap(base: i64, highest: i64, rest: &[u8]) -> Result<Vec<Position>, DecodeError> {
    let mut unsettled = Vec::new();
    for (index, byte) in (0_i64..).zip(rest) {
        for bit in (0..8).filter(|bit| byte & (1 << bit) != 0) {
            let position = base.checked_add(index * 8 + bit + 1).filter(|position| *position < highest);
            unsettled.push(Position(position.ok_or(DecodeError::Damaged)?));
        }
    }
    Ok(unsettled)
}

/// Maps signed numbers to unsigned ones so that small magnitudes stay small (Protocol Buffers encoding guide).
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// LEB128, as in Protocol Buffers.
fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::Damaged)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            break;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeError::Damaged)
}

impl fmt::Debug for Checkpoint {
    /// `base 41, settled above to 50 but [43, 47]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "base {}", self.base)?;
        if self.highest > self.base {
            write!(f, ", settled above to {} but {:?}", self.highest, self.unsettled)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions(numbers: &[i64]) -> Vec<Position> {
        numbers.iter().copied().map(Position).collect()
    }

    #[test]
    fn says_what_is_settled() {
        let checkpoint = Checkpoint::new(Position(41), Position(50), positions(&[47, 43, 60, 3]));
        assert_eq!(format!("{checkpoint:?}"), "base 41, settled above to 50 but [43, 47]");
        assert!(checkpoint.is_settled(Position(41)) && checkpoint.is_settled(Position(42)));
        assert!(!checkpoint.is_settled(Position(43)) && !checkpoint.is_settled(Position(51)));
    }

    #[test]
    fn counts_what_is_settled_above_the_base() {
        let above = |highest, unsettled| Checkpoint::new(Position(41), Position(highest), unsettled).settled_above();
        assert_eq!(Checkpoint::plain(Position(41)).settled_above(), 0);
        assert_eq!(above(50, positions(&[43, 47])), 7, "42, 44 to 46, and 48 to 50");
    }

    #[test]
    fn many_unsettled_are_kept_as_a_bitmap() {
        let unsettled: Vec<i64> = (1..10_000).step_by(2).collect();
        let checkpoint = Checkpoint::new(Position(0), Position(10_000), positions(&unsettled));
        let bytes = checkpoint.encode();
        assert!(bytes.len() < 1_300, "{}", bytes.len());
        assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint));
    }

    #[test]
    fn damaged_bytes_are_refused() {
        assert_eq!(Checkpoint::decode(&[]), Err(DecodeError::Damaged));
        assert_eq!(Checkpoint::decode(&[9, 0, 0]), Err(DecodeError::Format(9)));
        assert_eq!(Checkpoint::decode(&[DELTAS, 0x80]), Err(DecodeError::Damaged));
        assert_eq!(Checkpoint::decode(&[DELTAS, 0, 2, 5]), Err(DecodeError::Damaged));
        assert_eq!(Checkpoint::decode(&[BITMAP, 0, 2, 0xff]), Err(DecodeError::Damaged));
    }

    #[test]
    fn positions_at_both_ends_of_what_a_number_holds_are_encoded_and_decoded() {
        let checkpoint =
            Checkpoint::new(Position(i64::MIN), Position(i64::MAX), positions(&[i64::MIN + 1, i64::MAX - 1]));
        assert_eq!(Checkpoint::decode(&checkpoint.encode()), Ok(checkpoint));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(base in -5_i64..1_000_000_000_000, gaps in prop::collection::vec(1_i64..300, 0..200), top in 1_i64..9) {
            let unsettled: Vec<Position> = gaps.iter().scan(base, |at, gap| { *at += gap; Some(Position(*at)) }).collect();
            let highest = Position(unsettled.last().map_or(base, |last| last.0) + top);
            let checkpoint = Checkpoint::new(Position(base), highest, unsettled.clone());
            prop_assert_eq!(checkpoint.unsettled(), &unsettled[..]);
            prop_assert_eq!(Checkpoint::decode(&checkpoint.encode()), Ok(checkpoint));
        }

        #[test]
        fn no_checkpoint_is_longer_than_the_longest(base in any::<i32>(), gaps in prop::collection::vec(prop_oneof![1_i64..4, 100_i64..200, 1_i64..(1 << 40)], 0..60)) {
            let base = i64::from(base);
            let unsettled: Vec<Position> = gaps.iter().scan(base, |at, gap| { *at += gap; Some(Position(*at)) }).collect();
            let last = unsettled.last().map_or(base, |last| last.0);
            let encoded = Checkpoint::new(Position(base), Position(last + 1), unsettled).encode().len();
            prop_assert!(encoded <= Checkpoint::longest(gaps.len(), last.abs_diff(base)), "{} bytes", encoded);
            prop_assert!(encoded <= Checkpoint::LONGEST_HEAD + gaps.len() * Checkpoint::LONGEST_POSITION);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Checkpoint::decode(&bytes);
        }
    }
}
