//! What is read but not settled, over all partitions of one pipeline: windows, lanes and the bounds together. Pure.
//! Says what may be read (demand), what may start, and which checkpoints to store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::config::{InFlight as Limits, Order};
use super::lanes::{Lane, Lanes};
use super::retry::Tries;
use super::window::{Admission, Ticket, Window};
use crate::model::{Checkpoint, Message, Partition, Position};
use crate::transport::{Assignment, Batch, Commit, Demand, Epoch, Room};

/// One message on its way to being settled. Whoever has it has its ticket.
#[derive(Debug)]
pub struct Work {
    ticket: Ticket,
    lane: Lane,
    /// The message.
    pub message: Arc<Message>,
    /// How often it failed so far.
    pub tries: Tries,
    /// Whether it is tried alone while the pipeline is held.
    pub trial: bool,
}

impl Work {
    /// The message's partition.
    pub fn partition(&self) -> &Partition {
        self.ticket.partition()
    }

    /// The lane that it holds.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }
}

#[derive(Debug)]
struct Assigned {
    window: Window,
    bytes: u64,
    /// Messages known to stand behind the last one that came; unknown before the first batch.
    lag: Option<u64>,
    stored: Option<Checkpoint>,
    /// How many bytes its checkpoint may have.
    checkpoint_limit: Option<usize>,
    /// Asked back: nothing more is admitted or started.
    closing: bool,
}

/// What is known of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionState {
    /// Which one.
    pub partition: Partition,
    /// What is settled.
    pub checkpoint: Option<Checkpoint>,
    /// Messages admitted and not settled.
    pub unsettled: usize,
    /// The oldest of them.
    pub oldest: Option<Position>,
    /// Messages known to stand behind those that came.
    pub lag: Option<u64>,
}

/// Everything in flight.
#[derive(Debug)]
pub struct InFlight {
    limits: Limits,
    order: Order,
    partitions: BTreeMap<Partition, Assigned>,
    lanes: Lanes<Work>,
    /// Messages settled since the last commit that is durable.
    settled: usize,
    /// Of these, how many the commit under way covers.
    committing: usize,
}

impl InFlight {
    /// Nothing in flight.
    pub fn new(limits: Limits, order: Order) -> Self {
        Self { limits, order, partitions: BTreeMap::new(), lanes: Lanes::default(), settled: 0, committing: 0 }
    }

    /// Partitions are ours from now on. What belonged to an earlier assignment of them is forgotten.
    pub fn assign(&mut self, assignments: Vec<Assignment>) {
        for Assignment { partition, epoch, checkpoint, checkpoint_limit } in assignments {
            self.remove(std::slice::from_ref(&partition));
            let window = Window::new(partition.clone(), epoch, checkpoint.clone());
            let assigned =
                Assigned { window, bytes: 0, lag: None, stored: checkpoint, checkpoint_limit, closing: false };
            self.partitions.insert(partition, assigned);
        }
    }

    /// Takes messages in, and says how many are to run. Messages of partitions that are not ours are dropped: they
    /// come again to whoever owns them.
    pub fn admit(&mut self, batch: Batch) -> usize {
        let Some(assigned) = self.partitions.get_mut(&batch.partition) else { return 0 };
        if assigned.closing {
            return 0;
        }
        assigned.lag = Some(batch.lag);
        let mut admitted = 0;
        for message in batch.messages {
            if let Admission::Run(ticket) = assigned.window.admit(message.origin.position) {
                assigned.bytes += message.size();
                admitted += 1;
                let lane = Lane::of(&message, &self.order);
                let work = Work {
                    ticket,
                    lane: lane.clone(),
                    message: Arc::new(message),
                    tries: Tries::default(),
                    trial: false,
                };
                self.lanes.enqueue(&batch.partition, lane, work);
            }
        }
        assigned.window.pass(batch.passed);
        admitted
    }

    /// The next message that may start.
    pub fn start(&mut self) -> Option<Work> {
        self.lanes.start()
    }

    /// Settles a message, and frees its lane and its share of the bounds. Says whether it counted: work of an
    /// assignment that is over changes nothing.
    pub fn settle(&mut self, work: Work) -> bool {
        self.lanes.release(&work.lane);
        let size = work.message.size();
        match self.partitions.get_mut(work.ticket.partition()) {
            Some(assigned) if assigned.window.epoch() == work.ticket.epoch() => {
                assigned.bytes = assigned.bytes.saturating_sub(size);
                assigned.window.settle(work.ticket);
                self.settled += 1;
                true
            }
            _ => false,
        }
    }

    /// Gives a message up unsettled: it comes again to whoever owns the partition next.
    pub fn give_up(&mut self, work: Work) {
        self.release(&work.lane);
        if self.owns(&work)
            && let Some(assigned) = self.partitions.get_mut(work.partition())
        {
            assigned.bytes = assigned.bytes.saturating_sub(work.message.size());
        }
    }

    /// Frees the lane of work that is gone.
    pub fn release(&mut self, lane: &Lane) {
        self.lanes.release(lane);
    }

    /// Whether a message still belongs to an assignment that is ours.
    pub fn owns(&self, work: &Work) -> bool {
        self.is_current(work.partition(), work.ticket.epoch())
    }

    /// Whether nothing more of a message's partition is to start.
    pub fn is_closing(&self, work: &Work) -> bool {
        self.partitions.get(work.partition()).is_none_or(|assigned| assigned.closing)
    }

    /// Whether this assignment of a partition is the one that is ours.
    pub fn is_current(&self, partition: &Partition, epoch: Epoch) -> bool {
        self.partitions.get(partition).is_some_and(|assigned| assigned.window.epoch() == epoch)
    }

    /// What may be read, by partition: each may always hold its share of the window; what is left of the window goes
    /// to those where nothing waits behind a held lane. Nothing at all while so many messages have settled since the
    /// last durable commit that a crash would repeat more than is promised. A partition whose checkpoint could become
    /// too long to be stored gets nothing until it is shorter: nothing is ever left out of it.
    pub fn demand(&self) -> Demand {
        let window = self.limits.messages.get();
        if self.settled >= window || self.partitions.is_empty() {
            return Demand::default();
        }
        let share = (window / self.partitions.len()).max(1);
        let held: usize = self.unsettled();
        let reserved: usize =
            self.partitions.values().map(|assigned| share.saturating_sub(assigned.window.unsettled())).sum();
        let spare = window.saturating_sub(held).saturating_sub(reserved);
        let Some(bytes) = self.room_in_bytes() else { return Demand::default() };
        let rooms = self.partitions.iter().filter(|(_, assigned)| !assigned.closing).map(|(partition, assigned)| {
            let own = share.saturating_sub(assigned.window.unsettled());
            let extra = if self.lanes.blocked(partition) == 0 { spare } else { 0 };
            let storable = assigned.checkpoint_limit.map_or(usize::MAX, |limit| assigned.window.room_within(limit));
            (partition.clone(), Room { messages: (own + extra).min(storable), bytes })
        });
        Demand(rooms.filter(|(_, room)| room.messages > 0).collect::<HashMap<_, _>>())
    }

    /// The checkpoints that changed since they were stored. Ends with [`InFlight::stored`] or
    /// [`InFlight::not_stored`].
    pub fn commits(&mut self) -> Vec<Commit> {
        self.committing = self.settled;
        let changed = self.partitions.iter().filter_map(|(partition, assigned)| {
            let checkpoint = assigned.window.checkpoint().filter(|now| assigned.stored.as_ref() != Some(now))?;
            Some(Commit { partition: partition.clone(), epoch: assigned.window.epoch(), checkpoint })
        });
        changed.collect()
    }

    /// Checkpoints are durable.
    pub fn stored(&mut self, commits: Vec<Commit>) {
        self.settled = self.settled.saturating_sub(std::mem::take(&mut self.committing));
        for Commit { partition, epoch, checkpoint } in commits {
            if let Some(assigned) = self.partitions.get_mut(&partition)
                && assigned.window.epoch() == epoch
            {
                assigned.stored = Some(checkpoint);
            }
        }
    }

    /// Checkpoints could not be stored.
    pub fn not_stored(&mut self) {
        self.committing = 0;
    }

    /// Whether half of the window has settled since the last durable commit.
    pub fn commit_is_urgent(&self) -> bool {
        self.settled * 2 >= self.limits.messages.get()
    }

    /// Whether these partitions hold nothing that a commit would store.
    pub fn is_stored(&self, partitions: &[Partition]) -> bool {
        let clean = |assigned: &Assigned| assigned.window.checkpoint() == assigned.stored;
        partitions.iter().all(|partition| self.partitions.get(partition).is_none_or(clean))
    }

    /// Admits and starts nothing more of these partitions; what waits is given up.
    pub fn close(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            let given_up: u64 = self.lanes.remove(partition).iter().map(|work| work.message.size()).sum();
            if let Some(assigned) = self.partitions.get_mut(partition) {
                assigned.closing = true;
                assigned.bytes = assigned.bytes.saturating_sub(given_up);
            }
        }
    }

    /// Forgets partitions: what is still running of them counts no more.
    pub fn remove(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            drop(self.lanes.remove(partition));
            self.partitions.remove(partition);
        }
    }

    /// The partitions that are ours.
    pub fn partitions(&self) -> Vec<Partition> {
        self.partitions.keys().cloned().collect()
    }

    /// Messages admitted and not settled.
    pub fn unsettled(&self) -> usize {
        self.partitions.values().map(|assigned| assigned.window.unsettled()).sum()
    }

    /// Nothing is unsettled, and nothing is known to be unread.
    pub fn is_idle(&self) -> bool {
        let idle = |assigned: &Assigned| assigned.window.unsettled() == 0 && assigned.lag == Some(0);
        !self.partitions.is_empty() && self.partitions.values().all(idle)
    }

    /// What is known of each partition.
    pub fn states(&self) -> Vec<PartitionState> {
        let state = |(partition, assigned): (&Partition, &Assigned)| PartitionState {
            partition: partition.clone(),
            checkpoint: assigned.window.checkpoint(),
            unsettled: assigned.window.unsettled(),
            oldest: assigned.window.oldest(),
            lag: assigned.lag,
        };
        self.partitions.iter().map(state).collect()
    }

    /// Bytes that may still come: none while the bound is reached, all of it while nothing is in flight.
    fn room_in_bytes(&self) -> Option<u64> {
        let bytes: u64 = self.partitions.values().map(|assigned| assigned.bytes).sum();
        let room = self.limits.bytes.0.saturating_sub(bytes);
        (room > 0 || bytes == 0).then_some(room)
    }
}

#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
