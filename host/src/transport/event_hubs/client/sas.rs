//! Shared access signatures: made with a key for an hour, or ready ones that others made.
//!
//! Source: <https://learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature>.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::token::{Kind, Token};
use crate::model::Timestamp;

/// How long a signature lasts that is made here.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// What every signature begins with.
pub(super) const SCHEME: &str = "SharedAccessSignature ";

/// What signs.
#[derive(Clone)]
pub(super) enum Signing {
    /// A key by its name.
    Key { name: Arc<str>, key: Arc<hmac::Key> },
    /// A ready signature, and when it ends.
    Ready { signature: Arc<str>, expires: Timestamp },
}

impl Signing {
    /// A key, which signs with its text as it is.
    pub(super) fn key(name: &str, key: &str) -> Result<Self, String> {
        if name.is_empty() || key.is_empty() {
            return Err("the name of the key or the key is empty".to_owned());
        }
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
        Ok(Self::Key { name: name.into(), key })
    }

    /// A ready signature. It tells when it ends.
    pub(super) fn signature(text: &str) -> Result<Self, String> {
        let unfit = || "it is no shared access signature: that reads `SharedAccessSignature sr=…&sig=…&se=…&skn=…`";
        let fields = text.trim().strip_prefix(SCHEME).ok_or_else(unfit)?;
        let field = |name| fields.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
        let ends = field("sr").and(field("sig")).and(field("se")).ok_or_else(unfit)?;
        let seconds: u64 = ends.1.parse().map_err(|_| unfit())?;
        let expires = Timestamp(seconds.saturating_mul(1000));
        Ok(Self::Ready { signature: text.trim().into(), expires })
    }

    /// A token for a resource, such as `sb://name.servicebus.windows.net/hub`.
    pub(super) fn token(&self, resource: &str, now: Timestamp) -> Token {
        match self {
            Self::Key { name, key } => {
                let expires = now.after(LIFETIME);
                Token::new(made(name, key, resource, expires.0 / 1000), Kind::Sas, expires, now)
            }
            Self::Ready { signature, expires } => Token::new(signature.to_string(), Kind::Sas, *expires, now),
        }
    }
}

fn made(name: &str, key: &hmac::Key, resource: &str, expires: u64) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let resource = encode(resource);
    let tag = hmac::sign(key, format!("{resource}\n{expires}").as_bytes());
    let signature = encode(&STANDARD.encode(tag));
    format!("{SCHEME}sr={resource}&sig={signature}&se={expires}&skn={}", encode(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_as_other_clients_do() {
        let signing = Signing::key("RootManageSharedAccessKey", "SAS_KEY_VALUE").unwrap();
        let token = signing.token("sb://name.servicebus.windows.net/orders", Timestamp(1_699_996_400_123));
        // Made with Python's `hmac` and `base64`.
        let resource = "sb%3A%2F%2Fname%2Eservicebus%2Ewindows%2Enet%2Forders";
        let rest = "&sig=b7cYTcQ2GKt8HACCCDxFazTmzwHJSC6TBXqC0uErPtA%3D&se=1700000000&skn=RootManageSharedAccessKey";
        assert_eq!(token.text(), format!("SharedAccessSignature sr={resource}{rest}"));
        assert_eq!((token.kind(), token.expires()), (Kind::Sas, Timestamp(1_700_000_000_123)));
    }

    #[test]
    fn a_ready_signature_is_shown_as_it_is_and_ends_when_it_says() {
        let text = "SharedAccessSignature sr=sb%3A%2F%2Fn&sig=a%3D&se=1700000000&skn=k";
        let token = Signing::signature(&format!("{text}\n")).unwrap().token("sb://n/orders", Timestamp(0));
        assert_eq!((token.text(), token.expires()), (text, Timestamp(1_700_000_000_000)));
        for none in ["", "SENTINEL", "SharedAccessSignature sr=a&sig=SENTINEL", "SharedAccessSignature sr=a&sig=b&se=x"]
        {
            let Err(error) = Signing::signature(none) else { panic!("{none}") };
            assert!(!error.contains("SENTINEL"));
        }
    }
}
