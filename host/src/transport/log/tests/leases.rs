//! Who has which partition: look by look, and then source by source across processes.

use super::look::{self, Look, Looked, Sign};
use super::member::Process;
use super::*;

/// A folder with one topic, and the members that look.
struct Looks {
    folder: TempDir,
    log: Log,
}

impl Looks {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { log: apart(&folder, SLOW), folder }
    }

    fn holder(&self) -> Holder {
        Holder::new(&self.log.store.leases).unwrap()
    }

    /// A member that believes to own what is said of partitions and epochs.
    async fn look(&self, holder: &Holder, owned: &[(u32, i64)], stale: &[Sign]) -> Looked {
        let look = Look {
            topic: self.log.find_or_create("t").await.unwrap(),
            group: "g".into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
            folder: self.log.store.leases.clone(),
            holder: holder.id().to_owned(),
            process: Process { id: 77, name: "process 77".into() },
            owned: owned.to_vec(),
            stale: stale.to_vec(),
        };
        self.log.store.database.write(0, move |connection| look::look(connection, &look)).await.unwrap()
    }

    /// By partition: epoch, owner and who wants it.
    fn leases(&self) -> Vec<(i64, Option<i64>, Option<i64>)> {
        let connection = connection(&self.folder);
        let mut statement =
            connection.prepare("SELECT epoch, owner, wanted_by FROM partition_lease ORDER BY part").unwrap();
        let leases = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        leases.map(Result::unwrap).collect()
    }
}

fn granted(looked: &Looked) -> Vec<(u32, i64)> {
    looked.granted.iter().map(|granted| (granted.partition, granted.epoch)).collect()
}

const ALL_FIRST: [(u32, i64); 4] = [(0, 1), (1, 1), (2, 1), (3, 1)];

#[tokio::test]
async fn every_owner_of_a_partition_has_an_epoch_of_its_own() {
    let looks = Looks::new();
    for epoch in 1..4 {
        let looked = looks.look(&looks.holder(), &[], &[]).await;
        assert_eq!(granted(&looked), [0, 1, 2, 3].map(|partition| (partition, epoch)), "the one before was gone");
        assert_eq!(looked.dead.len(), usize::from(epoch > 1));
    }
}

#[tokio::test]
async fn a_member_keeps_its_partitions_while_it_beats() {
    let looks = Looks::new();
    let (owner, other) = (looks.holder(), looks.holder());
    let first = looks.look(&owner, &[], &[]).await;
    assert_eq!(granted(&first), ALL_FIRST);
    let seen = looks.look(&other, &[], &[]).await;
    assert_eq!((granted(&seen), seen.signs.len()), (vec![], 1));
    let wish = Some(seen.member);
    let mine = Some(first.member);
    assert_eq!(looks.leases(), [(1, mine, None), (1, mine, None), (1, mine, wish), (1, mine, wish)]);

    looks.log.store.database.write(0, |connection| member::beat(connection, 77)).await.unwrap();
    let moved = looks.look(&other, &[], &seen.signs).await;
    assert_eq!(granted(&moved), []);
    let taken = looks.look(&other, &[], &moved.signs).await;
    assert_eq!(granted(&taken), [(2, 2), (3, 2), (0, 2), (1, 2)], "it stood still for a lease");
    let again = looks.look(&owner, &ALL_FIRST, &[]).await;
    assert!(again.member > taken.member, "who comes again is a new member");
    assert_eq!(granted(&again), []);
}

#[tokio::test]
async fn what_a_member_does_not_know_to_own_is_given_to_it_anew() {
    let looks = Looks::new();
    let holder = looks.holder();
    looks.look(&holder, &[], &[]).await;
    let again = looks.look(&holder, &ALL_FIRST[..3], &[]).await;
    assert_eq!(granted(&again), [(3, 2)]);
    assert_eq!(granted(&looks.look(&holder, &[(0, 1), (1, 1), (2, 1), (3, 2)], &[]).await), []);
}

#[tokio::test]
async fn a_member_that_stops_is_gone_from_the_tables() {
    let looks = Looks::new();
    let holder = looks.holder();
    looks.look(&holder, &[], &[]).await;
    let topic = looks.log.find("t").await.unwrap().id;
    let id = holder.id().to_owned();
    looks.log.store.database.write(0, move |connection| look::leave(connection, topic, &id)).await.unwrap();
    assert_eq!(looks.leases(), [(1, None, None); 4]);
    let members = connection(&looks.folder).query_row("SELECT count(*) FROM member", (), |row| row.get(0));
    assert_eq!(members, Ok(0_i64));
}

#[tokio::test]
async fn a_fetch_is_refused_only_for_what_is_owned_no_more() {
    let looks = Looks::new();
    let looked = looks.look(&looks.holder(), &[], &[]).await;
    for partition in 0..2 {
        write(&looks.log, vec![Record { partition: Some(partition), ..record("a") }]).await[0].clone().unwrap();
    }
    execute(&looks.folder, "UPDATE partition_lease SET epoch = 2 WHERE part = 0");
    let room = Room { messages: 10, bytes: 1000 };
    let plan = fetch::Plan {
        transport: "bus".into(),
        topic: looks.log.find("t").await.unwrap(),
        group: looked.group,
        bytes: 1000,
        wanted: [0, 1].map(|partition| fetch::Wanted { partition, epoch: 1, from: 0, room }).to_vec(),
    };
    let fetched = looks.log.store.database.read(move |connection| fetch::fetch(connection, &plan)).await.unwrap();
    assert_eq!(fetched.lost, [(0, 1)]);
    assert_eq!(fetched.read.iter().map(|(of, _)| *of).collect::<Vec<_>>(), [(1, 1)]);
}

#[tokio::test]
async fn a_running_process_beats() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    let beat = || connection(&folder).query_row("SELECT beat FROM member", (), |row| row.get::<_, i64>(0)).unwrap();
    while beat() < 2 {
        tokio::task::yield_now().await;
    }
}

/// Clocks that are years apart decide nothing, and nobody looks by itself: what changes wakes who is concerned.
#[tokio::test]
async fn what_one_host_lets_go_wakes_the_other_that_asked() {
    let folder = tempfile::tempdir().unwrap();
    let ahead = with(&folder, SLOW, BTreeMap::new(), Clock::from_fn(|| Timestamp(4_000_000_000_000)));
    let behind = with(&folder, SLOW, BTreeMap::new(), Clock::from_fn(|| Timestamp(5)));
    let mut first = open_source(&ahead).await;
    let mine = assigned(&mut *first).await;
    let mut second = open_source(&behind).await;
    let (wanted, reply) = asked(&mut *first, &mut *second).await;
    assert_eq!(wanted, [2, 3]);
    first.commit(vec![commit(&mine[2], -1)]).await.unwrap();
    reply.send(()).unwrap();
    let SourceEvent::Assigned(theirs) = event_beside(&mut *second, &mut *first).await else { panic!("not assigned") };
    assert_eq!(indices_of(&theirs), wanted);
    assert!(theirs[0].epoch > mine[2].epoch);
}

#[tokio::test]
async fn a_successor_starts_at_once_when_a_host_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (apart(&folder, SLOW), apart(&folder, SLOW));
    let mut first = open_source(&one).await;
    let mine = assigned(&mut *first).await;
    write(&one, vec![record("a"), record("b")]).await;
    assert_eq!(take(&mut *first, 2).await, ["a", "b"]);
    let mut second = open_source(&other).await;
    let _asked = asked(&mut *first, &mut *second).await;
    first.commit(vec![commit(&mine[0], 0)]).await.unwrap();
    drop(first);
    // Nobody looks by itself for an hour.
    let mut theirs = indices_of(&assigned(&mut *second).await);
    while theirs.len() < 4 {
        theirs.extend(indices_of(&assigned(&mut *second).await));
    }
    assert_eq!(take(&mut *second, 1).await, ["b"]);
}

#[tokio::test]
async fn two_sources_of_one_process_share_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, SLOW);
    let mut first = open_source(&log).await;
    assigned(&mut *first).await;
    let mut second = open_source(&log).await;
    let (wanted, reply) = asked(&mut *first, &mut *second).await;
    drop(reply);
    let SourceEvent::Assigned(theirs) = event_beside(&mut *second, &mut *first).await else { panic!("not assigned") };
    assert_eq!(indices_of(&theirs), wanted);
}

#[tokio::test]
async fn a_host_that_stood_still_for_a_lease_loses_exactly_its_partitions_and_may_claim_again() {
    let folder = tempfile::tempdir().unwrap();
    let still = apart(&folder, Timing { beat: Duration::from_secs(3600), ..QUICK });
    let mut first = open_source(&still).await;
    let mine = assigned(&mut *first).await;
    write(&still, vec![record("a")]).await[0].clone().unwrap();
    let awake = apart(&folder, Timing { lease: Duration::from_millis(100), ..QUICK });
    let mut second = open_source(&awake).await;
    // The first one sleeps: it is not polled, and does not beat.
    assert_eq!(assigned(&mut *second).await.len(), 4);

    let refused = first.commit(vec![commit(&mine[0], 0), commit(&mine[3], -1)]).await;
    assert_eq!(refused, Err(CommitError::NotOwned(vec![Partition::new("t", 0), Partition::new("t", 3)])));
    // It may hear first what it was asked for while it slept, and is too late to answer.
    let mut asked = Vec::new();
    let lost = loop {
        match event(&mut *first).await {
            SourceEvent::Revoked { reply, .. } => asked.push(reply),
            event => break event,
        }
    };
    assert!(matches!(&lost, SourceEvent::Lost(partitions) if indices(partitions) == [0, 1, 2, 3]), "{lost:?}");
    let came = loop {
        match event(&mut *second).await {
            SourceEvent::Messages(batch) => break batch.messages,
            // The first one asks already.
            SourceEvent::Revoked { reply, .. } => asked.push(reply),
            event => panic!("{event:?}"),
        }
    };
    assert_eq!(came[0].payload, "a");
    asked.clear();
    // It asks, as any other does, and again each time that it is found standing still.
    let again = loop {
        tokio::select! {
            event = event(&mut *first) => match event {
                SourceEvent::Assigned(again) => break again,
                event => panic!("{event:?}"),
            },
            event = event(&mut *second) => assert!(matches!(&event, SourceEvent::Revoked { .. } | SourceEvent::Assigned(_)), "{event:?}"),
        }
    };
    assert!(again.iter().all(|again| again.epoch > mine[0].epoch));
}

#[tokio::test]
async fn a_host_that_died_is_replaced_at_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (apart(&folder, QUICK), apart(&folder, QUICK));
    let mut first = open_source(&one).await;
    assigned(&mut *first).await;
    let mut second = open_source(&other).await;
    let _asked = asked(&mut *first, &mut *second).await;
    // As if its process had died: the system frees the lock, and the tables are told nothing.
    let holder: String =
        connection(&folder).query_row("SELECT holder FROM member ORDER BY id", (), |row| row.get(0)).unwrap();
    std::fs::remove_file(one.store.leases.join(format!("{holder}.lock"))).unwrap();
    let mut theirs = indices_of(&assigned(&mut *second).await);
    while theirs.len() < 4 {
        theirs.extend(indices_of(&assigned(&mut *second).await));
    }
    theirs.sort_unstable();
    assert_eq!(theirs, [0, 1, 2, 3]);
}

#[tokio::test]
async fn who_is_taken_for_dead_though_it_lives_loses_its_partitions_and_joins_again() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (apart(&folder, SLOW), apart(&folder, SLOW));
    let mut first = open_source(&one).await;
    let mine = assigned(&mut *first).await;
    assert_eq!(other.bury("t", "nobody", 0).await, Ok(None));
    let buried = other.bury("t", "g", 7).await.unwrap();
    assert_eq!(buried.as_deref(), Some(&*one.store.process.name));
    let lost = event(&mut *first).await;
    assert!(matches!(&lost, SourceEvent::Lost(partitions) if indices(partitions) == [0, 1, 2, 3]), "{lost:?}");
    assert!(first.commit(vec![commit(&mine[0], 0)]).await.is_err());
    let again = assigned(&mut *first).await;
    assert_eq!(indices_of(&again), [0, 1, 2, 3]);
    assert!(again.iter().all(|again| again.epoch > mine[0].epoch));
}

#[tokio::test]
async fn partitions_of_which_the_asker_died_come_back_to_their_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (apart(&folder, QUICK), apart(&folder, SLOW));
    let mut first = open_source(&one).await;
    let mine = assigned(&mut *first).await;
    let mut second = open_source(&other).await;
    let (wanted, reply) = asked(&mut *first, &mut *second).await;
    drop(second);
    reply.send(()).unwrap();
    let again = assigned(&mut *first).await;
    assert_eq!(indices_of(&again), wanted);
    assert!(again[0].epoch > mine[2].epoch);
}

#[tokio::test]
async fn a_wish_of_an_asker_that_died_before_it_was_heard_asks_for_nothing() {
    let looks = Looks::new();
    let mut first = open_source(&looks.log).await;
    assigned(&mut *first).await;
    let asker = looks.holder();
    let wish = looks.look(&asker, &[], &[]).await.member;
    assert!(looks.leases().iter().any(|lease| lease.2 == Some(wish)));
    drop(asker);
    let observer = looks.holder();
    let looked = looks.look(&observer, &[], &[]).await;
    assert_eq!(looked.dead, ["process 77"]);
    assert!(looks.leases().iter().all(|lease| lease.2 != Some(wish)));
}

#[tokio::test]
async fn a_member_without_partitions_says_nothing_and_takes_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let create = Some(Create { partitions: 1.try_into().ok(), ..Create::default() });
    let topics =
        || BTreeMap::from([("t".to_owned(), TopicConfig { create: create.clone(), ..TopicConfig::default() })]);
    let one = with(&folder, SLOW, topics(), Clock::system());
    let other = with(&folder, QUICK, topics(), Clock::system());
    let mut first = open_source(&one).await;
    assigned(&mut *first).await;
    let mut second = open_source(&other).await;
    let beats =
        || connection(&folder).query_row("SELECT max(beat) FROM member", (), |row| row.get::<_, i64>(0)).unwrap();
    // It has looked many times by then, and is never heard.
    while beats() < 5 {
        assert!(futures::poll!(second.next(&everything())).is_pending());
        tokio::task::yield_now().await;
    }
    drop(first);
    assert_eq!(indices_of(&assigned(&mut *second).await), [0]);
}

#[tokio::test]
async fn a_log_of_the_first_version_keeps_all_but_its_leases() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, SLOW);
    let mut source = open_source(&log).await;
    let mine = assigned(&mut *source).await;
    write(&log, vec![record("a"), record("b")]).await;
    take(&mut *source, 2).await;
    source.commit(vec![commit(&mine[0], 0)]).await.unwrap();
    drop(source);
    drop(log);
    execute(
        &folder,
        "DROP TABLE member; DROP TABLE partition_lease; CREATE TABLE lease(topic INTEGER); PRAGMA user_version=1",
    );
    let log = apart(&folder, SLOW);
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    assert_eq!(take(&mut *source, 1).await, ["b"]);
}
