//! Which records go together into one batch: those of one lane, in their order, as many as the hub takes at once. Pure.

use std::collections::HashMap;
use std::hash::Hash;

/// What is on its way into a hub, of many at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item<T> {
    /// Its number among those that were given together.
    pub(super) index: usize,
    /// Bytes that it takes in a batch.
    pub(super) size: usize,
    pub(super) event: T,
}

/// Items by their lanes, in the order in which lanes and items came.
pub(super) fn by_lane<L: Clone + Eq + Hash, T>(items: impl Iterator<Item = (L, Item<T>)>) -> Vec<(L, Vec<Item<T>>)> {
    let mut places: HashMap<L, usize> = HashMap::new();
    let mut lanes: Vec<(L, Vec<Item<T>>)> = Vec::new();
    for (lane, item) in items {
        let place = *places.entry(lane.clone()).or_insert(lanes.len());
        match lanes.get_mut(place) {
            Some((_, of_lane)) => of_lane.push(item),
            None => lanes.push((lane, vec![item])),
        }
    }
    lanes
}

/// Items of one lane in batches, and those above the `limit`, which no batch takes. What is together in one has at most so
/// many bytes `together`, too.
pub(super) fn batches<T>(items: Vec<Item<T>>, limit: usize, together: usize) -> (Vec<Vec<Item<T>>>, Vec<Item<T>>) {
    let (fitting, too_large): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.size <= limit);
    let mut batches: Vec<Vec<Item<T>>> = Vec::new();
    let mut room = 0;
    for item in fitting {
        match batches.last_mut().filter(|_| item.size <= room) {
            Some(batch) => {
                room -= item.size;
                batch.push(item);
            }
            None => {
                room = limit.min(together).saturating_sub(item.size);
                batches.push(vec![item]);
            }
        }
    }
    (batches, too_large)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(index: usize, size: usize) -> Item<()> {
        Item { index, size, event: () }
    }

    fn indexes(items: &[Item<()>]) -> Vec<usize> {
        items.iter().map(|item| item.index).collect()
    }

    #[test]
    fn a_batch_is_as_full_as_the_next_item_lets_it_be() {
        let sizes = [4, 5, 2, 11, 10, 1];
        let items = sizes.iter().zip(0..).map(|(size, index)| item(index, *size)).collect();
        let (batches, too_large) = batches(items, 10, usize::MAX);
        assert_eq!(
            batches.iter().map(|batch| indexes(batch)).collect::<Vec<_>>(),
            [vec![0, 1], vec![2], vec![4], vec![5]]
        );
        assert_eq!(indexes(&too_large), [3]);
    }

    proptest! {
        #[test]
        fn lanes_and_batches_keep_everything_in_order(
            sizes in prop::collection::vec((0_usize..4, 1_usize..12), 0..40),
            together in 1_usize..20,
        ) {
            let items = sizes.iter().zip(0..).map(|((lane, size), index)| (*lane, item(index, *size)));
            let mut came = Vec::new();
            for (lane, items) in by_lane(items) {
                let of_lane: Vec<usize> = (0..).zip(&sizes).filter(|(_, of)| of.0 == lane).map(|(at, _)| at).collect();
                prop_assert_eq!(indexes(&items), of_lane);
                let (batches, too_large) = batches(items, 10, together);
                let fits = |batch: &Vec<Item<()>>| batch.iter().map(|item| item.size).sum::<usize>() <= 10.min(together);
                prop_assert!(batches.iter().all(|batch| batch.len() == 1 || fits(batch)));
                prop_assert!(too_large.iter().all(|item| item.size > 10));
                let sent: Vec<usize> = batches.iter().flat_map(|batch| indexes(batch)).collect();
                prop_assert!(sent.windows(2).all(|pair| pair[0] < pair[1]));
                came.extend(sent.into_iter().chain(indexes(&too_large)));
            }
            came.sort_unstable();
            prop_assert_eq!(came, (0..sizes.len()).collect::<Vec<_>>());
        }
    }
}
