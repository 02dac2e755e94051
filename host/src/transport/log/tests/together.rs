//! Writes that wait for the disk at the same time.

use std::collections::BTreeSet;
use std::sync::mpsc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// Keeps the writer thread busy until the sender is dropped.
async fn hold_up(log: &Log) -> (mpsc::Sender<()>, JoinHandle<Result<(), Error>>) {
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = oneshot::channel();
    let (mut begun, store) = (Some(begun), log.store.clone());
    let held = tokio::spawn(async move {
        let job = move |_: &Connection| {
            begun.take().into_iter().for_each(|begun| begun.send(()).unwrap());
            let _ = released.recv();
            Ok(())
        };
        store.database.write(0, job).await
    });
    begins.await.unwrap();
    (release, held)
}

fn to(partition: u32) -> Record {
    Record { partition: Some(partition), ..record("x") }
}

#[tokio::test]
async fn writes_that_wait_at_the_same_time_go_together_in_the_order_in_which_they_began() {
    let folder = tempfile::tempdir().unwrap();
    let ticks = AtomicU64::new(0);
    let clock = Clock::from_fn(move || Timestamp(ticks.fetch_add(1, Ordering::Relaxed)));
    let log = with(&folder, SLOW, BTreeMap::new(), clock);
    let sink = log.sink("t").await.unwrap();
    let (release, held) = hold_up(&log).await;
    let mut writes: Vec<_> = (0..5).map(|_| sink.write(vec![to(0), to(0)])).collect();
    for write in &mut writes {
        assert!(futures::poll!(write).is_pending());
    }
    drop(release);
    held.await.unwrap().unwrap();
    let mut positions = Vec::new();
    for write in writes {
        positions.extend(write.await.into_iter().map(|written| written.unwrap().unwrap().position.0));
    }
    assert_eq!(positions, (0..10).collect::<Vec<_>>());
    let messages = log.read(&Partition::new("t", 0), Position(0), 100).await.unwrap();
    let times: BTreeSet<Timestamp> = messages.iter().map(|message| message.origin.enqueued).collect();
    assert_eq!((messages.len(), times.len()), (10, 1), "one job wrote all of them, at one time");
}

#[tokio::test]
async fn a_write_that_fails_takes_none_with_it_that_waited_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, SLOW);
    let sink = log.sink("t").await.unwrap();
    let full = "UPDATE log SET first = ?1, end = ?1 WHERE part = 0";
    connection(&folder).execute(full, params![schema::POSITIONS]).unwrap();
    let (release, held) = hold_up(&log).await;
    let mut writes = [sink.write(vec![to(1)]), sink.write(vec![to(0)]), sink.write(vec![to(1)])];
    for write in &mut writes {
        assert!(futures::poll!(write).is_pending());
    }
    drop(release);
    held.await.unwrap().unwrap();
    let [one, full, other] = writes;
    // Each again, alone, as it is asked for: among writes at the same time no order is promised.
    let (one, full, other) = (one.await, full.await, other.await);
    assert!(matches!(&full[..], [Err(WriteError::Unavailable { reason, .. })] if reason.contains("t/0")), "{full:?}");
    let written = |position| [Ok(Some(Written { partition: 1, position: Position(position) }))];
    assert_eq!((one.as_slice(), other.as_slice()), (written(0).as_slice(), written(1).as_slice()));
}

#[tokio::test]
async fn who_waits_behind_a_write_that_was_given_up_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, SLOW);
    let sink = log.sink("t").await.unwrap();
    let (release, held) = hold_up(&log).await;
    let (mut given_up, mut other) = (sink.write(vec![to(0)]), sink.write(vec![to(0)]));
    assert!(futures::poll!(&mut given_up).is_pending() && futures::poll!(&mut other).is_pending());
    drop(given_up);
    drop(release);
    held.await.unwrap().unwrap();
    assert_eq!(other.await, [Ok(Some(Written { partition: 0, position: Position(1) }))], "the other may still be done");
}

#[tokio::test]
async fn a_writer_that_has_ended_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, SLOW);
    let sink = log.sink("t").await.unwrap();
    log.store.database.break_down();
    for _ in 0..2 {
        let answers = sink.write(vec![to(0)]).await;
        assert!(matches!(&answers[..], [Err(WriteError::Unavailable { .. })]), "{answers:?}");
    }
}
