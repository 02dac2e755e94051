//! Names and fields of ownerships and checkpoints, as the official SDKs keep them: so processors in Python, .NET and Java,
//! and KEDA, read ours, and we read theirs. Empty blobs `{namespace}/{hub}/{group}/ownership/{partition}` and
//! `…/checkpoint/{partition}`, in lower case, hold everything in their metadata; what only Lockgate writes lies beside
//! them or in a field that others pass over.
//!
//! | field of | name | holds |
//! |---|---|---|
//! | ownership | `ownerid` | who reads the partition; empty once it is released |
//! | checkpoint | `sequencenumber`, `offset` | of the last event such that it and all before are settled |
//! | checkpoint | `lockgate` | what is settled above that, and which ownership wrote it |
//!
//! Others begin behind the `offset` and look at the sequence number only for the lag. Python takes an empty offset for no
//! checkpoint at all, and begins wherever it was told to without one; Node asks the service for what is behind an empty
//! one, which is refused. So where the offset is not known it is `-1`, which is before everything: others read again
//! what is kept, and pass nothing over. So it is for a base before the first event, whose sequence number is -1 too.
//!
//! Source: `BlobCheckpointStore` of the official clients,
//! <https://learn.microsoft.com/azure/event-hubs/event-processor-balance-partition-load>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::model::{Checkpoint, Position};
use crate::storage::conditional::Fields;

/// What the ids of our owners begin with; others are foreign.
pub(super) const OURS: &str = "lockgate-";
/// The most bytes of [`Checkpoint::encode`] that are stored. Azure takes 8 KiB of metadata, names and all; as base64 and
/// with the other fields this is 6 KiB.
pub(super) const CHECKPOINT_LIMIT: usize = 4096;

const OWNER: &str = "ownerid";
const SEQUENCE_NUMBER: &str = "sequencenumber";
const OFFSET: &str = "offset";
const SETTLED: &str = "lockgate";
/// The version of what stands in [`SETTLED`].
const FORMAT: &str = "1";
/// The offset before everything.
const START: &str = "-1";

/// Where the entries of a group of a hub lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    folder: String,
}

/// What an entry of a group is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// Who reads a partition.
    Ownership,
    /// How far it is read.
    Checkpoint,
    /// Who asks the owner for it. Apart from the ownership: whoever writes that renews it.
    Wish,
}

impl Kind {
    /// The folder of these entries, within the group's.
    fn folder(self) -> &'static str {
        match self {
            Self::Ownership => "ownership",
            Self::Checkpoint => "checkpoint",
            Self::Wish => "lockgate-wanted",
        }
    }
}

impl Layout {
    /// Of a group of a hub in a namespace, which is named in full: `name.servicebus.windows.net`.
    pub(super) fn new(namespace: &str, hub: &str, group: &str) -> Self {
        Self { folder: format!("{namespace}/{hub}/{group}").to_lowercase() }
    }

    /// The folder of all entries of the group.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// The entry of a partition.
    pub(super) fn entry(&self, kind: Kind, partition: u32) -> String {
        format!("{}/{}/{partition}", self.folder, kind.folder())
    }

    /// What an entry in the group's folder is, and of which partition.
    pub(super) fn kind_of(&self, name: &str) -> Option<(Kind, u32)> {
        let (folder, partition) = name.strip_prefix(&self.folder)?.strip_prefix('/')?.split_once('/')?;
        let kind = [Kind::Ownership, Kind::Checkpoint, Kind::Wish].into_iter().find(|kind| kind.folder() == folder)?;
        Some((kind, partition.parse().ok()?))
    }
}

/// The fields of an ownership, or of a wish.
pub(super) fn owned_by(owner: &str) -> Fields {
    Fields::from([(OWNER.to_owned(), owner.to_owned())])
}

/// Who owns or wants; nobody where it was released.
pub(super) fn owner_of(fields: &Fields) -> Option<&str> {
    fields.get(OWNER).map(String::as_str).filter(|owner| !owner.is_empty())
}

/// A checkpoint as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) checkpoint: Checkpoint,
    /// The offset of the event at its base, which other SDKs begin behind; none where it is not known, so that they begin
    /// with the oldest that is kept.
    pub(super) offset: Option<String>,
}

/// A checkpoint of another client from which the position cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "it holds no sequence number, and so another client wrote it: write the field `sequencenumber`, or delete the \
     checkpoint for the group to begin where the pipeline says"
)]
pub(super) struct Unreadable;

/// The fields of a checkpoint that an owner stores. `writer` names that ownership and no other one.
pub(super) fn stored(kept: &Kept, writer: &str) -> Fields {
    let Kept { checkpoint, offset } = kept;
    Fields::from([
        (SEQUENCE_NUMBER.to_owned(), checkpoint.base().0.to_string()),
        (OFFSET.to_owned(), offset.clone().unwrap_or_else(|| START.to_owned())),
        (SETTLED.to_owned(), settled(Some(checkpoint), writer)),
    ])
}

/// The fields of a checkpoint that an owner found, as it writes them again to make it its own: whatever stands there
/// stays, and only the version that an earlier owner knows is over.
pub(super) fn taken_over(fields: &Fields, kept: Option<&Kept>, writer: &str) -> Fields {
    let mut fields = fields.clone();
    fields.insert(SETTLED.to_owned(), settled(kept.map(|kept| &kept.checkpoint), writer));
    fields
}

fn settled(checkpoint: Option<&Checkpoint>, writer: &str) -> String {
    let settled = checkpoint.map(|checkpoint| STANDARD_NO_PAD.encode(checkpoint.encode())).unwrap_or_default();
    format!("{FORMAT}:{settled}:{writer}")
}

/// The checkpoint of what is stored; none where nothing is. What stands in our own field counts only together with the
/// sequence number that it was stored with: another client may have moved on since.
pub(super) fn kept(fields: &Fields) -> Result<Option<Kept>, Unreadable> {
    let said = |name| fields.get(name).filter(|value| !value.is_empty());
    let offset = said(OFFSET).filter(|offset| *offset != START).cloned();
    let base = match said(SEQUENCE_NUMBER) {
        None if offset.is_none() => return Ok(None),
        number => number.and_then(|number| number.parse().ok()).map(Position).ok_or(Unreadable)?,
    };
    let settled = own_field(fields).and_then(|(settled, _)| STANDARD_NO_PAD.decode(settled).ok());
    let settled = settled.and_then(|settled| Checkpoint::decode(&settled).ok());
    let checkpoint = settled.filter(|settled| settled.base() == base).unwrap_or_else(|| Checkpoint::plain(base));
    Ok(Some(Kept { checkpoint, offset }))
}

/// Which ownership wrote a checkpoint last, if one of ours did.
pub(super) fn writer_of(fields: &Fields) -> Option<&str> {
    own_field(fields).map(|(_, writer)| writer)
}

/// What is settled, and who wrote it.
fn own_field(fields: &Fields) -> Option<(&str, &str)> {
    let (format, rest) = fields.get(SETTLED)?.split_once(':')?;
    rest.split_once(':').filter(|_| format == FORMAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs(number: &str, offset: &str) -> Fields {
        Fields::from([(SEQUENCE_NUMBER.to_owned(), number.to_owned()), (OFFSET.to_owned(), offset.to_owned())])
    }

    #[test]
    fn names_are_those_of_the_official_clients() {
        let layout = Layout::new("Name.servicebus.windows.net", "Orders", "$Default");
        let ownership = layout.entry(Kind::Ownership, 3);
        assert_eq!(ownership, "name.servicebus.windows.net/orders/$default/ownership/3");
        assert_eq!(layout.entry(Kind::Checkpoint, 3), "name.servicebus.windows.net/orders/$default/checkpoint/3");
        for kind in [Kind::Ownership, Kind::Checkpoint, Kind::Wish] {
            assert_eq!(layout.kind_of(&layout.entry(kind, 31)), Some((kind, 31)));
        }
        let folder = layout.folder();
        for name in ["ownership/a", "ownership", "other/1", "ownership/1/2"] {
            assert_eq!(layout.kind_of(&format!("{folder}/{name}")), None, "{name}");
        }
        assert_eq!(layout.kind_of("elsewhere/ownership/1"), None);
    }

    #[test]
    fn a_released_ownership_is_nobodys() {
        assert_eq!(owner_of(&owned_by("lockgate-1")), Some("lockgate-1"));
        assert_eq!((owner_of(&owned_by("")), owner_of(&Fields::new())), (None, None));
    }

    #[test]
    fn a_checkpoint_comes_back_exactly() {
        let unsettled = vec![Position(43), Position(45)];
        let before =
            Kept { checkpoint: Checkpoint::new(Position(41), Position(50), unsettled), offset: Some("8120".into()) };
        let fields = stored(&before, "lockgate-1.7");
        assert_eq!((fields[SEQUENCE_NUMBER].as_str(), fields[OFFSET].as_str()), ("41", "8120"));
        assert_eq!(kept(&fields), Ok(Some(before)));
        assert_eq!(writer_of(&fields), Some("lockgate-1.7"));
    }

    #[test]
    fn what_is_before_everything_others_read_so_too() {
        let before = Kept { checkpoint: Checkpoint::plain(Position(-1)), offset: None };
        let fields = stored(&before, "lockgate-1.7");
        assert_eq!((fields[SEQUENCE_NUMBER].as_str(), fields[OFFSET].as_str()), ("-1", "-1"));
        assert_eq!(kept(&fields), Ok(Some(before)));
    }

    #[test]
    fn a_checkpoint_of_another_client_is_a_plain_one() {
        let plain = |base, offset: &str| {
            Some(Kept { checkpoint: Checkpoint::plain(Position(base)), offset: Some(offset.into()) })
        };
        assert_eq!(kept(&theirs("9", "77")), Ok(plain(9, "77")));
        assert_eq!(writer_of(&theirs("9", "77")), None);
        // They moved on from one of ours, and left our field as it was.
        let ours = Kept { checkpoint: Checkpoint::new(Position(4), Position(8), vec![]), offset: None };
        let mut moved = stored(&ours, "a");
        moved.extend(theirs("9", "77"));
        assert_eq!(kept(&moved), Ok(plain(9, "77")));
    }

    #[test]
    fn where_nothing_is_stored_is_no_checkpoint_and_what_cannot_be_read_is_not_passed_over() {
        assert_eq!((kept(&Fields::new()), kept(&theirs("", ""))), (Ok(None), Ok(None)));
        for fields in [theirs("", "77"), theirs("x", "77"), theirs("x", "")] {
            assert_eq!(kept(&fields), Err(Unreadable));
        }
    }

    #[test]
    fn one_that_is_taken_over_says_the_same_and_is_another() {
        let ours = Kept { checkpoint: Checkpoint::new(Position(4), Position(8), vec![]), offset: Some("9".into()) };
        for before in [stored(&ours, "lockgate-1.1"), theirs("9", "77"), theirs("9", ""), Fields::new()] {
            let found = kept(&before).unwrap();
            let after = taken_over(&before, found.as_ref(), "lockgate-2.1");
            assert_eq!(kept(&after), Ok(found));
            assert_eq!(writer_of(&after), Some("lockgate-2.1"));
            assert_eq!(after.get(OFFSET), before.get(OFFSET), "others begin where they would have");
        }
    }

    #[test]
    fn the_largest_checkpoint_fits_into_metadata() {
        let mut fields = stored(&Kept { checkpoint: Checkpoint::plain(Position(i64::MAX)), offset: None }, "");
        let text = STANDARD_NO_PAD.encode(vec![0; CHECKPOINT_LIMIT]);
        fields.insert(SETTLED.to_owned(), format!("{FORMAT}:{text}:{}", "w".repeat(120)));
        fields.insert(OFFSET.to_owned(), "o".repeat(100));
        assert!(fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() < 6 << 10);
    }
}
