//! What topics do not take, in blob stores of the spec. A location is the store's name, a slash and the path in it;
//! only what lies in the folder of spilled bodies is read. Never deletes anything.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};

use crate::flow::spill::{FOLDER, Spill, SpillError};
use crate::model::Progress;
use crate::spec::Plan;
use crate::spec::plan::Pipeline;
use crate::storage::{BlobPath, BlobStore, PutOptions, StoreError, Stores};

/// The largest body that is read back. It came in a message once, which was held in memory whole.
const LARGEST: u64 = 1 << 30;

/// Keeps bodies in one of these stores, and reads them from any: the spec may have named another one before.
struct StoresSpill {
    stores: Stores,
    into: String,
}

/// What keeps for a pipeline what its topics do not take, if the spec names a store for it.
pub(super) fn of(pipeline: &Pipeline, stores: &Stores) -> Option<Arc<dyn Spill>> {
    let into = pipeline.dead_letter.spill.clone()?;
    Some(Arc::new(StoresSpill { stores: stores.clone(), into }))
}

#[async_trait]
impl Spill for StoresSpill {
    async fn keep(&self, name: &str, bytes: Bytes) -> Result<String, SpillError> {
        let location = format!("{}/{name}", self.into);
        let store = self.stores.get(&self.into).ok_or_else(|| refused(&location, "the store is not open"))?;
        put(store.as_ref(), &location, name, bytes).await?;
        Ok(location)
    }

    async fn fetch(&self, location: &str) -> Result<Bytes, SpillError> {
        let (name, path) = place(location)?;
        let unknown =
            || refused(location, "the pipeline has no such store; the spec must name it as `dead_letter.spill`");
        get(self.stores.get(name).ok_or_else(unknown)?.as_ref(), location, &path).await
    }
}

/// Reads bodies from any store of a spec, each opened when it is first needed; keeps none.
struct OnDemand {
    plan: Plan,
    opened: Mutex<Stores>,
}

/// What reads spilled bodies of a spec outside of its pipelines.
pub fn spilled(plan: &Plan) -> Arc<dyn Spill> {
    Arc::new(OnDemand { plan: plan.clone(), opened: Mutex::default() })
}

impl OnDemand {
    fn store(&self, location: &str, name: &str) -> Result<Arc<dyn BlobStore>, SpillError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(name) {
            return Ok(store.clone());
        }
        let unavailable = |reason| SpillError::Unavailable { location: location.to_owned(), reason };
        let config = self.plan.stores.get(name).ok_or_else(|| refused(location, "the spec has no such store"))?;
        let secrets = super::secrets(&self.plan).map_err(|missing| unavailable(missing.to_string()))?;
        let store = crate::storage::open(name, config, &secrets);
        let store = store.map_err(|error| unavailable(format!("{error}; {}", error.help())))?;
        opened.insert(name.to_owned(), store.clone());
        Ok(store)
    }
}

#[async_trait]
impl Spill for OnDemand {
    async fn keep(&self, name: &str, _: Bytes) -> Result<String, SpillError> {
        Err(refused(name, "nothing is kept here"))
    }

    async fn fetch(&self, location: &str) -> Result<Bytes, SpillError> {
        let (name, path) = place(location)?;
        get(self.store(location, name)?.as_ref(), location, &path).await
    }
}

fn refused(location: &str, reason: impl ToString) -> SpillError {
    SpillError::Refused { location: location.to_owned(), reason: reason.to_string() }
}

/// The store's name and the path of a location.
fn place(location: &str) -> Result<(&str, BlobPath), SpillError> {
    let (store, path) = location.split_once('/').ok_or_else(|| refused(location, "it names no store and path"))?;
    let path = BlobPath::parse(path).map_err(|error| refused(location, error))?;
    let is_ours = path.as_str().strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'));
    if is_ours { Ok((store, path)) } else { Err(refused(location, format_args!("it does not lie in {FOLDER}/"))) }
}

async fn put(store: &dyn BlobStore, location: &str, path: &str, bytes: Bytes) -> Result<(), SpillError> {
    let path = BlobPath::parse(path).map_err(|error| refused(location, error))?;
    let expected_bytes = u64::try_from(bytes.len()).ok();
    let options = PutOptions { expected_bytes, ..PutOptions::default() };
    let body = stream::iter([Ok(bytes)]).boxed();
    let put = store.put(&path, body, &options, &Progress::new()).await;
    put.map(|_| ()).map_err(|error| spill_error(location, &error))
}

async fn get(store: &dyn BlobStore, location: &str, path: &BlobPath) -> Result<Bytes, SpillError> {
    let (opened, mut body) = store.open(path).await.map_err(|error| spill_error(location, &error))?;
    let too_large = || refused(location, format_args!("it is larger than {LARGEST} bytes"));
    let mut bytes = BytesMut::with_capacity(usize::try_from(opened.size.min(LARGEST)).unwrap_or(0));
    while let Some(chunk) = body.next().await {
        let unavailable = |reason| SpillError::Unavailable { location: location.to_owned(), reason };
        bytes.extend_from_slice(&chunk.map_err(unavailable)?);
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
            return Err(too_large());
        }
    }
    Ok(bytes.freeze())
}

/// A store that fails in another way may work again: only what is surely not there, or not the same, is refused.
fn spill_error(location: &str, error: &StoreError) -> SpillError {
    match error {
        StoreError::NotFound(_) | StoreError::Conflict { .. } | StoreError::TooLarge { .. } => refused(location, error),
        StoreError::Source(_) | StoreError::Unavailable(_) | StoreError::Other(_) => {
            SpillError::Unavailable { location: location.to_owned(), reason: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secrets;
    use crate::storage::config::Config;

    fn shelf(folder: &std::path::Path) -> StoresSpill {
        let config = Config::Directory { path: folder.to_owned() };
        let store = crate::storage::open("lake", &config, &Secrets::default()).unwrap();
        StoresSpill { stores: [("lake".to_owned(), store)].into(), into: "lake".to_owned() }
    }

    #[tokio::test]
    async fn what_is_kept_is_read_back_and_a_repeat_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let spill = shelf(folder.path());
        for _ in 0..2 {
            let location = spill.keep("dead-letters/p/m/payload-1", Bytes::from_static(b"\xff body")).await.unwrap();
            assert_eq!(location, "lake/dead-letters/p/m/payload-1");
            assert_eq!(spill.fetch(&location).await.unwrap(), &b"\xff body"[..]);
        }
    }

    #[tokio::test]
    async fn nothing_outside_of_the_folder_and_no_other_store_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let spill = shelf(folder.path());
        spill.keep("claims/a.pdf", Bytes::from_static(b"secret")).await.unwrap();
        for location in [
            "lake/claims/a.pdf",
            "lake/dead-letters/../claims/a.pdf",
            "lake/dead-lettersx/a",
            "lake/dead-letters",
            "lake",
            "",
            "cache/dead-letters/p/m/payload-1",
            "lake/dead-letters/p/m/gone",
        ] {
            let error = spill.fetch(location).await.unwrap_err();
            assert!(matches!(&error, SpillError::Refused { .. }), "{location}: {error}");
            assert!(error.to_string().contains(location), "{error}");
        }
    }
}
