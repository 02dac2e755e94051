//! How far a group has come, whoever stores it.

use super::line::Fate;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_checkpoint_comes_back_and_others_can_read_it() {
    let mut crowd = Crowd::of(1, 1).await;
    let kept = Kept {
        checkpoint: Checkpoint::new(Position(41), Position(50), vec![Position(43)]),
        offset: Some("8120".to_owned()),
    };
    let mate = &crowd.members[&1];
    mate.group.commit(0, mate.owned[&0], kept.clone()).await.unwrap();
    let fields = crowd.entry(Kind::Checkpoint, 0).await.unwrap();
    assert_eq!((fields["sequencenumber"].as_str(), fields["offset"].as_str()), ("41", "8120"));
    assert_eq!(stored(&*crowd.store, &layout(), 1).await.unwrap(), [(0, kept.clone())]);
    crowd.members.clear();
    crowd.join();
    crowd.until(LOOK, |crowd| crowd.shares() == [1]).await;
    assert_eq!(crowd.members[&2].kept[&0], Some(kept));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_behind_changes_nothing_unless_the_hub_was_made_anew() {
    let crowd = Crowd::of(1, 1).await;
    let mate = &crowd.members[&1];
    mate.commit(0, 8).await.unwrap();
    let puts = mate.group.calls().puts;
    assert_eq!((mate.commit(0, 2).await, mate.commit(0, 8).await), (Ok(()), Ok(())));
    assert_eq!((crowd.base(0).await, mate.group.calls().puts), (Some(8), puts));
    mate.group.begin_anew(0, mate.owned[&0], at(-1)).await.unwrap();
    assert_eq!(crowd.base(0).await, Some(-1));
    mate.commit(0, 2).await.unwrap();
    assert_eq!(crowd.base(0).await, Some(2));
    mate.line.next("checkpoint", Fate::AnswerLost);
    assert!(mate.commit(0, 20).await.is_err());
    mate.group.begin_anew(0, mate.owned[&0], at(-1)).await.unwrap();
    assert_eq!(crowd.base(0).await, Some(-1));
}

#[tokio::test(start_paused = true)]
async fn of_those_that_wait_only_the_furthest_is_stored() {
    let crowd = Crowd::of(1, 1).await;
    let mate = &crowd.members[&1];
    let puts = mate.group.calls().puts;
    let commits: Vec<_> = (0..10).map(|base| mate.commit(0, base)).collect();
    let stored = futures::future::join_all(commits).await;
    assert!(stored.iter().all(Result::is_ok));
    assert_eq!((crowd.base(0).await, mate.group.calls().puts - puts), (Some(9), 1));
}

#[tokio::test(start_paused = true)]
async fn one_whose_answer_was_lost_is_stored_once() {
    let crowd = Crowd::of(1, 1).await;
    let mate = &crowd.members[&1];
    mate.line.next("checkpoint", Fate::AnswerLost);
    assert!(matches!(mate.commit(0, 3).await, Err(CommitError::Unavailable(_))));
    assert_eq!(mate.commit(0, 3).await, Ok(()));
    mate.line.next("checkpoint", Fate::AnswerLost);
    assert!(matches!(mate.commit(0, 4).await, Err(CommitError::Unavailable(_))));
    assert_eq!((mate.commit(0, 5).await, crowd.base(0).await), (Ok(()), Some(5)));
    // One that nobody waits for any more.
    drop(mate.commit(0, 6));
    mate.line.next("checkpoint", Fate::Refused);
    assert!(matches!(mate.commit(0, 7).await, Err(CommitError::Unavailable(_))));
    assert_eq!((mate.commit(0, 7).await, crowd.base(0).await), (Ok(()), Some(7)));
}

/// An owner whose line is silent while another takes its partition.
async fn robbed(checkpoint: Option<i64>) -> (Crowd, BoxFuture<'static, Result<(), CommitError>>) {
    let mut crowd = Crowd::of(1, 1).await;
    if let Some(base) = checkpoint {
        crowd.members[&1].commit(0, base).await.unwrap();
    }
    // Begun while it holds the partition, and arrives when it does not.
    let late = crowd.members[&1].commit(0, 9);
    crowd.join();
    crowd.members[&1].line.always(Fate::Refused);
    crowd.until(LEASE + 2 * POLL, |crowd| crowd.members[&2].owned.len() == 1).await;
    crowd.members[&1].line.always(Fate::Fine);
    (crowd, late)
}

#[tokio::test(start_paused = true)]
async fn a_slow_former_owner_does_not_move_a_checkpoint() {
    let (crowd, late) = robbed(Some(2)).await;
    assert_eq!(late.await, not_owned(0));
    assert_eq!(crowd.base(0).await, Some(2));
    crowd.members[&2].commit(0, 20).await.unwrap();
    assert_eq!(crowd.base(0).await, Some(20));
}

#[tokio::test(start_paused = true)]
async fn where_there_was_none_the_second_to_store_one_begins_anew() {
    let (mut crowd, late) = robbed(None).await;
    assert_eq!(crowd.members[&2].kept[&0], None);
    // It was there first: what it has settled is settled.
    assert_eq!(late.await, Ok(()));
    let before = crowd.members[&2].owned[&0];
    assert_eq!(crowd.members[&2].commit(0, 3).await, not_owned(0));
    assert_eq!(crowd.base(0).await, Some(9));
    crowd.until(LOOK, |crowd| crowd.members[&2].owned.get(&0).is_some_and(|epoch| *epoch > before)).await;
    assert_eq!(crowd.members[&2].kept[&0], Some(at(9)));
    crowd.members[&2].commit(0, 10).await.unwrap();
    assert_eq!(crowd.base(0).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn where_the_new_owner_was_first_the_former_one_is_refused() {
    let (mut crowd, late) = robbed(None).await;
    crowd.members[&2].commit(0, 3).await.unwrap();
    assert_eq!(late.await, not_owned(0));
    assert_eq!(crowd.base(0).await, Some(3));
    crowd.pass(POLL).await;
    assert!(crowd.members[&2].holds(0), "nothing has changed for it");
}

#[tokio::test(start_paused = true)]
async fn what_another_client_stores_is_not_overwritten_but_begun_with() {
    let mut crowd = Crowd::of(1, 1).await;
    crowd.members[&1].commit(0, 3).await.unwrap();
    let mut theirs = crowd.entry(Kind::Checkpoint, 0).await.unwrap();
    theirs.remove("lockgate");
    theirs.extend([("sequencenumber".to_owned(), "30".to_owned()), ("offset".to_owned(), "3000".to_owned())]);
    crowd.write(Kind::Checkpoint, 0, &theirs).await;
    let before = crowd.members[&1].owned[&0];
    assert_eq!(crowd.members[&1].commit(0, 4).await, not_owned(0));
    crowd.until(LOOK, |crowd| crowd.members[&1].owned.get(&0).is_some_and(|epoch| *epoch > before)).await;
    assert_eq!(crowd.members[&1].kept[&0], Some(at(30)));
}
