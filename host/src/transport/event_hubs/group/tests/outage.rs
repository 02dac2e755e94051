//! When the store cannot be reached, or the member itself stood still.

use super::line::Fate;
use super::*;

/// How often each was told.
fn told(crowd: &Crowd) -> (usize, usize) {
    let count = |of: fn(&GroupEvent) -> bool| crowd.members[&1].told.iter().filter(|event| of(event)).count();
    (count(|event| matches!(event, GroupEvent::Failed(_))), count(|event| *event == GroupEvent::Well))
}

#[tokio::test(start_paused = true)]
async fn what_is_owned_is_kept_for_as_long_as_that_is_sure_and_comes_back_by_itself() {
    for fate in [Fate::Refused, Fate::Silent, Fate::AnswerLost] {
        let mut crowd = Crowd::of(4, 1).await;
        crowd.pass(2 * LEASE).await;
        let epochs = crowd.members[&1].owned.clone();
        crowd.members[&1].line.always(fate);
        let start = Instant::now();
        crowd.until(LEASE, |crowd| crowd.shares() == [0]).await;
        // The last renewal began before the store went away.
        assert!(start.elapsed() < LEASE - Duration::from_secs(4), "{fate:?}: {:?}", start.elapsed());
        assert!(start.elapsed() > Duration::from_secs(10), "{fate:?}: {:?}", start.elapsed());
        crowd.pass(2 * LEASE).await;
        assert_eq!((crowd.shares(), told(&crowd)), (vec![0], (1, 0)), "{fate:?}");
        crowd.members[&1].line.always(Fate::Fine);
        crowd.until(2 * LOOK, |crowd| crowd.shares() == [4]).await;
        crowd.pass(POLL).await;
        assert_eq!(told(&crowd), (1, 1), "{fate:?}");
        assert!(epochs.iter().all(|(partition, epoch)| crowd.members[&1].owned[partition] > *epoch));
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_loses_nothing() {
    let mut crowd = Crowd::of(4, 1).await;
    crowd.pass(2 * LEASE).await;
    crowd.members[&1].line.always(Fate::Refused);
    crowd.pass(Duration::from_secs(12)).await;
    crowd.members[&1].line.always(Fate::Fine);
    crowd.pass(LEASE).await;
    assert_eq!((crowd.shares(), told(&crowd)), (vec![4], (1, 1)));
    assert!(!crowd.members[&1].told.iter().any(|event| matches!(event, GroupEvent::Lost(_))));
}

#[tokio::test(start_paused = true)]
async fn nobody_else_takes_what_one_holds_that_cannot_reach_the_store() {
    let mut crowd = Crowd::of(8, 2).await;
    crowd.members[&1].line.always(Fate::Refused);
    // The crowd checks that nobody is given what another holds.
    crowd.until(LEASE + POLL + Duration::from_secs(1), |crowd| crowd.shares() == [0, 8]).await;
    crowd.members[&1].line.always(Fate::Fine);
    crowd.until(3 * LOOK, |crowd| crowd.shares() == [4, 4]).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_slept_sees_that_its_leases_are_over_before_anything_else() {
    let crowd = Crowd::of(4, 1).await;
    crowd.members[&1].line.always(Fate::Silent);
    tokio::time::advance(LEASE).await;
    let mate = &crowd.members[&1];
    assert!(mate.owned.iter().all(|(partition, epoch)| !mate.group.holds(*partition, *epoch)));
    assert_eq!(mate.commit(0, 5).await, not_owned(0));
}

#[tokio::test(start_paused = true)]
async fn one_begins_when_the_store_does() {
    let mut crowd = Crowd::new(4);
    crowd.join();
    crowd.members[&1].line.always(Fate::Refused);
    crowd.pass(LEASE).await;
    assert_eq!(told(&crowd), (1, 0));
    crowd.members[&1].line.always(Fate::Fine);
    crowd.until(LOOK, |crowd| crowd.shares() == [4]).await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_change_nothing() {
    let mut crowd = Crowd::new(2);
    crowd.join();
    for _ in 0..3 {
        crowd.members[&1].line.next("ownership/1", Fate::AnswerLost);
    }
    crowd.until(2 * LOOK, |crowd| crowd.shares() == [2]).await;
    crowd.members[&1].line.next("ownership/0", Fate::AnswerLost);
    crowd.pass(LEASE).await;
    assert!(!crowd.members[&1].told.iter().any(|event| matches!(event, GroupEvent::Lost(_))));
    assert_eq!(crowd.shares(), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_taken_back_is_not_let_go_behind_its_owner() {
    let mut crowd = Crowd::of(1, 1).await;
    crowd.members[&1].commit(0, 4).await.unwrap();
    crowd.members[&1].line.always(Fate::Refused);
    crowd.until(LEASE, |crowd| crowd.shares() == [0]).await;
    crowd.members[&1].line.always(Fate::Fine);
    // Taking it takes longer than until the next look, which shows that another asks for it.
    for name in ["ownership/0", "checkpoint/0"] {
        crowd.members[&1].line.next(name, Fate::AnswerLate);
    }
    let name = layout().entry(Kind::Ownership, 0);
    let before = crowd.store.read(&name).await.unwrap();
    while crowd.store.read(&name).await.unwrap() == before {
        crowd.pass(Duration::from_millis(100)).await;
    }
    crowd.write(Kind::Wish, 0, &layout::owned_by("lockgate-another")).await;
    crowd.member(1).told.clear();
    crowd.pass(2 * LOOK).await;
    let told = &crowd.members[&1].told;
    assert!(told.iter().any(|event| matches!(event, GroupEvent::Acquired { .. })), "{told:?}");
    assert_eq!(told.last(), Some(&GroupEvent::Asked(vec![0])));
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_checkpoint_cannot_be_taken_over_is_tried_again_and_the_others_run() {
    let mut crowd = Crowd::new(3);
    crowd.write(Kind::Checkpoint, 1, &Fields::from([("offset".to_owned(), "77".to_owned())])).await;
    crowd.join();
    crowd.pass(2 * POLL).await;
    assert_eq!(crowd.members[&1].owned.keys().copied().collect::<Vec<_>>(), [0, 2]);
    let failures = crowd.members[&1].told.iter().filter_map(|event| match event {
        GroupEvent::Failed(reason) => Some(reason.clone()),
        _ => None,
    });
    let failures: Vec<String> = failures.collect();
    assert!(
        failures.len() == 1 && failures[0].contains("partition 1 cannot be used: it holds no sequence number"),
        "{failures:?}"
    );
    crowd.write(Kind::Checkpoint, 1, &layout::stored(&at(4), "python")).await;
    crowd.until(2 * LEASE, |crowd| crowd.shares() == [3]).await;
    assert_eq!(crowd.members[&1].kept[&1], Some(at(4)));
    crowd.pass(POLL).await;
    assert_eq!(told(&crowd), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_there_already_is_written_again() {
    let store = Arc::new(Memory::new(Clock::system()));
    let line = Arc::new(Line::new(store.clone()));
    let folder = Folder::new(line.clone(), layout(), Clock::system(), LEASE);
    let entry = (Kind::Ownership, 0);
    line.next("ownership", Fate::AnswerLost);
    assert!(folder.put_owner(entry, "lockgate-a", folder::Owns::Yes, None).await.is_err());
    let landed = folder.stands(Kind::Ownership, 0).await.unwrap().unwrap();
    assert_eq!(landed.owner.as_deref(), Some("lockgate-a"));
    // Others have seen it for a while: a lease that counts from now must not rest on that.
    let wrote = folder.put_owner(entry, "lockgate-a", folder::Owns::Yes, None).await.unwrap();
    let stands = folder.stands(Kind::Ownership, 0).await.unwrap().unwrap();
    assert!(
        matches!(wrote, folder::Wrote::Done { version, .. } if version == stands.version && version != landed.version)
    );
}
