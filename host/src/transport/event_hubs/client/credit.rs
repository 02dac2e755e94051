//! How many events a receiver may be sent: as many as fit into its bytes at the size of the largest of late. The service
//! counts events and knows no bytes.

/// What an event counts as before one was seen: what most hubs take at most.
const GUESS: u64 = 1 << 20;
/// The most events that may be on their way. Each of up to a frame has a place in the link's queue.
pub(super) const MOST: u32 = 512;
/// How slowly a large event is forgotten: after so many others most of it is.
const MEMORY: u64 = 64;

/// How many events a receiver may be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Credit {
    bytes: u64,
    /// The size of the largest event, which fades; none was seen yet.
    largest: Option<u64>,
}

impl Credit {
    pub(super) fn new(bytes: u64) -> Self {
        Self { bytes, largest: None }
    }

    /// Other bytes from now on.
    pub(super) fn set(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// An event of so many bytes came.
    pub(super) fn saw(&mut self, size: u64) {
        let faded = self.largest.map_or(1, |largest| largest - largest.div_ceil(MEMORY));
        self.largest = Some(size.max(faded).max(1));
    }

    /// The events that may be on their way at once; at least one.
    pub(super) fn events(&self) -> u32 {
        u32::try_from(self.bytes / self.largest.unwrap_or(GUESS)).unwrap_or(MOST).clamp(1, MOST)
    }

    /// What is to be given where so many are still on their way: nothing before half of it has come. It is never less than
    /// what was given, for that cannot be taken back.
    pub(super) fn top_up(&self, on_their_way: u32) -> Option<u32> {
        let events = self.events();
        (on_their_way <= events / 2).then_some(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn after(bytes: u64, size: u64, events: usize) -> Credit {
        let mut credit = Credit::new(bytes);
        (0..events).for_each(|_| credit.saw(size));
        credit
    }

    #[test]
    fn it_begins_with_few_large_events_and_grows_with_the_first_small_one() {
        assert_eq!(Credit::new(4 * MIB).events(), 4);
        assert_eq!(after(4 * MIB, 1024, 1).events(), MOST);
    }

    #[test]
    fn large_events_lower_it_at_once_and_are_forgotten_slowly() {
        let mut credit = after(4 * MIB, 1024, 500);
        credit.saw(MIB);
        assert_eq!(credit.events(), 4);
        (0..100).for_each(|_| credit.saw(1024));
        assert!((5..100).contains(&credit.events()), "{credit:?}");
        (0..1000).for_each(|_| credit.saw(1024));
        assert_eq!(credit.events(), MOST);
    }

    #[test]
    fn an_event_larger_than_the_bytes_comes_alone() {
        let credit = after(MIB / 2, MIB, 3);
        assert_eq!((credit.events(), credit.top_up(0), credit.top_up(1)), (1, Some(1), None));
        assert_eq!(after(0, 0, 3).events(), 1);
    }

    #[test]
    fn it_is_topped_up_at_half() {
        let credit = after(100 * MIB, MIB, 1);
        assert_eq!([0, 50, 51, 100].map(|left| credit.top_up(left)), [Some(100), Some(100), None, None]);
    }
}
