//! What a member has to tell, until it is heard. Pure. What is over before it was told is not told, so there is never
//! more than a few events for each partition, however long nobody listens.

use std::collections::VecDeque;

use super::GroupEvent;

#[derive(Debug, Default)]
pub(super) struct Outbox(VecDeque<GroupEvent>);

impl Outbox {
    /// Something happened.
    pub(super) fn push(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Lost(partitions) => self.lost(partitions),
            GroupEvent::Well if self.withdraw(|event| matches!(event, GroupEvent::Failed(_))) => {}
            GroupEvent::Failed(reason) => {
                self.withdraw(|event| matches!(event, GroupEvent::Well));
                self.0.push_back(GroupEvent::Failed(reason));
            }
            event => self.0.push_back(event),
        }
    }

    /// What is to be told next.
    pub(super) fn pop(&mut self) -> Option<GroupEvent> {
        self.0.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An ownership has ended as it was asked for: nothing more is told of it.
    pub(super) fn released(&mut self, released: u32) {
        self.withdraw(|event| matches!(event, GroupEvent::Confirmed(partition) if *partition == released));
        for event in &mut self.0 {
            if let GroupEvent::Asked(partitions) = event {
                partitions.retain(|partition| *partition != released);
            }
        }
        self.0.retain(|event| !matches!(event, GroupEvent::Asked(partitions) if partitions.is_empty()));
    }

    fn lost(&mut self, lost: Vec<u32>) {
        let mut told = Vec::new();
        for lost in lost {
            self.released(lost);
            let begins =
                |event: &GroupEvent| matches!(event, GroupEvent::Acquired { partition, .. } if *partition == lost);
            if !self.withdraw(begins) {
                told.push(lost);
            }
        }
        if !told.is_empty() {
            self.0.push_back(GroupEvent::Lost(told));
        }
    }

    /// Takes events back; says whether there were any.
    fn withdraw(&mut self, of: impl Fn(&GroupEvent) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|event| !of(event));
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Epoch;

    fn acquired(partition: u32) -> GroupEvent {
        GroupEvent::Acquired { partition, epoch: Epoch(1), kept: None }
    }

    fn told(events: impl IntoIterator<Item = GroupEvent>) -> Vec<GroupEvent> {
        let mut outbox = Outbox::default();
        events.into_iter().for_each(|event| outbox.push(event));
        std::iter::from_fn(|| outbox.pop()).collect()
    }

    #[test]
    fn what_is_over_before_it_was_told_is_not_told() {
        use GroupEvent::{Asked, Confirmed, Failed, Lost, Well};
        assert_eq!(told([acquired(1), acquired(2), Asked(vec![1, 2]), Lost(vec![1])]), [acquired(2), Asked(vec![2])]);
        assert_eq!(told([Asked(vec![3]), Confirmed(3), Lost(vec![3, 4])]), [Lost(vec![3, 4])]);
        assert_eq!(told([Failed("down".into()), Well]), []);
        assert_eq!(told([Well, Failed("down".into())]), [Failed("down".into())]);
    }

    #[test]
    fn a_loss_is_told_before_the_next_ownership() {
        use GroupEvent::Lost;
        let events = [Lost(vec![1]), acquired(1), Lost(vec![1]), acquired(1)];
        assert_eq!(told(events), [Lost(vec![1]), acquired(1)]);
    }
}
