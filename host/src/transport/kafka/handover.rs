//! What the group asks of a member, from when it is asked to when it is answered. It asks one thing at a time, and goes on
//! once every member has answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::error::{KafkaError, KafkaResult};
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::begin::{self, Begun, Reads, Wanted};
use super::member::{self, Member, told};

/// What is under way, and what the group asked for and was not answered.
pub(super) enum Open {
    Nothing,
    /// It is found out where partitions begin.
    Beginning(Beginning),
    /// That failed while the group waits for it, and is tried again at this time.
    Waiting(Wanted, Instant),
    /// Partitions were asked back. A reply that is dropped lets go too.
    Asking(Vec<u32>, oneshot::Receiver<()>),
}

/// Finds out where partitions begin, on a thread of its own; dropped, it commits nothing any more.
pub(super) struct Beginning {
    pub(super) wanted: Wanted,
    /// Whether the group waits for it: else the partitions were begun before, or could not be.
    pub(super) is_asked: bool,
    begun: oneshot::Receiver<KafkaResult<Begun>>,
    over: Arc<AtomicBool>,
}

impl Beginning {
    /// Begins to find out. `wake` is told when it is known.
    pub(super) fn start(
        member: &Arc<Member>,
        reads: &Arc<Reads>,
        wake: &Arc<Notify>,
        wanted: Wanted,
        is_asked: bool,
    ) -> Self {
        let (member, reads) = (member.clone(), reads.clone());
        let (asked, wake, over) = (wanted.clone(), wake.clone(), Arc::new(AtomicBool::new(false)));
        let ((tell, begun), is_over) = (oneshot::channel(), over.clone());
        spawn_blocking(move || {
            // Nobody wants to know where it is over.
            let _ = tell.send(begin::begin(&member, &reads, &asked, &is_over));
            wake.notify_one();
        });
        Self { wanted, is_asked, begun, over }
    }

    /// What was found, once it is.
    pub(super) fn found(&mut self) -> Option<KafkaResult<Begun>> {
        match self.begun.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => None,
            // It broke off.
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(KafkaError::Canceled)),
            Ok(found) => Some(found),
        }
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

impl Open {
    /// Whether something is begun that the group has not asked for. What it says meanwhile is heard afterwards: it may be
    /// about just that.
    pub(super) fn is_unasked(&self) -> bool {
        matches!(self, Self::Beginning(Beginning { is_asked: false, .. }))
    }

    /// Answers what is not answered, whatever became of it: for a member that has nothing any more.
    pub(super) fn answer(&mut self, member: &Member) {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => {}
            Self::Beginning(Beginning { is_asked: false, .. }) => {}
            Self::Asking(..) => told(member::answer(member, false)),
            Self::Beginning(_) | Self::Waiting(..) => told(member::answer(member, true)),
        }
    }

    /// Until it is replied to what was asked back.
    pub(super) async fn replied(&mut self) {
        match self {
            Self::Asking(_, reply) => drop(reply.await),
            _ => std::future::pending().await,
        }
    }

    /// When something is tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Waiting(_, at) => Some(*at),
            _ => None,
        }
    }
}
