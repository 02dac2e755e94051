//! The task of a link: it opens a receiver, reads a piece at a time, and says what breaks. Nothing that it waits for is
//! lost when it is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::client::{Failure, Receiver, Wanted};
use super::link::{Broken, EPOCH, Parts, Piece, Said, Told, behind, id};
use super::message::{Event, message};
use super::sequence::{Gap, Place, Sequence};
use super::start;
use crate::model::{Partition, Position};
use crate::transport::{PartitionInfo, TransportError};

/// Events that are read at once, at most.
const MOST: usize = 1000;
/// The wait before what broke is opened again; it doubles until something is read.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// From which age on an event is one of a backlog.
const OLD: Duration = Duration::from_secs(5);
/// Bytes that are read ahead where there is no backlog.
const LIVE: u64 = 512 << 10;

/// Nobody listens any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Why it stopped reading.
enum Stopped {
    Gone,
    Failed(Failure),
    /// Something is amiss with what came.
    Odd(String),
}

impl From<Gone> for Stopped {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Reads one partition for a link.
pub(super) struct Reader {
    parts: Parts,
    partition: Partition,
    number: u64,
    sequence: Sequence,
    turns: Arc<Semaphore>,
    again: Arc<Notify>,
    /// Whether it may read a piece.
    has_turn: bool,
    receiver: Option<Receiver>,
    /// Bytes that the receiver reads ahead.
    credit: u64,
    /// When the partition is asked how far it goes, unless something comes.
    look_at: Instant,
    /// Whether there was something to read at the last look.
    is_behind: bool,
    /// Whether the last look had no answer.
    is_unanswered: bool,
    /// What came and was not taken yet: of one piece.
    came: VecDeque<Event>,
}

impl Reader {
    /// For a link with this number, from this position on.
    pub(super) fn new(
        parts: &Parts,
        partition: u32,
        (number, next): (u64, i64),
        (turns, again): (Arc<Semaphore>, Arc<Notify>),
    ) -> Self {
        Self {
            parts: parts.clone(),
            partition: Partition::new(parts.subscription.topic.clone(), partition),
            number,
            sequence: Sequence::new(next),
            turns,
            again,
            has_turn: false,
            receiver: None,
            credit: LIVE,
            look_at: parts.namespace.clock.now() + parts.namespace.watch,
            is_behind: false,
            is_unanswered: false,
            came: VecDeque::new(),
        }
    }

    /// Until nobody listens any more, or it is dropped.
    pub(super) async fn run(&mut self) -> Gone {
        // How often it broke since it was well.
        let (mut wait, mut breaks) = (FIRST_WAIT, 0_u32);
        loop {
            let (before, began) = (self.sequence.next(), self.parts.namespace.clock.now());
            let opened = self.open().await;
            let is_open = opened.is_ok();
            let stopped = match opened {
                Ok(()) => self.read().await,
                Err(stopped) => stopped,
            };
            self.receiver = None;
            let lasted = self.parts.namespace.clock.now().saturating_duration_since(began);
            if is_open && (self.sequence.next() > before || lasted >= self.parts.namespace.watch) {
                (wait, breaks) = (FIRST_WAIT, 0);
            }
            let is_expected = breaks == 0 && (is_open || matches!(stopped, Stopped::Failed(Failure::Stolen(_))));
            breaks = breaks.saturating_add(1);
            let Some((error, after)) = self.broken(stopped).await else { return Gone };
            if let Err(gone) = self.tell(Said::Broken(Broken { error, is_expected })).await {
                return gone;
            }
            self.again.notified().await;
            sleep(after.map_or(wait, |after| after.max(wait))).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Lets the next owner have the partition at once.
    pub(super) async fn close(self) {
        if let Some(receiver) = self.receiver {
            receiver.close().await;
        }
    }

    /// What broke, and how long the service asks to be left alone; none where nobody listens any more.
    async fn broken(&self, stopped: Stopped) -> Option<(TransportError, Option<Duration>)> {
        let (error, after) = match stopped {
            Stopped::Gone => return None,
            Stopped::Odd(reason) => (self.parts.namespace.unavailable(reason), None),
            Stopped::Failed(failure) => {
                let after = failure.after();
                (self.explain(failure).await, after)
            }
        };
        info!(partition = %self.partition, group = %self.parts.subscription.group, %error, next = self.sequence.next(),
            "the link to a partition is closed");
        Some((error, after))
    }

    async fn open(&mut self) -> Result<(), Stopped> {
        let from = behind(self.sequence.next());
        let wanted = Wanted {
            hub: self.parts.hub.to_string(),
            group: self.parts.subscription.group.to_string(),
            partition: self.partition.index,
            from,
            epoch: Some(EPOCH),
            id: id("reader", self.partition.index),
            bytes: self.credit,
            tells_end: true,
        };
        self.receiver = Some(self.parts.namespace.client.receiver(&wanted).await?);
        self.heard();
        self.came.clear();
        self.sequence.opened();
        Ok(self.tell(Said::Open).await?)
    }

    /// Reads until something breaks.
    async fn read(&mut self) -> Stopped {
        loop {
            if let Err(stopped) = self.one_piece().await {
                return stopped;
            }
        }
    }

    async fn one_piece(&mut self) -> Result<(), Stopped> {
        self.turn().await?;
        loop {
            let most = *self.parts.share.borrow();
            if self.came.is_empty() {
                let Some(receiver) = &mut self.receiver else { return Err(Stopped::Odd("it is not open".to_owned())) };
                tokio::select! {
                    biased;
                    events = receiver.next(MOST, most) => self.came = events?.into(),
                    () = sleep_until(self.look_at) => {
                        self.look().await?;
                        continue;
                    }
                }
                self.heard();
            }
            let (piece, gap) = self.take();
            self.adapt(&piece, most);
            let is_something = !piece.messages.is_empty();
            if is_something {
                self.has_turn = false;
                self.tell(Said::Read(piece)).await?;
            }
            if let Some(position) = gap {
                self.examine(position).await?;
            }
            if is_something {
                return Ok(());
            }
        }
    }

    /// Something came: it is not silent.
    fn heard(&mut self) {
        self.look_at = self.parts.namespace.clock.now() + self.parts.namespace.watch;
        (self.is_behind, self.is_unanswered) = (false, false);
    }

    /// Until the last piece was taken. Meanwhile the partition may grow.
    async fn turn(&mut self) -> Result<(), Stopped> {
        // One that came to nothing is still its own.
        while !self.has_turn {
            tokio::select! {
                biased;
                turn = self.turns.acquire() => {
                    turn.map_err(|_| Gone)?.forget();
                    self.has_turn = true;
                    // What comes now may have waited here for long.
                    self.look_at = self.look_at.max(self.parts.namespace.clock.now() + self.parts.namespace.watch / 2);
                }
                () = sleep_until(self.look_at) => {
                    self.look_at = self.parts.namespace.clock.now() + self.parts.namespace.watch;
                    // A failure is one of reading, too, once it goes on.
                    if let Ok(bounds) = self.bounds().await {
                        self.tell(Said::End(bounds.end)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Nothing came for a while: asks the partition whether that is right. One question may go unanswered, for it has
    /// another connection.
    async fn look(&mut self) -> Result<(), Stopped> {
        self.look_at = self.parts.namespace.clock.now() + self.parts.namespace.watch;
        let bounds = match self.bounds().await {
            Err(failure) if failure.is_transient() && !self.is_unanswered => {
                self.is_unanswered = true;
                return Ok(());
            }
            bounds => bounds?,
        };
        self.is_unanswered = false;
        self.tell(Said::Bounds(bounds)).await?;
        let was_behind = std::mem::replace(&mut self.is_behind, bounds.end > self.sequence.next());
        if was_behind && self.is_behind {
            let (partition, next) = (&self.partition, self.sequence.next());
            return Err(Stopped::Odd(format!(
                "the link to {partition} is silent: nothing comes from position {next} on, though the partition goes on to \
                 {}",
                bounds.end
            )));
        }
        Ok(())
    }

    /// Events are missing before this one. Says what retention took, if it did.
    async fn examine(&mut self, position: i64) -> Result<(), Stopped> {
        let bounds = self.bounds().await?;
        self.tell(Said::Bounds(bounds)).await?;
        let (partition, next) = (&self.partition, self.sequence.next());
        match self.sequence.examine(position, bounds.first) {
            Gap::KnownHole => {}
            Gap::Hole => warn!(%partition, group = %self.parts.subscription.group, from = next, to = position - 1,
                "sequence numbers are missing that retention did not take: the hub seems to be compacted"),
            Gap::Odd => {
                return Err(Stopped::Odd(format!(
                    "{partition}: the event at {position} came where {next} was the next one"
                )));
            }
        }
        Ok(())
    }

    async fn bounds(&self) -> Result<PartitionInfo, Failure> {
        let bounds = self.parts.namespace.client.partition(&self.parts.hub, self.partition.index).await?;
        Ok(PartitionInfo { first: bounds.first, end: bounds.end })
    }

    /// Takes what came, in order, up to an event before which something is missing; says where that one stands.
    fn take(&mut self) -> (Piece, Option<i64>) {
        let (mut piece, mut repeated) = (Piece::default(), 0_u64);
        while let Some(event) = self.came.pop_front() {
            let position = event.place.position;
            match self.sequence.place(position.0) {
                Place::Repeated => repeated += 1,
                Place::BehindGap => {
                    self.came.push_front(event);
                    return (piece, Some(position.0));
                }
                Place::Next => {
                    piece.end = event.end.or(piece.end);
                    piece.offsets.extend(event.place.offset.clone().map(|offset| (position, offset)));
                    piece.messages.push(message(&self.parts.namespace.name, &self.parts.hub, &self.partition, event));
                }
            }
        }
        if repeated > 0 {
            warn!(partition = %self.partition, group = %self.parts.subscription.group, repeated,
                next = self.sequence.next(), "events came that were read already; they are dropped");
        }
        (piece, None)
    }

    /// Reads more ahead while there is a backlog.
    fn adapt(&mut self, piece: &Piece, share: u64) {
        let Some(last) = piece.messages.last() else { return };
        let is_old = self.parts.namespace.clock.wall().since(last.origin.enqueued) > OLD;
        let credit = if is_old { share } else { share.min(LIVE) };
        if credit != self.credit
            && let Some(receiver) = &mut self.receiver
        {
            receiver.credit(credit);
            self.credit = credit;
        }
    }

    /// What a failure means to whoever reads.
    async fn explain(&self, failure: Failure) -> TransportError {
        let namespace = &self.parts.namespace;
        match failure {
            Failure::NotFound(_) => match namespace.client.hub(&self.parts.hub).await {
                Err(failure @ Failure::NotFound(_)) => namespace.error(&self.partition.topic, failure),
                Err(failure) => namespace.unavailable(failure.to_string()),
                Ok(_) => TransportError::UnknownGroup {
                    transport: namespace.name.clone(),
                    topic: self.partition.topic.clone(),
                    group: self.parts.subscription.group.clone(),
                },
            },
            Failure::Beyond(_) => self.beyond(failure).await,
            Failure::Unreadable(_) => {
                TransportError::Damaged { transport: namespace.name.clone(), reason: failure.to_string() }
            }
            failure => namespace.unavailable(failure.to_string()),
        }
    }

    /// The service says that the partition ends before the position, and may be wrong for a moment.
    async fn beyond(&self, failure: Failure) -> TransportError {
        let (next, Self { partition, .. }, Parts { namespace, hub, .. }) = (self.sequence.next(), self, &self.parts);
        match start::bounds(namespace, hub, partition.index, Some(next)).await {
            Ok(bounds) if next > bounds.end => TransportError::BeyondEnd {
                partition: partition.clone(),
                position: Position(next),
                end: Position(bounds.end),
            },
            _ => namespace.unavailable(failure.to_string()),
        }
    }

    async fn tell(&self, said: Said) -> Result<(), Gone> {
        let told = Told { partition: self.partition.index, number: self.number, said };
        self.parts.told.send(told).await.map_err(|_| Gone)
    }
}
