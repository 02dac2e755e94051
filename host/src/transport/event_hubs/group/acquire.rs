//! Takes a partition: writes its ownership, finds how far the group has come, and writes that again in its own name, so
//! that whatever an earlier owner still stores comes too late.

use super::folder::{Folder, Owns, Wrote};
use super::keeper::Stored;
use crate::storage::conditional::{Failure, Version};
use crate::transport::event_hubs::layout::{self, Kind};
use crate::transport::event_hubs::owners::Stands;
use tokio::time::Instant;

/// How often a checkpoint is taken over that others change meanwhile.
const TRIES: usize = 5;

/// What became of taking a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Acquired {
    /// It is this member's, since `begun` at the earliest.
    Yes { version: Version, begun: Instant, stored: Stored },
    /// Somebody else was first.
    No(Option<Stands>),
}

/// Why a partition was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failed {
    /// The ownership, where that was written already.
    pub(super) owned: Option<Version>,
    pub(super) reason: String,
}

/// Takes a partition for `me` in the place of the ownership that has that version. `writer` names the new ownership and
/// no other one.
pub(super) async fn acquire(
    folder: &Folder,
    partition: u32,
    expected: Option<Version>,
    (me, writer): (&str, &str),
) -> Result<Acquired, Failed> {
    let claimed = folder.put_owner((Kind::Ownership, partition), me, Owns::Yes, expected).await;
    match claimed.map_err(|failure| Failed { owned: None, reason: failure.to_string() })? {
        Wrote::Otherwise(stands) => Ok(Acquired::No(stands)),
        Wrote::Done { version, begun } => match take_over(folder, partition, writer).await {
            Ok(stored) => Ok(Acquired::Yes { version, begun, stored }),
            Err(reason) => Err(Failed { owned: Some(version), reason }),
        },
    }
}

/// A group without a checkpoint is left without one: others would take any for a position. Then an earlier owner's first
/// one may still come; who stores its own first one after that sees it, and begins anew with it.
async fn take_over(folder: &Folder, partition: u32, writer: &str) -> Result<Stored, String> {
    let failed = |failure: Failure| failure.to_string();
    for _ in 0..TRIES {
        let found = folder.read(Kind::Checkpoint, partition).await.map_err(failed)?;
        let Some(entry) = found else { return Ok(Stored::default()) };
        let kept = layout::kept(&entry.fields);
        let kept = kept.map_err(|error| format!("the checkpoint of partition {partition} cannot be used: {error}"))?;
        let fields = layout::taken_over(&entry.fields, kept.as_ref(), writer);
        let put = folder.put((Kind::Checkpoint, partition), &fields, Some(&entry.version)).await;
        if let Some(version) = put.map_err(failed)? {
            return Ok(Stored { version: Some(version), kept });
        }
    }
    Err(format!("the checkpoint of partition {partition} changes all the time"))
}
