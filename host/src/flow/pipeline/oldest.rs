//! Finds the oldest unsettled message of a partition wherever the loop has it. Looks through everything in flight, so
//! only when a snapshot is asked for.

use tokio::time::Instant;

use super::{Due, Pipeline};
use crate::flow::hold::Gate;
use crate::flow::in_flight::{Standing, Work};
use crate::flow::lanes::Lane;
use crate::flow::status::{Oldest, Waits, key_text};
use crate::model::{Partition, Position};

impl Pipeline {
    /// What is told of a message; none when nobody has it, because it was given up.
    pub(super) fn oldest(&self, partition: &Partition, position: Position) -> Option<Oldest> {
        let now = self.parts.clock.now();
        let is = |work: &&Work| work.partition() == partition && work.position() == position;
        let standing = self.in_flight.standing(partition, position);
        let waiting = standing.map(|(work, standing)| (work, self.standing(standing, now)));
        let waiting = waiting.or_else(|| self.again.iter().find(is).map(|work| (work, self.start_waits())));
        let waiting = waiting.or_else(|| self.held(now, is)).or_else(|| self.timed(now, is));
        match waiting {
            Some((work, waits)) => {
                // One whose effects become durable has had its last try.
                let attempt = if matches!(waits, Waits::Durable { .. }) { work.attempt } else { work.next_attempt() };
                Some(Oldest::new(work.position(), &work.message, attempt, work.admitted, waits))
            }
            None => self.stages.find(partition, position, now, self.sink_trouble.as_deref()),
        }
    }

    fn standing(&self, standing: Standing, now: Instant) -> Waits {
        match standing {
            Standing::Behind(Lane::Key(key)) => Waits::Lane { key: Some(key_text(&key)) },
            Standing::Behind(_) => Waits::Lane { key: None },
            Standing::Parked { until } => Waits::Due { wait: until.saturating_duration_since(now) },
            Standing::Ready => self.start_waits(),
        }
    }

    /// What keeps a message from being started that could be.
    fn start_waits(&self) -> Waits {
        match &self.sink_trouble {
            _ if self.paused => Waits::Resume,
            _ if !self.gate.is_open() => Waits::Hold,
            Some(reason) => Waits::Topic { reason: reason.clone() },
            None => Waits::Slot,
        }
    }

    fn held(&self, now: Instant, is: impl FnMut(&&Work) -> bool) -> Option<(&Work, Waits)> {
        let until = |gate: &Gate<Work>| gate.due().map(|due| Instant::from_std(due).saturating_duration_since(now));
        self.gate.held().find(is).map(|work| (work, Waits::Trial { wait: until(&self.gate) }))
    }

    fn timed(&self, now: Instant, mut is: impl FnMut(&&Work) -> bool) -> Option<(&Work, Waits)> {
        let (at, due) = self.timers.entries().find(|(_, due)| is(&due.work()))?;
        let waits = match due {
            Due::Start(_) => Waits::Again { wait: at.saturating_duration_since(now) },
            Due::Publish { .. } => Waits::Durable { reason: self.sink_trouble.clone() },
        };
        Some((due.work(), waits))
    }
}
