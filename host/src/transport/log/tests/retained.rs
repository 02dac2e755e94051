//! What is kept, how long, and what a source says of what is not.

use super::*;

/// A log whose topic is kept so long, with a clock that can be set.
fn kept(folder: &TempDir, timing: Timing, retention: Retention) -> (Log, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(1_000));
    let wall = time.clone();
    let create = Some(Create { retention, ..Create::default() });
    let topics = BTreeMap::from([("t".to_owned(), TopicConfig { create, ..TopicConfig::default() })]);
    (with(folder, timing, topics, Clock::from_fn(move || Timestamp(wall.load(Ordering::SeqCst)))), time)
}

async fn bounds(log: &Log, partition: usize) -> (i64, i64) {
    let topics = log.topics().await.unwrap();
    let PartitionInfo { first, end } = topics[0].partitions[partition];
    (first, end)
}

/// Lets retention do its work now.
async fn trim(log: &Log) {
    let clock = log.clock.clone();
    let step = move |connection: &Connection| retention::step(connection, clock.wall());
    while log.store.database.write(0, step.clone()).await.unwrap() == crate::storage::sqlite::Upkeep::More {}
}

#[tokio::test]
async fn old_messages_go() {
    let folder = tempfile::tempdir().unwrap();
    let age = Some(Period::from_millis(500));
    let (log, time) = kept(&folder, SLOW, Retention { age, size: None });
    write(&log, vec![record("a"), record("b")]).await;
    time.store(1_400, Ordering::SeqCst);
    write(&log, vec![record("c")]).await;
    // A clock that was set back: the message stays as long as those before it.
    time.store(900, Ordering::SeqCst);
    write(&log, vec![record("d")]).await;
    time.store(1_500, Ordering::SeqCst);
    trim(&log).await;
    assert_eq!(bounds(&log, 0).await, (0, 4));
    time.store(1_501, Ordering::SeqCst);
    trim(&log).await;
    assert_eq!(bounds(&log, 0).await, (2, 4));
    time.store(1_901, Ordering::SeqCst);
    trim(&log).await;
    assert_eq!(bounds(&log, 0).await, (4, 4));
    let written = write(&log, vec![record("e")]).await;
    assert_eq!(written, [Ok(Some(Written { partition: 0, position: Position(4) }))], "positions go on");
}

#[tokio::test]
async fn the_oldest_of_all_partitions_go_when_a_topic_is_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let (log, time) = kept(&folder, SLOW, Retention { age: None, size: Some(Size(35)) });
    for (now, partition) in [(1, 0), (2, 1), (3, 0), (4, 1), (5, 0)] {
        time.store(now, Ordering::SeqCst);
        let mut record = record("123456");
        record.headers.push("h", "x");
        write(&log, vec![Record { partition: Some(partition), key: Some("k".into()), ..record }]).await;
    }
    trim(&log).await;
    assert_eq!([bounds(&log, 0).await, bounds(&log, 1).await], [(2, 3), (1, 2)]);
    let bytes: i64 = connection(&folder).query_row("SELECT sum(bytes) FROM log", (), |row| row.get(0)).unwrap();
    assert_eq!(bytes, 34, "17 each, as stored");
}

#[tokio::test]
async fn the_newest_message_stays_though_it_is_larger_than_its_topic_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let age = Some(Period::from_millis(500));
    let (log, time) = kept(&folder, SLOW, Retention { age, size: Some(Size(5)) });
    write(&log, vec![record("123456"), record("1234567")]).await;
    trim(&log).await;
    assert_eq!(bounds(&log, 0).await, (1, 2));
    time.store(2_000, Ordering::SeqCst);
    trim(&log).await;
    assert_eq!(bounds(&log, 0).await, (2, 2), "age spares nothing");
}

#[tokio::test]
async fn one_step_removes_a_bounded_number_of_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = kept(&folder, SLOW, Retention { age: None, size: Some(Size(1)) });
    write(&log, vec![record(&"x".repeat(3 << 20)); 10]).await;
    let mut firsts = Vec::new();
    loop {
        let step = |connection: &Connection| retention::step(connection, Timestamp(1_000));
        let upkeep = log.store.database.write(0, step).await.unwrap();
        firsts.push(bounds(&log, 0).await.0);
        if upkeep == crate::storage::sqlite::Upkeep::Done {
            break;
        }
    }
    assert_eq!(firsts, [6, 9], "six of three MiB, then the rest but the newest");
}

#[tokio::test]
async fn a_retention_that_the_spec_no_longer_says_is_told_and_one_that_it_takes_back_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, SLOW);
    let open = async |create: Option<Retention>| {
        let create = create.map(|retention| Create { retention, ..Create::default() });
        let config = TopicConfig { create, ..TopicConfig::default() };
        let job = move |connection: &Connection| {
            let (topic, earlier) = topics::find_or_create(connection, &"t".into(), &"t".into(), Some(&config))?;
            Ok((topics::retention(connection, topic.id)?, earlier))
        };
        log.store.database.write(0, job).await.unwrap()
    };
    let (none, week) = (Retention::default(), Retention { age: Some(Period::from_millis(604_800_000)), size: None });
    assert_eq!(open(None).await, (none, None));
    assert_eq!(open(Some(week)).await, (week, None));
    assert_eq!(open(None).await, (week, Some(week)));
    assert_eq!(open(Some(none)).await, (none, None));
    assert_eq!(open(None).await, (none, None));
}

#[tokio::test]
async fn a_process_beats_though_retention_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = kept(&folder, QUICK, Retention { age: Some(Period::from_millis(500)), size: None });
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    execute(&folder, "UPDATE topic SET retain_ms = 'for long'");
    let beat = || connection(&folder).query_row("SELECT beat FROM member", (), |row| row.get::<_, i64>(0)).unwrap();
    let before = beat();
    while beat() < before + 3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn retention_does_not_stop_writers() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = kept(&folder, QUICK, Retention { age: None, size: Some(Size(1_000)) });
    for _ in 0..30 {
        let answers = write(&log, vec![record("0123456789"); 200]).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    while bounds(&log, 0).await != (5_900, 6_000) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn messages_that_went_unsettled_are_told_and_those_that_were_settled_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let age = Some(Period::from_millis(1));
    let (log, time) = kept(&folder, SLOW, Retention { age, size: None });
    let mut source = open_source(&log).await;
    let mine = assigned(&mut *source).await;
    write(&log, vec![record("a"), record("b")]).await;
    take(&mut *source, 2).await;
    source.commit(vec![commit(&mine[0], 1)]).await.unwrap();
    time.store(2_000, Ordering::SeqCst);
    trim(&log).await;
    write(&log, vec![record("c"), record("d")]).await;
    drop(source);
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    assert_eq!(take(&mut *source, 2).await, ["c", "d"], "a and b were settled");

    time.store(3_000, Ordering::SeqCst);
    write(&log, vec![record("e")]).await;
    trim(&log).await;
    drop(source);
    let mut source = open_source(&log).await;
    let lost = event(&mut *source).await;
    let (partition, from, to) = (Partition::new("t", 0), Position(2), Position(3));
    let expected = TransportError::LostPosition { partition, from, to };
    assert!(matches!(&lost, SourceEvent::Failed(error) if *error == expected), "{lost:?}");
    drop(source);
    let mut source = log.source(&subscription(OnLostPosition::Earliest)).await.unwrap();
    assigned(&mut *source).await;
    assert_eq!(take(&mut *source, 1).await, ["e"]);
}

#[tokio::test]
async fn messages_that_go_while_they_wait_to_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let age = Some(Period::from_millis(1));
    let (log, time) = kept(&folder, SLOW, Retention { age, size: None });
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    write(&log, vec![record("a"), record("b")]).await;
    time.store(2_000, Ordering::SeqCst);
    trim(&log).await;
    let lost = event(&mut *source).await;
    let (partition, from, to) = (Partition::new("t", 0), Position(0), Position(1));
    let expected = TransportError::LostPosition { partition, from, to };
    assert!(matches!(&lost, SourceEvent::Failed(error) if *error == expected), "{lost:?}");
}
