//! How partitions and the pipeline itself come to an end: what waits is given up, what runs may finish, and what was lost
//! is forgotten.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{Due, End, Pipeline};
use crate::flow::in_flight::Work;
use crate::model::Partition;

/// How long a stop waits for its last commit beyond `drain_for`.
pub(super) const COMMIT_GRACE: Duration = Duration::from_secs(5);

impl Pipeline {
    /// Partitions that somebody else has: nothing of them is published or stored any more.
    pub(super) fn lose(&mut self, partitions: &[Partition]) {
        if partitions.is_empty() {
            return;
        }
        warn!(pipeline = %self.settings.maker.pipeline, ?partitions, "partitions lost");
        self.forget(partitions);
    }

    /// Ends everything that belongs to these partitions.
    pub(super) fn forget(&mut self, partitions: &[Partition]) {
        self.close(partitions);
        self.give_up_publishing(partitions);
        self.stages.abort(partitions);
        self.in_flight.remove(partitions);
        for revoking in &mut self.revoking {
            revoking.partitions.retain(|partition| !partitions.contains(partition));
        }
        self.revoking.retain(|revoking| !revoking.partitions.is_empty());
    }

    /// Nothing more of these partitions starts; what waits is given up.
    pub(super) fn close(&mut self, partitions: &[Partition]) {
        let of = |work: &Work| partitions.contains(work.partition());
        self.in_flight.close(partitions);
        let waits = |due: &Due| matches!(due, Due::Start(work) if of(work));
        let backing_off = self.timers.remove_where(waits).into_iter().map(Due::into_work);
        let (again, kept) = std::mem::take(&mut self.again).into_iter().partition(of);
        self.again = kept;
        let again: VecDeque<Work> = again;
        let held = self.gate.drop_where(of);
        for work in backing_off.chain(again).chain(held) {
            self.in_flight.give_up(work);
        }
    }

    fn give_up_publishing(&mut self, partitions: &[Partition]) {
        let of = |due: &Due| partitions.contains(due.work().partition());
        for due in self.timers.remove_where(of) {
            self.in_flight.give_up(due.into_work());
        }
        self.see_whether_topics_are_back();
    }

    /// Lets partitions go that are asked back, once nothing of them runs and their checkpoint is stored.
    pub(super) fn release_partitions(&mut self) {
        let mut waiting = Vec::new();
        for revoking in std::mem::take(&mut self.revoking) {
            if self.is_drained(&revoking.partitions) && self.in_flight.is_stored(&revoking.partitions) {
                self.in_flight.remove(&revoking.partitions);
                let _ = revoking.reply.send(());
            } else {
                waiting.push(revoking);
            }
        }
        self.revoking = waiting;
    }

    fn is_drained(&self, partitions: &[Partition]) -> bool {
        let waits = |due: &Due| partitions.contains(due.work().partition());
        self.stages.is_empty_of(partitions) && !self.timers.iter().any(waits)
    }

    /// How the pipeline ends, once it was to stop and has.
    pub(super) fn stopped(&self) -> Option<End> {
        let deadline = self.stop?;
        let partitions = self.in_flight.partitions();
        let stored = !self.committing.is_under_way() && self.in_flight.is_stored(&partitions);
        if !(stored && self.is_drained(&partitions)) && self.parts.clock.now() < deadline + COMMIT_GRACE {
            return None;
        }
        match &self.failure {
            Some(reason) => Some(End::Failed { reason: reason.clone() }),
            None if stored => Some(End::Stopped),
            None => {
                let why = self.committing.trouble().map_or("it takes too long", String::as_str);
                let reason =
                    format!("stopped without storing the last checkpoint ({why}); what settled since will repeat");
                Some(End::Failed { reason })
            }
        }
    }

    /// Ends what runs on though its time to drain is over. Looked at in every turn, so that it cannot be missed.
    pub(super) fn give_up_what_is_late(&mut self) {
        let over = self.out_of_time(self.parts.clock.now());
        if over.is_empty() || self.is_drained(&over) {
            return;
        }
        let pipeline = &self.settings.maker.pipeline;
        warn!(%pipeline, partitions = ?over, "the time to drain is over; what still runs is given up and will run again");
        self.give_up_publishing(&over);
        self.stages.abort(&over);
    }

    /// Partitions whose time to drain is over.
    fn out_of_time(&self, now: Instant) -> Vec<Partition> {
        if self.stop.is_some_and(|deadline| now >= deadline) {
            return self.in_flight.partitions();
        }
        let over = self.revoking.iter().filter(|revoking| now >= revoking.deadline);
        over.flat_map(|revoking| revoking.partitions.clone()).collect()
    }
}
