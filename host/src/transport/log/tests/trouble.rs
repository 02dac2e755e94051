//! What is damaged, locked, full or too large.

use super::*;

/// What a source says of a log in which `sql` was run after two messages were read and the first one settled.
async fn told_after(sql: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    let mut source = open_source(&log).await;
    let mine = assigned(&mut *source).await;
    write(&log, vec![record("a"), record("b"), record("c")]).await;
    take(&mut *source, 3).await;
    source.commit(vec![commit(&mine[0], 0)]).await.unwrap();
    drop(source);
    execute(&folder, sql);
    let mut source = open_source(&log).await;
    loop {
        match event(&mut *source).await {
            SourceEvent::Assigned(_) => {}
            SourceEvent::Failed(error @ TransportError::Damaged { .. }) => return error.to_string(),
            event => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn damage_is_told_with_its_place() {
    for (sql, told) in [
        (
            "UPDATE checkpoint SET settled = x'09' WHERE base = 0",
            "t/0: the checkpoint of group g cannot be read: checkpoint has format 9, which this version does not read",
        ),
        (
            "UPDATE checkpoint SET base = 1 WHERE base = 0",
            "t/0: the checkpoint of group g cannot be read: its base is not 1",
        ),
        (
            "UPDATE log SET end = 0; DELETE FROM message",
            "t/0: the checkpoint of group g is at 0, but messages end before 0",
        ),
        (
            "UPDATE message SET headers = x'ffffffff' WHERE id & 0xff = 1",
            "t/0: the message at position 1 cannot be read: its headers are damaged",
        ),
        (
            "UPDATE message SET payload = 'text' WHERE id & 0xff = 2",
            "t/0: the message at position 2 cannot be read: Invalid type",
        ),
        ("DELETE FROM message WHERE id & 0xff = 1", "t/0: the message at position 1 is missing"),
        ("DELETE FROM message WHERE id & 0xff > 0", "t/0: the message at position 1 is missing"),
    ] {
        assert_eq!(told_after(sql).await, format!("transport bus is damaged: {told}"), "{sql}");
    }
}

#[tokio::test]
async fn a_locked_log_is_unavailable_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, Timing { busy: Duration::from_millis(50), ..SLOW });
    let mut source = open_source(&log).await;
    let mine = assigned(&mut *source).await;
    let sink = log.sink("t").await.unwrap();
    let other = connection(&folder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answers = sink.write(vec![record("a"), Record { partition: Some(9), ..record("b") }]).await;
    assert!(
        matches!(&answers[..], [Err(WriteError::Unavailable { .. }), Err(WriteError::Refused { .. })]),
        "{answers:?}"
    );
    let refused = source.commit(vec![commit(&mine[0], -1)]).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    let written = sink.write(vec![record("a")]).await;
    assert_eq!(written, [Ok(Some(Written { partition: 0, position: Position(0) }))]);
    assert_eq!(take(&mut *source, 1).await, ["a"]);
    source.commit(vec![commit(&mine[0], 0)]).await.unwrap();
}

#[tokio::test]
async fn a_source_without_partitions_is_heard_to_be_well_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, SLOW);
    let mut first = open_source(&log).await;
    assigned(&mut *first).await;
    let other = apart(&folder, Timing { busy: Duration::from_millis(50), ..QUICK });
    let mut second = open_source(&other).await;
    let _asked = asked(&mut *first, &mut *second).await;
    let lock = connection(&folder);
    lock.busy_timeout(Duration::from_secs(30)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = event(&mut *second).await;
    assert!(matches!(&failed, SourceEvent::Failed(TransportError::Unavailable { .. })), "{failed:?}");
    lock.execute_batch("ROLLBACK").unwrap();
    let recovered = loop {
        match event(&mut *second).await {
            SourceEvent::Failed(_) => {}
            event => break event,
        }
    };
    assert!(matches!(&recovered, SourceEvent::Assigned(assignments) if assignments.is_empty()), "{recovered:?}");
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    write(&log, vec![record("a")]).await[0].clone().unwrap();
    let pages = |most: &'static str| log.store.database.write(0, move |connection| Ok(connection.execute_batch(most)?));
    pages("PRAGMA max_page_count=20").await.unwrap();
    let large = record(&"x".repeat(1 << 20));
    let answers = write(&log, vec![large.clone(), record("b")]).await;
    let full = |answer: &Result<_, _>| matches!(answer, Err(WriteError::Unavailable { reason, .. }) if reason.contains("full"));
    assert!(answers.iter().all(full), "{answers:?}");
    pages("PRAGMA max_page_count=1000000").await.unwrap();
    let written: Vec<i64> = write(&log, vec![large, record("b")])
        .await
        .into_iter()
        .map(|answer| answer.unwrap().unwrap().position.0)
        .collect();
    assert_eq!(written, [1, 2], "nothing of the failed write is kept");
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    let size = usize::try_from(sink::LARGEST).unwrap() + 1;
    let answers = write(&log, vec![Record { payload: vec![0; size].into(), ..record("") }, record("b")]).await;
    let refused = "topic t refuses the record: it has 268435457 bytes, more than the 268435456 of the log";
    assert_eq!(answers[0].clone().map_err(|error| error.to_string()), Err(refused.to_owned()));
    assert_eq!(answers[1], Ok(Some(Written { partition: 0, position: Position(0) })));
}

#[tokio::test]
async fn a_partition_that_is_full_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    log.sink("t").await.unwrap();
    connection(&folder).execute("UPDATE log SET first = ?1, end = ?1", params![schema::POSITIONS - 1]).unwrap();
    let last = Written { partition: 0, position: Position(schema::POSITIONS - 1) };
    assert_eq!(write(&log, vec![record("a")]).await, [Ok(Some(last))]);
    let full = write(&log, vec![record("b")]).await;
    assert!(matches!(&full[..], [Err(WriteError::Unavailable { .. })]), "{full:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let config = Config { path: folder.path().join("file/log") };
    let failed = Log::open("bus", &config, Ownership::default(), BTreeMap::new(), Clock::system()).err();
    assert!(matches!(failed, Some(TransportError::Unavailable { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_lock_file_that_stays_behind_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    let alive = Holder::new(&log.store.leases).unwrap();
    execute(&folder, "UPDATE member SET holder = 'left-behind'");
    drop(source);
    std::fs::write(log.store.leases.join("left-behind.lock"), "").unwrap();
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    assert!(holder::is_alive(&log.store.leases, alive.id()));
}

#[tokio::test]
async fn a_folder_whose_writer_broke_down_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { path: folder.path().to_owned() };
    let open = || Log::open("bus", &config, Ownership::default(), BTreeMap::new(), Clock::system()).unwrap();
    let broken = open();
    let sink = broken.sink("t").await.unwrap();
    sink.write(vec![record("a")]).await[0].clone().unwrap();
    broken.store.database.break_down();
    let answers = sink.write(vec![record("b")]).await;
    assert!(matches!(&answers[..], [Err(WriteError::Unavailable { .. })]), "{answers:?}");
    let anew = open();
    assert_eq!(write(&anew, vec![record("b")]).await, [Ok(Some(Written { partition: 0, position: Position(1) }))]);
    assert!(Arc::ptr_eq(&anew.store, &open().store));
}

#[tokio::test]
async fn opening_a_folder_sweeps_the_lock_files_of_the_dead() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    std::fs::write(log.store.leases.join("left-behind.lock"), "").unwrap();
    let other = apart(&folder, QUICK);
    assert!(!log.store.leases.join("left-behind.lock").exists());
    let mut second = open_source(&other).await;
    let (asked, _) = asked(&mut *source, &mut *second).await;
    assert_eq!(asked, [2, 3], "the living keeps its leases, and is asked for its part");
}
