//! Rounds: what is compared runs in turn, round by round, so that whatever else the machine does meets all of it alike.
//! Every second round goes backwards, so that none always follows the same other one.

/// One thing that is measured: a run of it, and what that run gave.
pub(crate) type Subject<'a, T> = Box<dyn FnMut() -> anyhow::Result<T> + 'a>;

/// Runs every subject once a round; answers, for each subject, what its runs gave, by round.
pub(crate) fn interleave<T>(rounds: usize, subjects: &mut [Subject<'_, T>]) -> anyhow::Result<Vec<Vec<T>>> {
    let mut given: Vec<Vec<T>> = subjects.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..rounds {
        let mut turns: Vec<_> = subjects.iter_mut().zip(&mut given).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (subject, given) in turns {
            given.push(subject()?);
        }
    }
    Ok(given)
}

/// The middle one; of an even number, the mean of the two in the middle. Zero of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => at(count / 2),
        count => f64::midpoint(at(count / 2 - 1), at(count / 2)),
    }
}

/// The median of what each round's pair gives as `measured / baseline`: a round that was disturbed as a whole counts
/// as any other.
pub(crate) fn ratio<T>(measured: &[T], baseline: &[T], value: impl Fn(&T) -> f64) -> f64 {
    median(measured.iter().zip(baseline).map(|(measured, baseline)| value(measured) / value(baseline)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_take_turns_and_every_second_round_goes_backwards() {
        let order = std::cell::RefCell::new(String::new());
        let subject = |name: char| -> Subject<'_, usize> {
            let order = &order;
            Box::new(move || {
                order.borrow_mut().push(name);
                Ok(order.borrow().len())
            })
        };
        let given = interleave(3, &mut [subject('a'), subject('b')]).unwrap();
        assert_eq!((order.borrow().as_str(), given), ("abbaab", vec![vec![1, 4, 5], vec![2, 3, 6]]));
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn a_ratio_is_that_of_pairs() {
        assert_eq!(ratio(&[2.0, 40.0, 3.0], &[1.0, 10.0, 1.0], |value| *value), 3.0);
    }
}
