//! How several sources of one group share a topic.

use futures::FutureExt;
use futures::future::select_all;
use tokio::sync::oneshot;

use super::*;

/// Sources of one group, each polled whatever the others do, as hosts beside each other are. Whatever happens, a
/// partition that one is given must not be another's.
struct Crowd {
    topic: String,
    members: BTreeMap<usize, Member>,
    joined: usize,
    replies: Replies,
}

/// What a member does that is asked for partitions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replies {
    /// It commits what came, and replies.
    AtOnce,
    /// It keeps them until [`Crowd::let_go`].
    Later,
}

struct Member {
    source: Box<dyn Source>,
    assignments: BTreeMap<u32, Assignment>,
    came: Vec<Message>,
    asked: Vec<(Vec<Partition>, oneshot::Sender<()>)>,
}

impl Member {
    fn owned(&self) -> Vec<u32> {
        self.assignments.keys().copied().collect()
    }

    /// Partitions that it is asked for.
    fn asked(&self) -> Vec<u32> {
        self.asked.iter().flat_map(|(partitions, _)| partitions).map(|partition| partition.index).collect()
    }

    fn commit_of(&self, partition: u32, checkpoint: Checkpoint) -> Commit {
        let Assignment { partition, epoch, .. } = self.assignments[&partition].clone();
        Commit { partition, epoch, checkpoint }
    }

    /// Commits all that came of these partitions.
    async fn commit_what_came(&mut self, partitions: &[u32]) {
        let last = |index: &u32| self.came.iter().rev().find(|message| message.origin.partition.index == *index);
        let commit = |index: &u32| Some(self.commit_of(*index, Checkpoint::plain(last(index)?.origin.position)));
        let commits = partitions.iter().filter_map(commit).collect();
        self.source.commit(commits).await.unwrap();
    }
}

impl Crowd {
    async fn new(subject: &dyn Subject, replies: Replies) -> Self {
        Self { topic: subject.topic().await, members: BTreeMap::new(), joined: 0, replies }
    }

    /// Another source of the group; says its number.
    async fn join(&mut self, subject: &dyn Subject) -> usize {
        let (start, on_lost_position) = (Start::Earliest, OnLostPosition::Fail);
        let subscription =
            Subscription { topic: self.topic.as_str().into(), group: "g".into(), start, on_lost_position };
        let source = subject.open().await.source(&subscription).await.unwrap();
        let member = Member { source, assignments: BTreeMap::new(), came: Vec::new(), asked: Vec::new() };
        self.joined += 1;
        self.members.insert(self.joined, member);
        self.joined
    }

    /// A source commits what came, and stops.
    async fn leave(&mut self, number: usize) -> Vec<Message> {
        let mut member = self.members.remove(&number).unwrap();
        member.commit_what_came(&member.owned()).await;
        member.came
    }

    /// Until `done`.
    async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let polls = self.members.iter_mut().map(|(number, member)| {
                let Member { source, assignments, .. } = member;
                let demand = assignments.values().map(|assignment| (assignment.partition.clone(), ALL)).collect();
                async move { (*number, source.next(&Rooms(demand)).await) }.boxed()
            });
            let told = tokio::time::timeout(PATIENCE, select_all(polls)).await.expect("no event came").0;
            self.told(told.0, told.1).await;
        }
    }

    async fn told(&mut self, number: usize, event: SourceEvent) {
        let member = self.members.get_mut(&number).unwrap();
        match event {
            SourceEvent::Messages(batch) => {
                assert!(member.assignments.contains_key(&batch.partition.index), "{} is not its own", batch.partition);
                member.came.extend(batch.messages);
            }
            SourceEvent::Revoked { partitions, reply } => {
                member.asked.push((partitions, reply));
                if self.replies == Replies::AtOnce {
                    self.let_go(number).await;
                }
            }
            SourceEvent::Assigned(assignments) => {
                for assignment in assignments {
                    let index = assignment.partition.index;
                    let owners = self.members.iter().filter(|(_, member)| member.assignments.contains_key(&index));
                    assert_eq!(owners.count(), 0, "{number} is given partition {index}, which has an owner");
                    self.members.get_mut(&number).unwrap().assignments.insert(index, assignment);
                }
            }
            event @ (SourceEvent::Lost(_) | SourceEvent::Failed(_)) => panic!("{number}: {event:?}"),
        }
    }

    /// A source commits what came of the partitions that it is asked for, and lets them go.
    async fn let_go(&mut self, number: usize) {
        let member = self.members.get_mut(&number).unwrap();
        member.commit_what_came(&member.asked()).await;
        for (partitions, reply) in std::mem::take(&mut member.asked) {
            member.assignments.retain(|index, _| partitions.iter().all(|partition| partition.index != *index));
            reply.send(()).unwrap();
        }
    }

    /// How many partitions each has, the least first.
    fn shares(&self) -> Vec<usize> {
        let mut shares: Vec<usize> = self.members.values().map(|member| member.assignments.len()).collect();
        shares.sort_unstable();
        shares
    }

    fn came(&self) -> usize {
        self.members.values().map(|member| member.came.len()).sum()
    }

    /// Two sources of which the second is granted nothing yet, for the first is asked and keeps what it has.
    async fn of_one_that_is_asked(subject: &dyn Subject) -> Self {
        let mut crowd = Self::new(subject, Replies::Later).await;
        crowd.join(subject).await;
        crowd.until(|crowd| crowd.shares() == [4]).await;
        crowd.join(subject).await;
        crowd.until(|crowd| crowd.members[&1].asked().len() == 2).await;
        crowd
    }
}

/// Two hosts.
pub async fn sources_of_a_group_share_the_partitions(subject: &dyn Subject) {
    let mut crowd = Crowd::new(subject, Replies::AtOnce).await;
    let sink = subject.open().await.sink(&crowd.topic).await.unwrap();
    crowd.join(subject).await;
    crowd.join(subject).await;
    crowd.until(|crowd| crowd.shares() == [2, 2]).await;
    for partition in 0..PARTITIONS {
        write_numbers(&*sink, partition, 0..5).await;
    }
    crowd.until(|crowd| crowd.came() == 20).await;
    for member in crowd.members.values() {
        assert_eq!(member.came.len(), 10, "its own partitions', and no others'");
    }
}

/// A host more, and a host less.
pub async fn shares_follow_who_comes_and_goes(subject: &dyn Subject) {
    let mut crowd = Crowd::new(subject, Replies::AtOnce).await;
    let first = crowd.join(subject).await;
    crowd.until(|crowd| crowd.shares() == [4]).await;
    crowd.join(subject).await;
    crowd.until(|crowd| crowd.shares() == [2, 2]).await;
    crowd.join(subject).await;
    crowd.until(|crowd| crowd.shares() == [1, 1, 2]).await;
    crowd.leave(first).await;
    crowd.until(|crowd| crowd.shares() == [2, 2]).await;
    let last = *crowd.members.keys().next().unwrap();
    crowd.leave(last).await;
    crowd.until(|crowd| crowd.shares() == [4]).await;
}

/// A clean stop.
pub async fn a_successor_starts_exactly_at_the_checkpoint(subject: &dyn Subject) {
    let mut crowd = Crowd::new(subject, Replies::AtOnce).await;
    let sink = subject.open().await.sink(&crowd.topic).await.unwrap();
    let (first, second) = (crowd.join(subject).await, crowd.join(subject).await);
    crowd.until(|crowd| crowd.shares() == [2, 2]).await;
    let index = crowd.members[&first].owned()[0];
    let positions = write_numbers(&*sink, index, 0..10).await;
    crowd.until(|crowd| crowd.came() == 10).await;
    let mut leaver = crowd.members.remove(&first).unwrap();
    let checkpoint = Checkpoint::new(positions[3], positions[7], vec![positions[4], positions[6]]);
    leaver.source.commit(vec![leaver.commit_of(index, checkpoint.clone())]).await.unwrap();
    drop(leaver);
    crowd.until(|crowd| crowd.came() == 6).await;
    let successor = &crowd.members[&second];
    assert_eq!(successor.assignments[&index].checkpoint, Some(checkpoint));
    assert_eq!(payloads(&successor.came), numbers(4..10));
}

/// Asked back while messages run.
pub async fn a_partition_that_is_asked_back_stays_until_the_reply(subject: &dyn Subject) {
    let mut crowd = Crowd::of_one_that_is_asked(subject).await;
    let sink = subject.open().await.sink(&crowd.topic).await.unwrap();
    let asked = crowd.members[&1].asked();
    for partition in 0..PARTITIONS {
        write_numbers(&*sink, partition, 0..10).await;
    }
    crowd.until(|crowd| crowd.came() == 40).await;
    assert_eq!(crowd.members[&1].came.len(), 40, "all of them flow on to the owner");

    let owner = crowd.members.get_mut(&1).unwrap();
    let positions: Vec<Position> = owner.came.iter().map(|message| message.origin.position).collect();
    let of =
        |index| owner.came.iter().zip(&positions).filter(move |(message, _)| message.origin.partition.index == index);
    let draining: Vec<Commit> =
        asked.iter().map(|index| owner.commit_of(*index, Checkpoint::plain(*of(*index).nth(5).unwrap().1))).collect();
    owner.source.commit(draining.clone()).await.unwrap();
    for (partitions, reply) in std::mem::take(&mut owner.asked) {
        owner.assignments.retain(|index, _| partitions.iter().all(|partition| partition.index != *index));
        reply.send(()).unwrap();
    }
    crowd.until(|crowd| crowd.came() == 48).await;
    let successor = &crowd.members[&2];
    assert_eq!(successor.owned().len(), 2);
    for commit in &draining {
        let restored = &successor.assignments[&commit.partition.index].checkpoint;
        assert_eq!(*restored, Some(commit.checkpoint.clone()), "what was stored while it drained");
    }
    let mut partitions: Vec<Partition> = draining.iter().map(|commit| commit.partition.clone()).collect();
    let late = crowd.members.get_mut(&1).unwrap().source.commit(draining).await;
    let Err(CommitError::NotOwned(mut refused)) = late else { panic!("{late:?}") };
    partitions.sort();
    refused.sort();
    assert_eq!(refused, partitions);
}

/// A host whose pipeline breaks off.
pub async fn a_reply_that_is_dropped_lets_go(subject: &dyn Subject) {
    let mut crowd = Crowd::of_one_that_is_asked(subject).await;
    let owner = crowd.members.get_mut(&1).unwrap();
    let asked = owner.asked();
    owner.assignments.retain(|index, _| !asked.contains(index));
    owner.asked.clear();
    crowd.until(|crowd| crowd.shares() == [2, 2]).await;
    assert_eq!(crowd.members[&2].owned(), {
        let mut asked = asked;
        asked.sort_unstable();
        asked
    });
}

/// Neither lost nor repeated, where everybody commits before it lets go.
pub async fn every_message_comes_once_while_partitions_change_hands(subject: &dyn Subject) {
    let mut crowd = Crowd::new(subject, Replies::AtOnce).await;
    let sink = subject.open().await.sink(&crowd.topic).await.unwrap();
    let mut came: Vec<Message> = Vec::new();
    for round in 0..8 {
        // Up to three beside each other; the oldest goes when there are more.
        crowd.join(subject).await;
        if crowd.members.len() > 3 {
            let oldest = *crowd.members.keys().next().unwrap();
            came.extend(crowd.leave(oldest).await);
        }
        for partition in 0..PARTITIONS {
            write_numbers(&*sink, partition, round * 10..round * 10 + 10).await;
        }
        // Half of them come before the next change, which may be before the shares have settled.
        let enough = ((round + 1) * 40 - 20_usize).saturating_sub(came.len());
        crowd.until(|crowd| crowd.came() >= enough).await;
    }
    let rest = 320 - came.len();
    crowd.until(|crowd| crowd.came() >= rest).await;
    came.extend(std::mem::take(&mut crowd.members).into_values().flat_map(|member| member.came));
    let mut places: Vec<(u32, Position)> =
        came.iter().map(|message| (message.origin.partition.index, message.origin.position)).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!((came.len(), places.len()), (320, 320));
}

/// What one has lost does not hide what it has.
pub async fn a_commit_is_refused_only_for_what_is_not_owned(subject: &dyn Subject) {
    let mut crowd = Crowd::of_one_that_is_asked(subject).await;
    let sink = subject.open().await.sink(&crowd.topic).await.unwrap();
    let kept = *crowd.members[&1].owned().iter().find(|index| !crowd.members[&1].asked().contains(index)).unwrap();
    let gone = crowd.members[&1].asked()[0];
    let positions = [write_numbers(&*sink, kept, 0..1).await[0], write_numbers(&*sink, gone, 0..1).await[0]];
    crowd.until(|crowd| crowd.came() == 2).await;
    let commits: Vec<Commit> = [kept, gone]
        .into_iter()
        .zip(positions)
        .map(|(index, position)| crowd.members[&1].commit_of(index, Checkpoint::plain(position)))
        .collect();
    crowd.let_go(1).await;
    crowd.until(|crowd| crowd.shares() == [2, 2]).await;
    let refused = crowd.members.get_mut(&1).unwrap().source.commit(commits.clone()).await;
    assert_eq!(refused, Err(CommitError::NotOwned(vec![commits[1].partition.clone()])));
    let stored = subject.open().await.checkpoints(&crowd.topic, "g").await.unwrap();
    assert!(stored.contains(&(kept, commits[0].checkpoint.clone())), "{stored:?}");
}

/// More hosts than partitions.
pub async fn a_source_without_partitions_is_silent_until_it_gets_some(subject: &dyn Subject) {
    let mut crowd = Crowd::new(subject, Replies::AtOnce).await;
    let sink = subject.open().await.sink(&crowd.topic).await.unwrap();
    for _ in 0..PARTITIONS + 1 {
        crowd.join(subject).await;
    }
    crowd.until(|crowd| crowd.shares() == [0, 1, 1, 1, 1]).await;
    for partition in 0..PARTITIONS {
        write_numbers(&*sink, partition, 0..10).await;
    }
    // It is polled all the while: whatever it said but messages, which it may not have, would fail.
    crowd.until(|crowd| crowd.came() == 40).await;
    let (busy, _) = crowd.members.iter().find(|(_, member)| !member.assignments.is_empty()).unwrap();
    crowd.leave(*busy).await;
    crowd.until(|crowd| crowd.shares() == [1, 1, 1, 1]).await;
}
