//! What an answer of Azure means. `object_store` keeps the status of a refusal but not Azure's code, and a `HEAD` has
//! no body to tell one 404 from another, so the connection itself turns a refusal into [`Refusal`], which travels
//! inside `object_store`'s error. No text made here holds a URL's query or a body.

use std::error::Error as _;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

use crate::storage::{BlobPath, StoreError};

/// Characters of a foreign text that are kept.
const TEXT_LIMIT: usize = 300;

/// An answer that says no, and that no repetition would change.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("status {status}, code {}", code.as_deref().unwrap_or("unknown"))]
pub(super) struct Refusal {
    status: u16,
    code: Option<String>,
}

impl Refusal {
    /// Reads an answer: `None` where it is none, or is worth another try.
    fn read(response: &HttpResponse) -> Option<Self> {
        let status = response.status().as_u16();
        (matches!(status, 400..=499) && !is_passing(status)).then(|| Self { status, code: code(response) })
    }

    /// The refusal inside an error, if there is one.
    pub(super) fn of(error: &object_store::Error) -> Option<&Self> {
        let mut current: &(dyn std::error::Error + 'static) = error;
        loop {
            match current.downcast_ref::<Self>() {
                Some(refusal) => return Some(refusal),
                None => current = current.source()?,
            }
        }
    }

    /// No such blob; a missing container is another thing.
    pub(super) fn is_missing(&self) -> bool {
        self.status == 404 && self.is_code(&["BlobNotFound", "PathNotFound"])
    }

    /// Something stands there already, or is not what was asked for.
    pub(super) fn is_taken(&self) -> bool {
        self.is_code(&[
            "BlobAlreadyExists",
            "PathAlreadyExists",
            "ConditionNotMet",
            "TargetConditionNotMet",
            "PendingCopyOperation",
            // A signature that may create and not write is answered so.
            "UnauthorizedBlobOverwrite",
        ])
    }

    fn is_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

/// Whether a status is worth another try.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// Azure's own code for what went wrong.
pub(super) fn code(response: &HttpResponse) -> Option<String> {
    let code = response.headers().get("x-ms-error-code")?.to_str().ok()?;
    Some(code.chars().filter(char::is_ascii_alphanumeric).take(100).collect())
}

/// What an error means for the call that met it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// No such blob.
    Missing,
    /// The store as a whole cannot now.
    Unavailable,
    /// This call would fail again.
    Other,
}

/// What an error means for the call that met it.
///
/// | Azure | means |
/// |---|---|
/// | no such blob | `Missing` |
/// | 401, 403 | `Unavailable`: the credential is refused, which is no fault of the blob |
/// | no such container, an account that is disabled | `Unavailable`, likewise |
/// | a refusal without a code: an identity service or a proxy | `Unavailable`, likewise |
/// | any other 4xx | `Other`, with Azure's code |
/// | 5xx, 408, 429, no connection, timeout | `Unavailable` |
pub(super) fn meaning(error: &object_store::Error) -> Meaning {
    match Refusal::of(error) {
        None => Meaning::Unavailable,
        Some(refusal) if refusal.is_missing() => Meaning::Missing,
        Some(refusal) => match refusal.status {
            401 | 403 | 404 => Meaning::Unavailable,
            _ if refusal.code.is_none() => Meaning::Unavailable,
            409 if refusal.is_code(&["ContainerBeingDeleted", "ContainerDisabled"]) => Meaning::Unavailable,
            _ => Meaning::Other,
        },
    }
}

/// What a call on a blob answers.
pub(super) fn failed(doing: &'static str, path: &BlobPath, error: &object_store::Error) -> StoreError {
    let text = format!("cannot {doing} {path}: {}", text(error));
    match meaning(error) {
        Meaning::Missing => StoreError::NotFound(path.clone()),
        Meaning::Unavailable => StoreError::Unavailable(text),
        Meaning::Other => StoreError::Other(text),
    }
}

/// An error in words for the operator.
pub(super) fn text(error: &object_store::Error) -> String {
    if let Some(refusal) = Refusal::of(error) {
        return match refusal.status {
            401 | 403 => format!("the store's credential was refused ({refusal}); check `auth` and its rights"),
            404 if refusal.is_code(&["ContainerNotFound"]) => "the container does not exist; create it".to_owned(),
            _ => format!("refused ({refusal})"),
        };
    }
    match transport(error) {
        Some(HttpErrorKind::Connect) => "no connection to the account".to_owned(),
        Some(HttpErrorKind::Timeout) => "the account did not answer in time".to_owned(),
        Some(HttpErrorKind::Interrupted | HttpErrorKind::Request) => "the connection broke".to_owned(),
        _ => without_queries(&error.to_string()),
    }
}

fn transport(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut current = error.source();
    while let Some(source) = current {
        if let Some(http) = source.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        current = source.source();
    }
    None
}

/// A foreign text, shortened, on one line, and without what follows `?` in any word: a signature may lie there.
fn without_queries(text: &str) -> String {
    let words = text.split_whitespace().map(|word| word.split_once('?').map_or(word, |(before, _)| before));
    words.collect::<Vec<_>>().join(" ").chars().take(TEXT_LIMIT).collect()
}

/// Makes connections whose refusals keep Azure's code.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Connection(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Connection(HttpClient);

#[async_trait]
impl HttpService for Connection {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        match Refusal::read(&response) {
            // Of this kind, it is not tried again.
            Some(refusal) => Err(HttpError::new(HttpErrorKind::Unknown, refusal)),
            None => Ok(response),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_loses_its_queries_and_its_length() {
        let text = format!(
            "GET https://a.blob.core.windows.net/c/b?sv=1&sig=secret in 1s: <a href='x?sig=secret'> {}",
            "x".repeat(999)
        );
        let clean = without_queries(&text);
        assert!(!clean.contains("secret"), "{clean}");
        assert!(clean.starts_with("GET https://a.blob.core.windows.net/c/b in 1s: <a href='x "), "{clean}");
        assert_eq!(clean.chars().count(), TEXT_LIMIT);
    }
}
