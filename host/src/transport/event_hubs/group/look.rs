//! Looks at a group: lists its folder, and reads what has changed since.

use std::collections::BTreeSet;

use futures::future::try_join_all;

use super::folder::Folder;
use crate::storage::conditional::Failure;
use crate::transport::event_hubs::layout::Kind;
use crate::transport::event_hubs::owners::{Looked, Standing};

/// What stands in the folder of a group of so many partitions now. Not read is what is known with the version that is
/// listed, and left out what is being `changed`: who changes it will know.
pub(super) async fn look(
    folder: &Folder,
    partitions: u32,
    (ownerships, wishes): (Standing, Standing),
    changed: BTreeSet<(Kind, u32)>,
) -> Result<Looked, Failure> {
    let begun = folder.clock().now();
    let listed = folder.list().await?;
    let standing = listed.into_iter().filter_map(|(kind, partition, version)| {
        if partition >= partitions || changed.contains(&(kind, partition)) {
            return None;
        }
        let known = match kind {
            Kind::Ownership => &ownerships,
            Kind::Wish => &wishes,
            Kind::Checkpoint => return None,
        };
        let known = known.get(&partition).filter(|stands| stands.version == version).cloned();
        Some(async move {
            let stands = match known {
                Some(known) => Some(known),
                None => match folder.stands(kind, partition).await {
                    // One that fails would be enough to see nothing, so it is tried once more.
                    Err(_) => folder.stands(kind, partition).await?,
                    Ok(read) => read,
                },
            };
            Ok::<_, Failure>((kind, partition, stands))
        })
    });
    let standing = try_join_all(standing).await?;
    let of = |wanted: Kind| -> Standing {
        let of = standing.iter().filter(|(kind, ..)| *kind == wanted);
        of.filter_map(|(_, partition, stands)| Some((*partition, stands.clone()?))).collect()
    };
    Ok(Looked { ownerships: of(Kind::Ownership), wishes: of(Kind::Wish), begun, ended: folder.clock().now() })
}
