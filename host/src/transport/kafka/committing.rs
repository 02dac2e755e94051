//! Stores checkpoints for a member. Synchronously and off the loop: an asynchronous commit of this client never tells
//! how it ended. One after another, so that a late one does not take an earlier one's place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::checkpoint::to_kafka;
use super::member::{Member, Said, is_between_generations, is_fenced, is_of_a_rebalance};
use super::native;
use super::topics::number;
use crate::model::{Checkpoint, Partition};
use crate::transport::{Commit, CommitError};

/// Between two tries of a commit while the group agrees anew.
const AGAIN: Duration = Duration::from_millis(20);
/// How often it is tried before the pipeline is told: for longer than a rebalance takes that nobody holds up.
const TRIES: u32 = 100;

pub(super) struct Committing {
    member: Arc<Member>,
    /// The topic's name in Kafka.
    physical: Arc<str>,
    /// By which id the group knew the member when it gave the partitions that it has.
    known_as: Mutex<Option<String>>,
    /// What is stored, by partition.
    stored: Mutex<HashMap<u32, Checkpoint>>,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Committing {
    pub(super) fn new(member: Arc<Member>, physical: Arc<str>) -> Self {
        let (known_as, stored) = Default::default();
        Self { member, physical, known_as, stored, one_at_a_time: tokio::sync::Mutex::default() }
    }

    /// By which id the group knows the member now.
    pub(super) fn is_known_as(&self, member: Option<String>) {
        *self.known_as.lock().unwrap_or_else(PoisonError::into_inner) = member;
    }

    /// What is stored when a partition is given.
    pub(super) fn begin(&self, index: u32, checkpoint: &Checkpoint) {
        self.stored().insert(index, checkpoint.clone());
    }

    /// Stores checkpoints of partitions that the source has.
    pub(super) async fn commit(self: Arc<Self>, commits: Vec<Commit>) -> Result<(), CommitError> {
        let _turn = self.one_at_a_time.lock().await;
        let newer: Vec<Commit> = commits.into_iter().filter(|commit| self.is_news(commit)).collect();
        if newer.is_empty() {
            return Ok(());
        }
        let list = self.list(&newer).map_err(|error| CommitError::Unavailable(error.to_string()))?;
        let committing = self.clone();
        let done = tokio::task::spawn_blocking(move || committing.store(&list)).await;
        match done.unwrap_or(Err(KafkaError::Canceled)) {
            Ok(()) => {
                let stored = newer.into_iter().map(|commit| (commit.partition.index, commit.checkpoint));
                self.stored().extend(stored);
                Ok(())
            }
            Err(error) if is_fenced(&error) => {
                // Said, for the client itself may find out much later.
                self.member.context().say(Said::Fenced(error.to_string()));
                let lost: Vec<Partition> = newer.into_iter().map(|commit| commit.partition).collect();
                Err(CommitError::NotOwned(lost))
            }
            Err(error) => Err(CommitError::Unavailable(self.explain(&error))),
        }
    }

    /// Blocks. While a classic group agrees anew it is tried again, with the generation that the client knows by then. Where
    /// the client has joined anew meanwhile, it would commit as that new member, or as none at all. In a group that the
    /// broker leads it would have the same id: there only the source knows whether the partitions are its own still.
    fn store(&self, list: &TopicPartitionList) -> KafkaResult<()> {
        for _ in 0..TRIES {
            let known_as = self.known_as.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if self.member.assignment_lost() || known_as != native::member_id(&self.member) {
                return Err(KafkaError::ConsumerCommit(Code::UnknownMemberId));
            }
            match self.member.commit(list, CommitMode::Sync) {
                Err(error) if is_between_generations(&error) && !self.member.context().is_closing() => {
                    thread::sleep(AGAIN);
                }
                done => return done,
            }
        }
        self.member.commit(list, CommitMode::Sync)
    }

    fn explain(&self, error: &KafkaError) -> String {
        match error.rdkafka_error_code() {
            Some(Code::OffsetMetadataTooLarge) => "what is settled out of order does not fit beside the offset: set the \
                                                   transport's `checkpoint_bytes` to the broker's `offset.metadata.max.bytes`"
                .to_owned(),
            _ if is_of_a_rebalance(error) => format!("the group agrees anew: {error}"),
            _ => self.member.context().trouble.explain(error),
        }
    }

    /// Whether it says more than what is stored.
    fn is_news(&self, commit: &Commit) -> bool {
        let place = |checkpoint: &Checkpoint| (checkpoint.base(), checkpoint.settled_above());
        let stored = self.stored();
        let stored = stored.get(&commit.partition.index);
        stored.is_none_or(|stored| place(stored) < place(&commit.checkpoint))
    }

    fn list(&self, commits: &[Commit]) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for commit in commits {
            let (offset, metadata) = to_kafka(&commit.checkpoint);
            let mut element = list.add_partition(&self.physical, number(commit.partition.index));
            element.set_offset(Offset::Offset(offset))?;
            element.set_metadata(metadata);
        }
        Ok(list)
    }

    fn stored(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Checkpoint>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
