//! What has to become of a task. The one table to look at when a plugin decides otherwise than before.

use super::task::{Domain, Trouble};
use crate::simulators::file_origin::Behaviour;

/// What has to become of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Its file is stored.
    Stored {
        /// Where in the lake.
        path: String,
    },
    /// It is dead-lettered by the download pipeline.
    Dead {
        /// The kind of reason.
        class: &'static str,
        /// The reason's word.
        code: &'static str,
    },
}

/// What has to become of a task of this domain with this trouble, whose file belongs at `target`.
pub(super) fn fate(domain: Domain, trouble: Trouble, target: &str, media_id: &str) -> Fate {
    use Behaviour as B;
    let rejected = |code| Fate::Dead { class: "rejected", code };
    match trouble {
        Trouble::NoJson | Trouble::NoLink => rejected("bad-task"),
        Trouble::DeniedType => rejected("type-denied"),
        Trouble::DeniedHost => rejected("url-denied"),
        Trouble::OldLink => rejected("link-expired"),
        Trouble::Origin(behaviour) => match behaviour {
            B::Fine | B::UnavailableTwice | B::Late | B::CutResumable | B::CutOnce | B::Replaced | B::Redirect => {
                Fate::Stored { path: place(target, media_id) }
            }
            B::Missing => rejected("http-404"),
            // ClaimX can give a new link, once enrichment asks for it.
            B::Expired if domain == Domain::ClaimX => rejected("failed"),
            B::Expired => rejected("http-403"),
            B::RedirectForbidden => rejected("url-denied"),
            B::CutAlways | B::Empty | B::WrongType => rejected("failed"),
        },
    }
}

/// The media id stands before the file name, so that two files of one name do not meet.
fn place(target: &str, media_id: &str) -> String {
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
