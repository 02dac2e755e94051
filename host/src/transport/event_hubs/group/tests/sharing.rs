//! Who has what.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_that_is_alone_has_everything_at_once() {
    let mut crowd = Crowd::new(32);
    crowd.join();
    let took = crowd.until(LOOK, |crowd| crowd.shares() == [32]).await;
    assert!(took < Duration::from_millis(50), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn shares_follow_who_comes_and_goes() {
    let mut crowd = Crowd::new(4);
    let first = crowd.join();
    crowd.until(LOOK, |crowd| crowd.shares() == [4]).await;
    crowd.join();
    crowd.until(2 * LOOK, |crowd| crowd.shares() == [2, 2]).await;
    crowd.join();
    crowd.until(3 * LOOK, |crowd| crowd.shares() == [1, 1, 2]).await;
    crowd.members.remove(&first);
    crowd.until(2 * LOOK, |crowd| crowd.shares() == [2, 2]).await;
    let all = crowd.members.values().flat_map(|mate| mate.told.clone());
    let bad = |event: &GroupEvent| matches!(event, GroupEvent::Lost(_) | GroupEvent::Failed(_));
    assert_eq!(all.filter(bad).collect::<Vec<_>>(), [], "nobody is robbed");
}

#[tokio::test(start_paused = true)]
async fn those_that_begin_together_share_as_well() {
    let mut crowd = Crowd::new(32);
    for _ in 0..4 {
        crowd.join();
    }
    crowd.until(6 * LOOK, Crowd::is_balanced).await;
    let moved: Vec<usize> = crowd.members.values().map(|mate| mate.told.len()).collect();
    crowd.pass(10 * POLL).await;
    assert_eq!(crowd.members.values().map(|mate| mate.told.len()).collect::<Vec<_>>(), moved, "then nothing moves");
}

#[tokio::test(start_paused = true)]
async fn more_members_than_partitions_leave_some_without() {
    let mut crowd = Crowd::new(4);
    for _ in 0..5 {
        crowd.join();
    }
    crowd.until(6 * LOOK, |crowd| crowd.shares() == [0, 1, 1, 1, 1]).await;
    let (busy, _) = crowd.members.iter().find(|(_, mate)| !mate.owned.is_empty()).unwrap();
    let busy = *busy;
    crowd.members.remove(&busy);
    // Those that have one do not know of it before it asks.
    crowd.until(2 * LOOK, |crowd| crowd.shares() == [1, 1, 1, 1]).await;
}

#[tokio::test(start_paused = true)]
async fn partitions_that_come_later_are_shared_as_well() {
    let mut crowd = Crowd::of(4, 2).await;
    crowd.partitions = 7;
    crowd.member(1).group.grow(7);
    // It leaves the other one its share.
    crowd.until(LOOK, |crowd| crowd.shares() == [2, 4]).await;
    crowd.member(2).group.grow(7);
    crowd.until(LOOK, |crowd| crowd.shares() == [3, 4]).await;
    // What was known before says nothing.
    crowd.member(2).group.grow(4);
    crowd.pass(3 * LOOK).await;
    assert_eq!(crowd.shares(), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_one_leaves_behind_is_taken_at_the_next_look() {
    let mut crowd = Crowd::of(32, 2).await;
    crowd.members.remove(&1);
    let took = crowd.until(POLL + Duration::from_secs(2), |crowd| crowd.shares() == [32]).await;
    assert!(took <= POLL, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_one_had_is_taken_when_its_lease_is_over() {
    let mut crowd = Crowd::of(32, 2).await;
    crowd.kill(1);
    // The crowd checks that it holds nothing any more when others are given what it had.
    let took = crowd.until(LEASE + POLL + Duration::from_secs(2), |crowd| crowd.shares() == [32]).await;
    assert!(took > LEASE - Duration::from_secs(10), "it has renewed within a third of a lease: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_stays_until_it_is_released_and_goes_to_who_asked() {
    let mut crowd = Crowd::of(4, 1).await;
    crowd.member(1).clings = true;
    crowd.join();
    crowd.until(2 * LOOK, |crowd| crowd.members[&1].asked.len() == 2).await;
    let asked = crowd.members[&1].asked.clone();
    crowd.pass(LEASE).await;
    assert_eq!(crowd.shares(), [0, 4]);
    assert!(asked.iter().all(|partition| crowd.members[&1].holds(*partition)));
    let stored = crowd.members[&1].commit(*asked.first().unwrap(), 7).await;
    assert_eq!(stored, Ok(()), "it drains");
    crowd.member(1).let_go();
    let took = crowd.until(LOOK, |crowd| crowd.shares() == [2, 2]).await;
    assert!(took <= Duration::from_millis(1100), "who waits looks more often: {took:?}");
    assert_eq!(crowd.members[&2].owned.keys().copied().collect::<BTreeSet<_>>(), asked);
    assert_eq!(crowd.members[&2].kept[asked.first().unwrap()], Some(at(7)));
    assert_eq!(crowd.entry(Kind::Wish, *asked.first().unwrap()).await, Some(layout::owned_by("")), "it asks no more");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_taken_back() {
    let mut crowd = Crowd::of(2, 1).await;
    crowd.member(1).clings = true;
    crowd.join();
    crowd.until(2 * LOOK, |crowd| crowd.members[&1].asked.len() == 1).await;
    crowd.kill(2);
    crowd.member(1).let_go();
    crowd.pass(2 * POLL).await;
    assert_eq!(crowd.shares(), [1], "it is left to who asked");
    crowd.until(LEASE + 2 * POLL, |crowd| crowd.shares() == [2]).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_let_go_is_robbed() {
    let mut crowd = Crowd::of(2, 1).await;
    crowd.member(1).clings = true;
    crowd.join();
    crowd.pass(LEASE + Duration::from_secs(60) - POLL).await;
    assert_eq!(crowd.shares(), [0, 2]);
    // It holds what it is robbed of until it sees that: that is what makes it hard.
    let deaf = crowd.members.remove(&1).unwrap();
    crowd.until(4 * LOOK, |crowd| crowd.shares() == [1]).await;
    crowd.members.insert(1, deaf);
    crowd.until(LOOK, |crowd| crowd.shares() == [1, 1]).await;
}

#[tokio::test(start_paused = true)]
async fn one_of_another_kind_is_robbed_of_one_partition_at_a_look() {
    let mut crowd = Crowd::new(8);
    for partition in 0..8 {
        crowd.write(Kind::Ownership, partition, &layout::owned_by("python")).await;
    }
    crowd.join();
    for count in 1..=4 {
        crowd.until(LOOK, |crowd| crowd.shares() == [count]).await;
    }
    crowd.pass(5 * POLL).await;
    assert_eq!(crowd.shares(), [4]);
    assert_eq!(
        crowd.store.list(&format!("{}/lockgate-wanted", layout().folder())).await.unwrap(),
        [],
        "it asks nobody"
    );
}

#[tokio::test(start_paused = true)]
async fn what_one_of_another_kind_takes_is_lost() {
    let mut crowd = Crowd::of(4, 1).await;
    crowd.write(Kind::Ownership, 2, &layout::owned_by("python")).await;
    crowd.until(LOOK, |crowd| crowd.shares() == [3]).await;
    assert_eq!(crowd.members[&1].told.last(), Some(&GroupEvent::Lost(vec![2])));
    crowd.pass(2 * POLL).await;
    assert_eq!(crowd.shares(), [3], "that is its share");
}

#[tokio::test(start_paused = true)]
async fn a_suspicion_is_answered_by_a_call() {
    let mut crowd = Crowd::of(2, 1).await;
    let suspect = |crowd: &Crowd, partition: u32| {
        let mate = &crowd.members[&1];
        mate.group.suspect(partition, mate.owned[&partition]);
    };
    crowd.write(Kind::Ownership, 0, &layout::owned_by("python")).await;
    suspect(&crowd, 0);
    let took = crowd.until(LOOK, |crowd| crowd.shares() == [1]).await;
    assert!(took < Duration::from_millis(50), "{took:?}");
    let mut waits = Vec::new();
    for count in 1..=4 {
        suspect(&crowd, 1);
        let confirmed =
            |crowd: &Crowd| crowd.members[&1].told.iter().filter(|event| **event == GroupEvent::Confirmed(1)).count();
        waits.push(crowd.until(LEASE, |crowd| confirmed(crowd) == count).await.as_secs());
    }
    assert_eq!(waits, [0, 1, 2, 4], "two that believe they own it do not spin");
}

#[tokio::test(start_paused = true)]
async fn a_suspicion_is_not_answered_by_what_was_under_way_before_it() {
    let mut crowd = Crowd::of(2, 1).await;
    crowd.members[&1].line.next("ownership/0", line::Fate::AnswerLate);
    crowd.pass(Duration::from_secs(11)).await;
    crowd.write(Kind::Ownership, 0, &layout::owned_by("python")).await;
    let mate = &crowd.members[&1];
    mate.group.suspect(0, mate.owned[&0]);
    let took = crowd.until(LOOK, |crowd| crowd.shares() == [1]).await;
    assert!(took < Duration::from_millis(2100), "when the renewal was answered: {took:?}");
    assert!(!crowd.members[&1].told.contains(&GroupEvent::Confirmed(0)));
}

#[tokio::test(start_paused = true)]
async fn what_is_let_go_unasked_is_left_to_others_for_a_while() {
    let mut crowd = Crowd::of(1, 1).await;
    crowd.member(1).asked.insert(0);
    crowd.member(1).let_go();
    crowd.pass(2 * POLL - Duration::from_millis(100)).await;
    assert_eq!(crowd.shares(), [0]);
    crowd.until(LOOK, |crowd| crowd.shares() == [1]).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_for_an_earlier_ownership_does_nothing() {
    let mut crowd = Crowd::of(1, 1).await;
    let before = crowd.members[&1].owned[&0];
    crowd.write(Kind::Ownership, 0, &layout::owned_by("python")).await;
    crowd.until(LOOK, |crowd| crowd.shares() == [0]).await;
    crowd.write(Kind::Ownership, 0, &layout::owned_by("")).await;
    crowd.until(LOOK, |crowd| crowd.shares() == [1]).await;
    let mate = &crowd.members[&1];
    assert!(mate.owned[&0] > before);
    mate.group.release(0, before);
    mate.group.suspect(0, before);
    assert!(!mate.group.holds(0, before));
    assert_eq!(mate.group.commit(0, before, at(1)).await, not_owned(0));
    crowd.pass(POLL).await;
    assert!(crowd.members[&1].holds(0));
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_lets_go_what_it_has_and_what_it_wants() {
    let mut crowd = Crowd::of(4, 1).await;
    crowd.member(1).clings = true;
    crowd.join();
    crowd.until(2 * LOOK, |crowd| crowd.members[&1].asked.len() == 2).await;
    crowd.members.clear();
    crowd.pass(Duration::from_millis(10)).await;
    for partition in 0..4 {
        assert_eq!(crowd.entry(Kind::Ownership, partition).await, Some(layout::owned_by("")));
        let wish = crowd.entry(Kind::Wish, partition).await;
        assert!(wish.is_none_or(|wish| wish == layout::owned_by("")));
    }
}
