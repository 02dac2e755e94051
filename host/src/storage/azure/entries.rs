//! Small entries: empty blobs whose metadata is what they hold, as the SDKs of Event Hubs keep leases and checkpoints.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, ObjectMeta, ObjectStore, PutMode, PutOptions, UpdateVersion,
};

use super::Azure;
use super::failure::{Meaning, Refusal, meaning, text};
use crate::model::Timestamp;
use crate::storage::conditional::{Conditional, Entry, Failure, Fields, Listed, Version};

#[async_trait]
impl Conditional for Azure {
    async fn list(&self, folder: &str) -> Result<Vec<Listed>, Failure> {
        let place = self.entry(folder)?;
        let found: Vec<ObjectMeta> =
            self.objects.list(Some(&place)).try_collect().await.map_err(|error| failed("list", folder, &error))?;
        let prefix = self.prefix.as_ref().map(|prefix| format!("{}/", prefix.as_str())).unwrap_or_default();
        let listed = found.into_iter().map(|meta| {
            let (version, modified) = seen(&meta)?;
            let name = meta.location.as_ref().strip_prefix(&prefix).unwrap_or(meta.location.as_ref()).to_owned();
            Ok(Listed { name, version, modified })
        });
        listed.collect()
    }

    async fn read(&self, name: &str) -> Result<Option<Entry>, Failure> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        let found = match self.objects.get_opts(&self.entry(name)?, head).await {
            Err(error) if Refusal::of(&error).is_some_and(Refusal::is_missing) => return Ok(None),
            found => found.map_err(|error| failed("read", name, &error))?,
        };
        let (version, modified) = seen(&found.meta)?;
        let field = |(attribute, value): (&Attribute, &AttributeValue)| match attribute {
            Attribute::Metadata(name) => Some((name.to_lowercase(), value.to_string())),
            _ => None,
        };
        Ok(Some(Entry { version, modified, fields: found.attributes.iter().filter_map(field).collect() }))
    }

    async fn put(&self, name: &str, fields: &Fields, expected: Option<&Version>) -> Result<Option<Version>, Failure> {
        let mode = match expected {
            None => PutMode::Create,
            Some(Version(etag)) => PutMode::Update(UpdateVersion { e_tag: Some(format!("\"{etag}\"")), version: None }),
        };
        let attribute = |(name, value): (&String, &String)| {
            (Attribute::Metadata(name.clone().into()), AttributeValue::from(value.clone()))
        };
        let attributes: Attributes = fields.iter().map(attribute).collect();
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        match self.objects.put_opts(&self.entry(name)?, Bytes::new().into(), options).await {
            Ok(put) => version(put.e_tag, name).map(Some),
            Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.is_taken() || refusal.is_missing()) => {
                Ok(None)
            }
            Err(error) => Err(failed("write", name, &error)),
        }
    }
}

impl Azure {
    fn entry(&self, name: &str) -> Result<Path, Failure> {
        self.place(name).map_err(|_| Failure::Other(format!("{name} is no name of a blob in Azure")))
    }
}

fn seen(meta: &ObjectMeta) -> Result<(Version, Timestamp), Failure> {
    let modified = Timestamp(u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0));
    Ok((version(meta.e_tag.clone(), meta.location.as_ref())?, modified))
}

/// Without its quotes: a listing leaves them out.
fn version(etag: Option<String>, name: &str) -> Result<Version, Failure> {
    let etag = etag.ok_or_else(|| Failure::Other(format!("the store tells no version of {name}")))?;
    Ok(Version(etag.trim_matches('"').to_owned()))
}

fn failed(doing: &'static str, name: &str, error: &object_store::Error) -> Failure {
    let reason = format!("cannot {doing} {name}: {}", text(error));
    if meaning(error) == Meaning::Unavailable { Failure::Unavailable(reason) } else { Failure::Other(reason) }
}
