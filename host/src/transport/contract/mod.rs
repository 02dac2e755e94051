//! What every transport promises, one fact a test. A transport passes by implementing [`Subject`] and naming it in
//! [`transport_contract!`](crate::transport_contract); it is run against real systems, never against a stand-in.
//! Nothing here sleeps: a fact waits for events, and fails when none comes for [`PATIENCE`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken promise ends the test"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Assignment, Batch, Commit, CommitError, Demand, OnLostPosition, Room, Rooms, Sink, Source, SourceEvent, Start,
    Subscription, Transport, Written,
};
use crate::model::{Checkpoint, Message, Partition, Position, Record};

mod groups;
mod reading;
mod retention;
mod sharing;
mod writing;

pub use groups::*;
pub use reading::*;
pub use retention::*;
pub use sharing::*;
pub use writing::*;

/// How many partitions the topics of a subject have.
pub const PARTITIONS: u32 = 4;
/// How long a fact waits for the next event.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What is wrong with a subject whose sinks do not say where records stand.
const UNTOLD: &str = "it is not said where the record stands";
/// Room for everything.
const ALL: Room = Room { messages: 10_000, bytes: 1 << 30 };

/// A transport that the facts are tried on.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Another connection to the same system, where the system has such; else the same one again. Its sinks say where
    /// records stand: a subject whose system does not tell a writer looks for them.
    async fn open(&self) -> Arc<dyn Transport>;
    /// A topic of [`PARTITIONS`] partitions that no other fact uses. It need not exist yet when it is made on first
    /// use.
    async fn topic(&self) -> String;
    /// Makes reading the topic fail, for a while.
    async fn break_reads(&self, topic: &str);
    /// Ends what [`Subject::break_reads`] began.
    async fn mend_reads(&self, topic: &str);
    /// Takes the group's partitions away from its source without asking.
    async fn take_away(&self, topic: &str, group: &str);
    /// Lets the source have them again.
    async fn give_back(&self, topic: &str, group: &str);
    /// Removes a partition's messages before a position, as retention does.
    async fn forget(&self, topic: &str, partition: u32, before: Position);
    /// Bytes of the largest payload that its topics take, as far as a fact tries.
    fn largest(&self) -> usize {
        4 << 20
    }
}

/// Makes one test of each fact. The argument is an expression that gives a [`Subject`]; before it may stand
/// `#[ignore = "…"]`, where its system may not run.
#[macro_export]
macro_rules! transport_contract {
    (@all $attributes:tt $subject:expr) => {
        $crate::transport_contract! { @facts $attributes $subject;
            // reading
            messages_of_a_partition_come_in_order
            a_partition_without_demand_gives_nothing_while_others_flow
            no_more_messages_come_than_demanded
            no_more_bytes_come_than_demanded
            a_message_larger_than_the_room_comes_alone
            an_empty_partition_is_known_to_be_empty
            the_lag_says_what_stands_behind
            new_messages_are_told_of_without_demand
            a_dropped_next_loses_nothing
            a_source_that_fails_comes_back
            a_topic_is_read_without_a_group
            an_unknown_topic_is_refused_and_not_made
            an_unknown_partition_is_refused
            topics_tell_how_far_they_go
            // groups
            what_was_not_committed_comes_again
            a_checkpoint_is_restored_exactly
            a_checkpoint_never_moves_back
            a_group_starts_with_the_oldest_message
            a_group_may_start_with_the_next_message
            a_group_keeps_its_start_though_it_commits_nothing
            two_groups_know_nothing_of_each_other
            a_commit_after_the_partition_is_gone_is_refused
            a_commit_of_an_earlier_assignment_is_refused
            // sharing
            sources_of_a_group_share_the_partitions
            shares_follow_who_comes_and_goes
            a_successor_starts_exactly_at_the_checkpoint
            a_partition_that_is_asked_back_stays_until_the_reply
            a_reply_that_is_dropped_lets_go
            every_message_comes_once_while_partitions_change_hands
            a_commit_is_refused_only_for_what_is_not_owned
            a_source_without_partitions_is_silent_until_it_gets_some
            // retention
            what_is_gone_is_passed_for_good
            what_is_settled_above_what_is_gone_stays_settled
            what_goes_while_it_waits_to_be_read_is_passed
            // writing
            a_chosen_partition_is_taken
            one_key_stays_in_one_partition
            records_without_a_key_are_spread
            a_large_message_comes_whole
            keys_and_headers_are_bytes
            a_payload_may_be_empty
            a_refused_record_does_not_keep_the_others
            an_answer_says_where_the_record_stands
            an_id_is_kept_or_stays_the_same
            writers_beside_each_other_keep_their_order
        }
    };
    (@facts $attributes:tt $subject:expr; $($fact:ident)*) => {
        $( $crate::transport_contract! { @fact $attributes $subject; $fact } )*
    };
    (@fact [$(#[$attribute:meta])*] $subject:expr; $fact:ident) => {
            #[tokio::test]
            $(#[$attribute])*
            async fn $fact() {
                let subject = $subject;
                $crate::transport::contract::$fact(&subject).await;
            }
    };
    (#[ignore = $why:literal] $subject:expr) => {
        $crate::transport_contract! { @all [#[ignore = $why]] $subject }
    };
    ($subject:expr) => {
        $crate::transport_contract! { @all [] $subject }
    };
}

/// A source, and what it has told so far.
struct Reader {
    topic: Arc<str>,
    source: Box<dyn Source>,
    assignments: BTreeMap<u32, Assignment>,
    lag: BTreeMap<u32, u64>,
}

impl Reader {
    /// Of a group that starts with the oldest message, once it has its partitions.
    async fn open(transport: &dyn Transport, topic: &str, group: &str) -> Self {
        Self::start(transport, topic, group, Start::Earliest).await
    }

    async fn start(transport: &dyn Transport, topic: &str, group: &str, start: Start) -> Self {
        let on_lost_position = OnLostPosition::Fail;
        Self::of(transport, Subscription { topic: topic.into(), group: group.into(), start, on_lost_position }).await
    }

    /// Of a group that goes on with the oldest message when others are gone.
    async fn open_going_on(transport: &dyn Transport, topic: &str, group: &str) -> Self {
        let (start, on_lost_position) = (Start::Earliest, OnLostPosition::Earliest);
        Self::of(transport, Subscription { topic: topic.into(), group: group.into(), start, on_lost_position }).await
    }

    async fn of(transport: &dyn Transport, subscription: Subscription) -> Self {
        let source = transport.source(&subscription).await.unwrap();
        let topic = subscription.topic;
        let mut reader = Self { topic, source, assignments: BTreeMap::new(), lag: BTreeMap::new() };
        reader.wait_for_partitions().await;
        reader
    }

    /// Until every partition is assigned.
    async fn wait_for_partitions(&mut self) {
        while self.assignments.len() < PARTITIONS as usize {
            match self.event(&Rooms::default()).await {
                SourceEvent::Lost(_) | SourceEvent::Assigned(_) | SourceEvent::Messages(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    async fn event(&mut self, demand: &dyn Demand) -> SourceEvent {
        let event = tokio::time::timeout(PATIENCE, self.source.next(demand)).await.expect("no event came");
        match &event {
            SourceEvent::Assigned(assignments) => {
                let each = assignments.iter().map(|assignment| (assignment.partition.index, assignment.clone()));
                self.assignments.extend(each);
            }
            SourceEvent::Lost(partitions) => {
                self.assignments.retain(|index, _| partitions.iter().all(|lost| lost.index != *index));
            }
            SourceEvent::Messages(batch) => {
                self.lag.insert(batch.partition.index, batch.lag);
            }
            SourceEvent::Revoked { .. } | SourceEvent::Failed(_) => {}
        }
        event
    }

    /// The next batch that is not empty. Fails when anything else but news of the lag comes.
    async fn batch(&mut self, demand: &dyn Demand) -> Batch {
        loop {
            match self.event(demand).await {
                SourceEvent::Messages(batch) if batch.messages.is_empty() => {}
                SourceEvent::Messages(batch) => return batch,
                event => panic!("{event:?}"),
            }
        }
    }

    /// The next messages of all partitions together.
    async fn take(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let room = Room { messages: count - messages.len(), ..ALL };
            messages.extend(self.batch(&self.demand(&[0, 1, 2, 3], room)).await.messages);
        }
        messages
    }

    fn demand(&self, partitions: &[u32], room: Room) -> Rooms {
        let rooms = partitions.iter().map(|index| (Partition::new(self.topic.clone(), *index), room));
        Rooms(rooms.collect::<HashMap<_, _>>())
    }

    fn commit_of(&self, partition: u32, checkpoint: Checkpoint) -> Commit {
        let Assignment { partition, epoch, .. } = self.assignments[&partition].clone();
        Commit { partition, epoch, checkpoint }
    }

    async fn commit(&mut self, partition: u32, checkpoint: Checkpoint) -> Result<(), CommitError> {
        let commit = self.commit_of(partition, checkpoint);
        self.source.commit(vec![commit]).await
    }
}

/// A record for a partition.
fn record(partition: u32, payload: impl Into<Bytes>) -> Record {
    Record { partition: Some(partition), payload: payload.into(), ..Record::default() }
}

/// Writes one record, which must succeed.
async fn write(sink: &dyn Sink, record: Record) -> Written {
    let answers = sink.write(vec![record]).await;
    assert_eq!(answers.len(), 1);
    answers.into_iter().next().unwrap().unwrap().expect(UNTOLD)
}

/// Writes numbers as text into one partition.
async fn write_numbers(sink: &dyn Sink, partition: u32, numbers: std::ops::Range<usize>) -> Vec<Position> {
    let records = numbers.map(|number| record(partition, number.to_string())).collect();
    let answers = sink.write(records).await;
    answers.into_iter().map(|answer| answer.unwrap().expect(UNTOLD).position).collect()
}

fn payloads(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}
