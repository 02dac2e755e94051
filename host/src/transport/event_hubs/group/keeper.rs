//! Stores the checkpoints of one ownership of one partition: one at a time, of those that wait only the furthest, never
//! one that is behind what stands there, and none once something stands there that this ownership did not write.

use std::sync::{Arc, Mutex, PoisonError};

use super::folder::Folder;
use crate::model::Position;
use crate::storage::conditional::{Failure, Version};
use crate::transport::event_hubs::layout::{self, Kept, Kind};

/// How often a checkpoint is written whose answers get lost.
const TRIES: usize = 3;

pub(super) struct Keeper {
    folder: Arc<Folder>,
    partition: u32,
    /// Names this ownership and no other one.
    writer: String,
    /// The furthest checkpoint that is to be stored.
    wanted: Mutex<Option<Kept>>,
    stored: tokio::sync::Mutex<Stored>,
}

/// What stands in a checkpoint's entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Stored {
    /// None where there is no entry.
    pub(super) version: Option<Version>,
    pub(super) kept: Option<Kept>,
}

/// Why a checkpoint was not stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Something stands there that another wrote: this ownership is over, or knows too little to go on.
    Overwritten,
    /// Not now.
    Unavailable(String),
}

impl Keeper {
    pub(super) fn new(folder: Arc<Folder>, partition: u32, writer: String, stored: Stored) -> Self {
        Self { folder, partition, writer, wanted: Mutex::default(), stored: tokio::sync::Mutex::new(stored) }
    }

    /// Stores a checkpoint, or a later one that came meanwhile. What is to be stored is known at once; the rest is done
    /// when the future is polled. Where that is dropped half-way, the next one finds out how far it came.
    pub(super) fn store(self: Arc<Self>, kept: Kept) -> impl Future<Output = Result<(), Refused>> + Send + 'static {
        let place = place_of(&kept);
        let mut wanted = self.wanted();
        if wanted.as_ref().is_none_or(|wanted| place_of(wanted) < place) {
            *wanted = Some(kept);
        }
        drop(wanted);
        async move {
            let mut stored = self.stored.lock().await;
            if is_behind(place, &stored) { Ok(()) } else { self.write(&mut stored, Back::Never).await }
        }
    }

    /// Stores where the partition is begun anew, be it behind what stands there.
    pub(super) async fn begin_anew(self: Arc<Self>, kept: Kept) -> Result<(), Refused> {
        let mut stored = self.stored.lock().await;
        *self.wanted() = Some(kept);
        self.write(&mut stored, Back::Once).await
    }

    async fn write(&self, stored: &mut Stored, back: Back) -> Result<(), Refused> {
        let Some(kept) = self.wanted().clone() else { return Ok(()) };
        let fields = layout::stored(&kept, &self.writer);
        let unavailable = |failure: Failure| Refused::Unavailable(failure.to_string());
        let entry = (Kind::Checkpoint, self.partition);
        for _ in 0..TRIES {
            if let Some(version) =
                self.folder.put(entry, &fields, stored.version.as_ref()).await.map_err(unavailable)?
            {
                *stored = Stored { version: Some(version), kept: Some(kept) };
                return Ok(());
            }
            let found = self.folder.read(entry.0, entry.1).await.map_err(unavailable)?;
            let Some(found) = found.filter(|found| layout::writer_of(&found.fields) == Some(&self.writer)) else {
                return Err(Refused::Overwritten);
            };
            // An answer was lost.
            *stored = Stored { version: Some(found.version), kept: layout::kept(&found.fields).unwrap_or_default() };
            let is_there = stored.kept.as_ref() == Some(&kept);
            if is_there || back == Back::Never && is_behind(place_of(&kept), stored) {
                return Ok(());
            }
        }
        Err(Refused::Unavailable(format!("the checkpoint of partition {} changes all the time", self.partition)))
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a checkpoint may be stored that is behind the one that stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Back {
    Never,
    /// The partition is begun anew.
    Once,
}

/// How far a checkpoint is.
fn place_of(kept: &Kept) -> (Position, u64) {
    (kept.checkpoint.base(), kept.checkpoint.settled_above())
}

/// Whether what stands there says as much, or more.
fn is_behind(place: (Position, u64), stored: &Stored) -> bool {
    stored.kept.as_ref().is_some_and(|stored| place <= place_of(stored))
}
