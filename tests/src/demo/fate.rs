//! What has to become of a task. The one table to look at when a plugin decides otherwise than before.

use super::task::Trouble;
use crate::simulators::file_origin::Behaviour;

/// What has to become of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Its file is stored.
    Stored,
    /// The download plugin rejects it, at once or after its last attempt, and it is dead-lettered under this code.
    Rejected(&'static str),
}

/// What has to become of a task with this trouble.
pub(super) fn fate(trouble: Trouble) -> Fate {
    use Behaviour as B;
    match trouble {
        Trouble::NoJson | Trouble::NoLink => Fate::Rejected("payload-invalid"),
        Trouble::DeniedType => Fate::Rejected("type-not-allowed"),
        Trouble::DeniedHost | Trouble::Origin(B::RedirectForbidden) => Fate::Rejected("url-denied"),
        Trouble::OldLink | Trouble::Origin(B::Expired) => Fate::Rejected("link-expired"),
        Trouble::Origin(B::Missing) => Fate::Rejected("http-404"),
        Trouble::Origin(B::CutAlways) => Fate::Rejected("source"),
        Trouble::Origin(B::Empty) => Fate::Rejected("empty"),
        Trouble::Origin(B::WrongType) => Fate::Rejected("content-mismatch"),
        Trouble::Origin(
            B::Fine | B::UnavailableTwice | B::Late | B::CutResumable | B::CutOnce | B::Replaced | B::Redirect,
        ) => Fate::Stored,
    }
}

/// Where a file belongs whose task says `target`: the media id stands before the file name, so that two files of one
/// name do not meet.
pub(super) fn place(target: &str, media_id: &str) -> String {
    match target.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{media_id}/{name}"),
        None => format!("{media_id}/{target}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_id_stands_before_the_file_name() {
        assert_eq!(place("1/media/a.jpg", "7"), "1/media/7/a.jpg");
        assert_eq!(place("a.jpg", "7"), "7/a.jpg");
    }
}
