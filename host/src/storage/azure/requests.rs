//! The few requests that `object_store` does not make: metadata once a body is known, and a plain delete, where it
//! would send a batch, which accounts with a hierarchical namespace refuse, and what time it is for the service. It
//! signs them all the same.

use std::time::Duration;

use object_store::azure::{AzureAuthorizer, AzureCredentialProvider};
use object_store::client::{HttpClient, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse};
use object_store::path::Path;
use object_store::{Error, HeaderValue, Result};
use url::Url;

use super::failure::is_passing;
use crate::model::Timestamp;

/// Milliseconds between tries.
const WAITS: [u64; 3] = [200, 800, 3200];

/// Requests to one container.
pub(super) struct Requests {
    pub(super) client: HttpClient,
    pub(super) credentials: AzureCredentialProvider,
    pub(super) account: String,
    pub(super) container: Url,
}

/// A request that may be sent again without harm.
#[derive(Clone, Copy)]
struct Call<'a> {
    method: &'static str,
    url: &'a Url,
    header: Option<(&'static str, &'a str)>,
}

impl Requests {
    /// Replaces the metadata of a blob by its hash.
    pub(super) async fn mark(&self, place: &Path, sha256: &str) -> Result<()> {
        let mut url = self.url(place)?;
        url.set_query(Some("comp=metadata"));
        self.send(Call { method: "PUT", url: &url, header: Some(("x-ms-meta-sha256", sha256)) }).await?;
        Ok(())
    }

    /// Removes a blob.
    pub(super) async fn delete(&self, place: &Path) -> Result<()> {
        self.send(Call { method: "DELETE", url: &self.url(place)?, header: None }).await?;
        Ok(())
    }

    /// The service's own time, by which it dates blobs: the clock of this machine may be wrong.
    pub(super) async fn time(&self) -> Result<Timestamp> {
        let mut url = self.container.clone();
        url.set_query(Some("restype=container&comp=list&maxresults=1"));
        let response = self.send(Call { method: "GET", url: &url, header: None }).await?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let time = date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        let milliseconds = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        milliseconds.map(Timestamp).ok_or_else(|| broken("the service does not say what time it is"))
    }

    /// Makes the container.
    #[cfg(any(test, feature = "testing"))]
    pub(super) async fn create_container(&self) -> Result<()> {
        let mut url = self.container.clone();
        url.set_query(Some("restype=container"));
        self.send(Call { method: "PUT", url: &url, header: None }).await?;
        Ok(())
    }

    fn url(&self, place: &Path) -> Result<Url> {
        let mut url = self.container.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.extend(place.parts()),
            Err(()) => return Err(broken("the endpoint takes no path")),
        };
        Ok(url)
    }

    async fn send(&self, call: Call<'_>) -> Result<HttpResponse> {
        for wait in WAITS {
            match self.attempt(call).await {
                Ok(Answer::Done(response)) => return Ok(response),
                Err(error) => return Err(error),
                Ok(Answer::Passing(_)) => tokio::time::sleep(Duration::from_millis(wait)).await,
            }
        }
        match self.attempt(call).await? {
            Answer::Done(response) => Ok(response),
            Answer::Passing(error) => Err(error),
        }
    }

    async fn attempt(&self, call: Call<'_>) -> Result<Answer> {
        let response = match self.client.execute(self.signed(call).await?).await {
            Ok(response) => response,
            Err(error) if error.kind() == HttpErrorKind::Unknown => return Err(broken(error)),
            Err(error) => return Ok(Answer::Passing(broken(error))),
        };
        match response.status().as_u16() {
            200..=299 => Ok(Answer::Done(response)),
            status if is_passing(status) => Ok(Answer::Passing(broken(format!("status {status}")))),
            status => Err(broken(format!("status {status}"))),
        }
    }

    async fn signed(&self, call: Call<'_>) -> Result<HttpRequest> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = call.method.parse().map_err(broken)?;
        *request.uri_mut() = call.url.as_str().parse().map_err(broken)?;
        request.headers_mut().insert("content-length", HeaderValue::from_static("0"));
        if let Some((name, value)) = call.header {
            request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(broken)?);
        }
        let credential = self.credentials.get_credential().await?;
        AzureAuthorizer::new(&credential, &self.account).try_authorize(&mut request)?;
        Ok(request)
    }
}

enum Answer {
    Done(HttpResponse),
    Passing(Error),
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "Azure", source: error.into() }
}
