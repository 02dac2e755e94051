//! The same on a store that takes its time: entries in a file, for the processes of one machine. Not in paused time, for
//! that passes while the disk is at work.

use super::*;
use crate::model::Secrets;
use crate::storage::conditional;
use crate::storage::config::Config;

/// A member, once it owns so many partitions; each with what it began with.
async fn owning(entries: &Arc<dyn Conditional>, count: usize) -> (Group, BTreeMap<u32, (Epoch, Option<Kept>)>) {
    let mut group = Group::join(Joining {
        entries: entries.clone(),
        layout: layout(),
        topic: "orders".into(),
        partitions: 4,
        ownership: Ownership { lease: LEASE, poll: Duration::from_millis(20) },
        clock: Clock::system(),
    });
    let mut owned = BTreeMap::new();
    while owned.len() < count {
        match group.next().await {
            GroupEvent::Acquired { partition, epoch, kept } => drop(owned.insert(partition, (epoch, kept))),
            event => panic!("{event:?}"),
        }
    }
    (group, owned)
}

#[tokio::test]
async fn a_successor_begins_where_the_former_one_ended() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::Directory { path: folder.path().to_owned() };
    let open = || conditional::open("lake", &config, &Secrets::default(), &Clock::system()).unwrap();
    let (first, owned) = owning(&open(), 4).await;
    for (partition, (epoch, kept)) in owned {
        assert_eq!(kept, None);
        first.commit(partition, epoch, at(i64::from(partition) * 10)).await.unwrap();
    }
    drop(first);
    let (_second, owned) = owning(&open(), 4).await;
    let kept: Vec<_> = owned.into_values().map(|(_, kept)| kept).collect();
    assert_eq!(kept, [Some(at(0)), Some(at(10)), Some(at(20)), Some(at(30))]);
}

#[tokio::test]
async fn what_is_asked_for_and_released_goes_to_who_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::Directory { path: folder.path().to_owned() };
    let open = || conditional::open("lake", &config, &Secrets::default(), &Clock::system()).unwrap();
    let (mut first, owned) = owning(&open(), 4).await;
    let letting_go = async {
        let mut gone = BTreeSet::new();
        while gone.len() < 2 {
            let GroupEvent::Asked(asked) = first.next().await else { panic!("it is asked") };
            for partition in asked {
                let (epoch, _) = owned[&partition];
                first.commit(partition, epoch, at(7)).await.unwrap();
                first.release(partition, epoch);
                gone.insert(partition);
            }
        }
        gone
    };
    let entries = open();
    let (gone, (_second, got)) = tokio::join!(letting_go, owning(&entries, 2));
    assert_eq!(got.keys().copied().collect::<BTreeSet<_>>(), gone);
    assert!(got.into_values().all(|(_, kept)| kept == Some(at(7))));
}
