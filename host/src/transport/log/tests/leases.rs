//! Who is granted a group, decided claim by claim.

use super::lease::{Claim, Claimed, Granted, Process, Sign};
use super::*;

/// A folder with one topic, and the holders that claim it.
struct Claims {
    folder: TempDir,
    log: Log,
}

impl Claims {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { log: apart(&folder, SLOW), folder }
    }

    fn holder(&self) -> Holder {
        Holder::new(&self.log.store.leases).unwrap()
    }

    async fn claim(&self, holder: &Holder, stale: Option<Sign>) -> Claimed {
        let claim = Claim {
            topic: self.log.find_or_create("t").await.unwrap(),
            group: "g".into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
            folder: self.log.store.leases.clone(),
            holder: holder.id().to_owned(),
            process: Process { id: 77, name: "process 77".into() },
            stale,
        };
        self.log.store.database.write(0, move |connection| lease::claim(connection, &claim)).await.unwrap()
    }
}

fn epoch(claimed: Claimed) -> i64 {
    match claimed {
        Claimed::Granted(Granted { epoch, .. }) => epoch,
        Claimed::InUse { owner, .. } => panic!("in use by {owner}"),
    }
}

fn sign(claimed: Claimed) -> Sign {
    match claimed {
        Claimed::InUse { owner, sign } if owner == "process 77" => sign,
        claimed => panic!("{claimed:?}"),
    }
}

#[tokio::test]
async fn every_owner_has_an_epoch_of_its_own() {
    let claims = Claims::new();
    let mut epochs = Vec::new();
    for _ in 0..3 {
        epochs.push(epoch(claims.claim(&claims.holder(), None).await));
    }
    assert_eq!(epochs, [1, 2, 3], "each had let go before the next one came");
}

#[tokio::test]
async fn an_owner_keeps_its_lease_while_it_beats() {
    let claims = Claims::new();
    let (owner, other) = (claims.holder(), claims.holder());
    epoch(claims.claim(&owner, None).await);
    let seen = sign(claims.claim(&other, None).await);
    execute(&claims.folder, "UPDATE lease SET beat = beat WHERE process = 77");
    assert_eq!(sign(claims.claim(&other, None).await), seen, "nothing moved");
    claims.log.store.database.write(0, |connection| lease::beat(connection, 77)).await.unwrap();
    let moved = sign(claims.claim(&other, Some(seen.clone())).await);
    assert_ne!(moved, seen);
    assert_eq!(epoch(claims.claim(&other, Some(moved)).await), 2, "it stood still for a lease");
    sign(claims.claim(&owner, None).await);
}

#[tokio::test]
async fn a_running_process_beats() {
    let folder = tempfile::tempdir().unwrap();
    let log = apart(&folder, QUICK);
    let mut source = open_source(&log).await;
    assigned(&mut *source).await;
    let beat = || connection(&folder).query_row("SELECT beat FROM lease", (), |row| row.get::<_, i64>(0)).unwrap();
    while beat() < 2 {
        tokio::task::yield_now().await;
    }
}
