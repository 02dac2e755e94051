//! The bytes of a stored checkpoint, and, read in another way, positions to make one of: eight bytes each, the first
//! the base, the second the highest.
//!
//! - Any bytes are read or refused; what is read has its positions in order, once each, between base and highest, takes
//!   up no more than its bytes can tell, and is encoded and read again as the same.
//! - A checkpoint of any positions is encoded and read again as the same, in no more bytes than `longest` foretells
//!   of what lies less than 2^63 apart.
//! - It says of each position, and of its neighbours, whether it is settled, as a set of the unsettled ones would.

use std::collections::BTreeSet;

use lockgate::model::{Checkpoint, Position};

use crate::Verdict;

pub(crate) fn run(data: &[u8]) -> Verdict {
    let (numbers, _) = data.as_chunks::<8>();
    made(&numbers.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect::<Vec<_>>());
    let decoded = Checkpoint::decode(data);
    if let Ok(checkpoint) = &decoded {
        assert!(checkpoint.unsettled().len() <= data.len().saturating_mul(8), "{checkpoint:?}");
        same_again(checkpoint);
    }
    Verdict::of(&decoded)
}

fn same_again(checkpoint: &Checkpoint) {
    let unsettled = checkpoint.unsettled();
    assert_eq!(&Checkpoint::new(checkpoint.base(), checkpoint.highest(), unsettled.to_vec()), checkpoint);
    let bytes = checkpoint.encode();
    assert_eq!(Checkpoint::decode(&bytes).as_ref(), Ok(checkpoint));
    let span = checkpoint.highest().0.abs_diff(checkpoint.base().0);
    let longest = Checkpoint::longest(unsettled.len(), span);
    if i64::try_from(span).is_err() {
        return;
    }
    assert!(bytes.len() <= longest, "{} bytes, where {longest} are the most", bytes.len());
    assert!(longest <= Checkpoint::LONGEST_HEAD + unsettled.len() * Checkpoint::LONGEST_POSITION);
}

fn made(numbers: &[i64]) {
    let [base, highest, positions @ ..] = numbers else { return };
    let highest = highest.max(base);
    let unsettled = positions.iter().copied().map(Position).collect();
    let checkpoint = Checkpoint::new(Position(*base), Position(*highest), unsettled);
    same_again(&checkpoint);
    let open: BTreeSet<i64> = positions.iter().copied().filter(|number| number > base && number < highest).collect();
    assert_eq!(checkpoint.settled_above(), highest.abs_diff(*base) - open.len() as u64);
    for number in numbers.iter().flat_map(|number| [number.saturating_sub(1), *number, number.saturating_add(1)]) {
        let is_settled = number <= *highest && !open.contains(&number);
        assert_eq!(checkpoint.is_settled(Position(number)), is_settled, "{number} in {checkpoint:?}");
    }
}
