//! What stands at a place in the container.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Attribute, GetOptions, GetResult, ObjectStore};
use sha2::{Digest, Sha256};

use super::failure::{Refusal, failed};
use super::{Azure, SHA256};
use crate::model::Progress;
use crate::storage::intake::hex;
use crate::storage::{BlobPath, StoreError, Stored};

/// What stands at a place.
pub(super) enum Standing {
    /// A blob.
    Blob(Stored),
    /// A copy that the service has begun and not finished: it shows as an empty blob that carries the hash of another
    /// content. No reader may take it for a blob.
    Arriving,
    /// Nothing.
    Nothing,
}

/// The same, before a hash that is not kept was computed.
pub(super) enum Found {
    Blob(GetResult),
    Arriving,
    Nothing,
}

impl Azure {
    /// Looks at a place.
    pub(super) async fn find(&self, path: &BlobPath, place: &Path) -> Result<Found, StoreError> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        match self.objects.get_opts(place, head).await {
            Ok(found) if is_arriving(&found) => Ok(Found::Arriving),
            Ok(found) => Ok(Found::Blob(found)),
            Err(error) if Refusal::of(&error).is_some_and(Refusal::is_missing) => Ok(Found::Nothing),
            Err(error) => Err(failed("find", path, &error)),
        }
    }

    /// Looks at a place; reads the blob where no hash is kept with it.
    pub(super) async fn standing(
        &self,
        path: &BlobPath,
        place: &Path,
        progress: &Progress,
    ) -> Result<Standing, StoreError> {
        let found = match self.find(path, place).await? {
            Found::Blob(found) => found,
            Found::Arriving => return Ok(Standing::Arriving),
            Found::Nothing => return Ok(Standing::Nothing),
        };
        let sha256 = match kept_hash(&found) {
            Some(kept) => kept,
            None => self.hash(path, place, found.meta.e_tag.clone(), progress).await?,
        };
        let content_type = content_type(&found);
        Ok(Standing::Blob(Stored { size: found.meta.size, sha256, etag: found.meta.e_tag, content_type }))
    }

    async fn hash(
        &self,
        path: &BlobPath,
        place: &Path,
        etag: Option<String>,
        progress: &Progress,
    ) -> Result<String, StoreError> {
        let mut content = self.content(path, place, etag).await?;
        let mut hasher = Sha256::new();
        while let Some(chunk) = content.try_next().await.map_err(StoreError::Unavailable)? {
            hasher.update(&chunk);
            progress.touch();
        }
        Ok(hex(hasher))
    }
}

fn is_arriving(found: &GetResult) -> bool {
    found.meta.size == 0 && kept_hash(found).is_some_and(|kept| kept != hex(Sha256::new()))
}

/// The media type that is kept with a blob.
pub(super) fn content_type(found: &GetResult) -> Option<String> {
    found.attributes.get(&Attribute::ContentType).map(|value| value.to_string())
}

/// The hash that is kept with a blob, if it is one.
fn kept_hash(found: &GetResult) -> Option<String> {
    let kept = found.attributes.get(&Attribute::Metadata(SHA256.into()))?;
    let is_hash = kept.len() == 64 && kept.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then(|| kept.to_string())
}
