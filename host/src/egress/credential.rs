//! What the host adds to requests to sign them. Made of the spec's secrets, anew when one changes; never printed.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::config::Auth;
use super::headers;
use super::setup::Fault;
use crate::model::{Made, Mask, SecretRef, Secrets};

/// A header that signs.
#[derive(Debug)]
pub(super) struct Credential {
    name: HeaderName,
    signature: Made<Signature, Fault>,
}

/// What is made of a secret.
#[derive(Clone)]
struct Signature {
    /// Marked as sensitive: prints as such, and stays out of HTTP/2's compression tables.
    value: HeaderValue,
    /// Finds it in what comes back.
    mask: Arc<Mask>,
}

impl Credential {
    /// Reads the secret that `auth` names; `None` when nothing signs.
    pub(super) fn new(auth: &Auth, secrets: &Secrets) -> Result<Option<Self>, Fault> {
        let (name, scheme, secret) = match auth {
            Auth::None => return Ok(None),
            Auth::Bearer { token } => (AUTHORIZATION, "Bearer ", token),
            Auth::Basic { encoded } => (AUTHORIZATION, "Basic ", encoded),
            Auth::Header { name, value } => (own_header(name)?, "", value),
        };
        let make = |value, secret: &str| Ok(Signature { value, mask: Arc::new(mask(secret)) });
        Ok(Some(Self { name, signature: made_of(scheme, secret, secrets, make)? }))
    }

    /// Which header it is.
    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Signs with the secret as it is now.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.signature.get().value);
    }

    /// Finds the secret as it is now.
    pub(super) fn mask(&self) -> Arc<Mask> {
        self.signature.get().mask
    }
}

fn own_header(name: &str) -> Result<HeaderName, Fault> {
    let fault = || Fault::AuthHeader(name.to_owned());
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault())?;
    let is_fit = header == AUTHORIZATION || headers::refusal(&header).is_none();
    if is_fit { Ok(header) } else { Err(fault()) }
}

/// What is made of a header's value that is `scheme` and a secret, and of the secret.
pub(super) fn made_of<T: Clone>(
    scheme: &'static str,
    SecretRef(name): &SecretRef,
    secrets: &Secrets,
    make: impl Fn(HeaderValue, &str) -> Result<T, Fault> + Send + Sync + 'static,
) -> Result<Made<T, Fault>, Fault> {
    let secret = secrets.0.get(name).ok_or_else(|| Fault::NoSecret(name.clone()))?;
    let named = name.clone();
    Made::new(name, secret, move |text| {
        let value = HeaderValue::from_str(&format!("{scheme}{text}"));
        let mut value = value.map_err(|_| Fault::AuthValue(named.clone()))?;
        value.set_sensitive(true);
        make(value, text)
    })
}

/// Covers the secret; what it encodes, too, and of a user and a password the password by itself.
pub(super) fn mask(secret: &str) -> Mask {
    let decoded = STANDARD.decode(secret).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let password = decoded.as_deref().and_then(|decoded| decoded.split_once(':')).map(|(_, password)| password);
    Mask::of([Some(secret), decoded.as_deref(), password].into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn made(auth: &Auth, secret: &str) -> Result<Option<Credential>, Fault> {
        Credential::new(auth, &Secrets([("s".to_owned(), Secret::new(secret))].into()))
    }

    #[test]
    fn each_kind_of_auth_is_one_header() {
        let header = Auth::Header { name: "X-Key".into(), value: SecretRef("s".into()) };
        for (auth, name, value) in [
            (Auth::Bearer { token: SecretRef("s".into()) }, "authorization", "Bearer abc"),
            (Auth::Basic { encoded: SecretRef("s".into()) }, "authorization", "Basic abc"),
            (header, "x-key", "abc"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-key", HeaderValue::from_static("the caller's"));
            made(&auth, "abc").unwrap().unwrap().add_to(&mut headers);
            assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{auth:?}");
        }
        assert!(made(&Auth::None, "abc").unwrap().is_none());
    }

    #[test]
    fn a_credential_that_cannot_be_sent_is_a_fault_that_does_not_show_it() {
        let bearer = |name: &str| Auth::Bearer { token: SecretRef(name.into()) };
        let header = |name: &str| Auth::Header { name: name.into(), value: SecretRef("s".into()) };
        for auth in [bearer("s"), bearer("other"), header("host"), header("content-length"), header("a b"), header("x")]
        {
            let fault = made(&auth, "SENTINEL\n").unwrap_err();
            assert!(!format!("{fault} {fault:?}").contains("SENTINEL"), "{auth:?}");
        }
    }

    #[test]
    fn a_credential_does_not_print() {
        let credential = made(&Auth::Bearer { token: SecretRef("s".into()) }, "SENTINEL").unwrap().unwrap();
        assert!(!format!("{credential:?}").contains("SENTINEL"));
    }
}
