//! How much a source reads before it is wanted.

use super::source::{LogSource, Parts};
use super::*;

const MEBIBYTE: u64 = 1 << 20;
/// Messages in each partition, of a mebibyte.
const MESSAGES: i64 = 14;

/// A source of a log whose partitions all have something to read.
async fn source(folder: &TempDir) -> LogSource {
    let log = apart(folder, SLOW);
    for partition in 0..PARTITIONS {
        let record = Record { partition: Some(partition), payload: vec![0; 1 << 20].into(), ..Record::default() };
        assert!(write(&log, vec![record; MESSAGES as usize]).await.iter().all(Result::is_ok));
    }
    let topic = log.find_or_create("t").await.unwrap();
    let subscription = subscription(OnLostPosition::Fail);
    let (transport, store, clock) = ("bus".into(), log.store.clone(), Clock::system());
    let mut source = LogSource::new(Parts { transport, store, topic, subscription, clock }).unwrap();
    assigned(&mut source).await;
    source
}

/// The next messages when each of these partitions has room for so many mebibytes.
async fn next(source: &mut LogSource, partitions: &[u32], mebibytes: u64) -> Vec<(u32, i64)> {
    let room = Room { messages: 100, bytes: mebibytes * MEBIBYTE };
    let demand = Rooms(partitions.iter().map(|index| (Partition::new("t", *index), room)).collect());
    loop {
        match source.next(&demand).await {
            SourceEvent::Messages(batch) if batch.messages.is_empty() => {}
            SourceEvent::Messages(batch) => {
                let place = |message: &Message| (message.origin.partition.index, message.origin.position.0);
                return batch.messages.iter().map(place).collect();
            }
            event => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_read_ahead_is_bounded_over_all_partitions_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = source(&folder).await;
    let mut came = next(&mut source, &[0, 1, 2, 3], 5).await;
    assert_eq!(came.len(), 5);
    assert_eq!(source.held(), 11 * MEBIBYTE, "all were read for, and only one partition's were handed out");
    // Two want nothing any more; what was read of them must not add up with what the others get.
    for _ in 0..2 {
        came.extend(next(&mut source, &[0, 3], 8).await);
        assert!(source.held() <= fetch::READ_AHEAD, "{}", source.held());
    }
    assert!(came.len() > 5 + 1, "those that want are read for");
    while came.len() < 4 * MESSAGES as usize {
        came.extend(next(&mut source, &[0, 1, 2, 3], 5).await);
        assert!(source.held() <= fetch::READ_AHEAD, "{}", source.held());
    }
    for partition in 0..PARTITIONS {
        let of = came.iter().filter(|(index, _)| *index == partition).map(|(_, position)| *position);
        assert_eq!(of.collect::<Vec<_>>(), (0..MESSAGES).collect::<Vec<_>>(), "what was put back comes, in order");
    }
}
