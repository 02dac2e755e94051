//! Blobs in a container of Azure Blob Storage, through `object_store`.
//!
//! What Azure promises: a blob shows whole or not at all, and a put or a copy can be told to create only. What it does
//! not: a blob of several parts cannot be created only where nothing stands, for concurrent writers of one name throw
//! away each other's parts. So a body of one part is put directly, create-only; a longer one goes to a name of its own
//! in the store's hidden folder and is copied to its place by the service, create-only, then compared when something
//! stands there. SHA-256 is kept as metadata `sha256`; a blob that another tool wrote has none and is read to know it.
//!
//! Needs the rights to read, write, create and delete blobs, and to list them to clear leftovers. A lease or an
//! immutability policy on a blob makes the calls that change it fail as `Other` with Azure's own code.

#[cfg(test)]
mod azurite_crash_tests;
#[cfg(test)]
mod azurite_tests;
mod connect;
mod credential;
mod entries;
mod failure;
#[cfg(test)]
mod request_tests;
mod requests;
mod standing;
#[cfg(test)]
mod tests;
mod upload;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use object_store::azure::MicrosoftAzure;
use object_store::path::Path;
use object_store::{Attribute, AttributeValue, Attributes, GetOptions, ObjectStore};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

pub(super) use self::connect::Environment;
#[cfg(any(test, feature = "testing"))]
pub use self::connect::create_container;
use self::failure::{Refusal, failed, text};
use self::requests::Requests;
use self::standing::{Found, Standing, content_type};
use super::config::Config;
use super::intake::{self, Intake};
use super::open::SetupError;
use super::{BlobPath, BlobStore, Opened, PutOptions, Source, StoreError, Stored};
use crate::model::{Progress, Secrets};

/// Bytes of a part, and of the longest body that is put in one request.
const PART: usize = 4 << 20;
/// Metadata that holds the hash.
const SHA256: &str = "sha256";

/// Keeps blobs in a container.
pub(super) struct Azure {
    objects: MicrosoftAzure,
    requests: Requests,
    prefix: Option<BlobPath>,
    /// Whether leftovers were cleared, once a process.
    swept: OnceCell<()>,
}

impl Azure {
    /// Reads the configuration; connects to nothing. `environment` answers for variables that identities need.
    pub(super) fn open(
        name: &str,
        config: &Config,
        secrets: &Secrets,
        environment: impl Environment,
    ) -> Result<Self, SetupError> {
        connect::open(name, config, secrets, environment)
    }

    /// Where a blob lies in the container.
    fn place(&self, path: &str) -> Result<Path, StoreError> {
        let name = match &self.prefix {
            Some(prefix) => format!("{}/{path}", prefix.as_str()),
            None => path.to_owned(),
        };
        Path::parse(&name).map_err(|_| StoreError::Other(format!("{path} is no name of a blob in Azure")))
    }

    fn place_of(&self, path: &BlobPath) -> Result<Path, StoreError> {
        self.place(path.as_str())
    }

    /// A blob's content from the version that was found.
    async fn content(&self, path: &BlobPath, place: &Path, etag: Option<String>) -> Result<Source, StoreError> {
        let only = GetOptions { if_match: etag, ..GetOptions::default() };
        let found = self.objects.get_opts(place, only).await.map_err(|error| match Refusal::of(&error) {
            Some(refusal) if refusal.is_taken() => StoreError::Other(format!("{path} changes while it is read")),
            _ => failed("read", path, &error),
        })?;
        let path = path.clone();
        Ok(found.into_stream().map_err(move |error| format!("cannot read {path}: {}", text(&error))).boxed())
    }
}

#[async_trait]
impl BlobStore for Azure {
    /// A put that is dropped leaves at most parts without a name, which Azure drops after a week, or a blob in the
    /// hidden folder, which the next process clears after a day.
    async fn put(
        &self,
        path: &BlobPath,
        source: Source,
        options: &PutOptions,
        progress: &Progress,
    ) -> Result<Stored, StoreError> {
        let (place, media_type) = (self.place_of(path)?, media_type(options));
        let mut intake = Intake::new(source, options, progress)?;
        let first = intake.gather(PART + 1).await?.unwrap_or_default();
        if first.len() <= PART {
            let wanted = intake::stored(intake.size(), Sha256::new_with_prefix(&first));
            let wanted = Stored { content_type: Some(media_type), ..wanted };
            return self.put_whole(path, &place, first, wanted, options.replace, progress).await;
        }
        self.swept.get_or_init(|| self.clear_leftovers()).await;
        let parts = self.put_parts(path, first, &mut intake, &media_type, progress).await?;
        let wanted = Stored { content_type: Some(media_type), ..intake::stored(intake.size(), parts.hasher) };
        self.put_in_place(path, &place, &parts.place, wanted, options.replace, progress).await
    }

    async fn stat(&self, path: &BlobPath, progress: &Progress) -> Result<Stored, StoreError> {
        let place = self.place_of(path)?;
        match self.standing(path, &place, progress).await? {
            Standing::Blob(stored) => Ok(stored),
            Standing::Arriving | Standing::Nothing => Err(StoreError::NotFound(path.clone())),
        }
    }

    async fn open(&self, path: &BlobPath) -> Result<(Opened, Source), StoreError> {
        let place = self.place_of(path)?;
        let Found::Blob(found) = self.find(path, &place).await? else {
            return Err(StoreError::NotFound(path.clone()));
        };
        let opened = Opened { size: found.meta.size, content_type: content_type(&found), etag: found.meta.e_tag };
        let source = self.content(path, &place, opened.etag.clone()).await?;
        Ok((opened, source))
    }

    async fn delete(&self, path: &BlobPath) -> Result<(), StoreError> {
        let place = self.place_of(path)?;
        match self.requests.delete(&place).await {
            Err(error) if Refusal::of(&error).is_some_and(Refusal::is_missing) => Ok(()),
            answer => answer.map_err(|error| failed("remove", path, &error)),
        }
    }
}

/// The media type, where a header can carry it: it comes from an origin, and need not be printable. Else what Azure
/// itself would keep.
fn media_type(options: &PutOptions) -> String {
    let given = options.content_type.as_deref().unwrap_or_default();
    match !given.is_empty() && given.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        true => given.to_owned(),
        false => "application/octet-stream".to_owned(),
    }
}

/// What a blob carries beside its content.
fn attributes(media_type: &str, sha256: Option<&str>) -> Attributes {
    let value = |text: &str| AttributeValue::from(text.to_owned());
    let sha256 = sha256.map(|text| (Attribute::Metadata(SHA256.into()), value(text)));
    std::iter::once((Attribute::ContentType, value(media_type))).chain(sha256).collect()
}
