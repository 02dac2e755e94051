//! What is shown to the service: a token, when it ends and when it is to be renewed.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::sas::{SCHEME, Signing};
use crate::model::Timestamp;

/// How long a token is used that does not say when it ends, before it is asked for anew.
const UNSAID: Duration = Duration::from_secs(5 * 60);
/// The least time between two renewals.
const SHORTEST: Duration = Duration::from_secs(1);

/// A token. It is a secret.
#[derive(Clone)]
pub(super) struct Token {
    text: String,
    kind: Kind,
    expires: Timestamp,
    fresh_until: Timestamp,
    made: Timestamp,
}

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A shared access signature.
    Sas,
    /// A JSON web token of Microsoft Entra.
    Jwt,
}

impl Kind {
    /// As it is called where tokens are put.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sas => "servicebus.windows.net:sastoken",
            Self::Jwt => "jwt",
        }
    }
}

impl Token {
    /// One that ends then. It is to be renewed when three quarters of what is left of it are over.
    pub(super) fn new(text: String, kind: Kind, expires: Timestamp, now: Timestamp) -> Self {
        let fresh = expires.since(now).mul_f64(0.75).max(SHORTEST);
        Self { text, kind, expires, fresh_until: now.after(fresh), made: now }
    }

    /// One that somebody else made: a signature or a JSON web token.
    pub(super) fn found(text: &str, now: Timestamp) -> Result<Self, String> {
        match text.trim() {
            "" => Err("it holds no token".to_owned()),
            text if text.starts_with(SCHEME) => Ok(Signing::signature(text)?.token("", now)),
            text if text.contains(char::is_whitespace) => Err("it holds more than one token, or none".to_owned()),
            text => Ok(Self::new(text.to_owned(), Kind::Jwt, end_of(text).unwrap_or(now.after(UNSAID)), now)),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether it is of no more use.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// How long we have had it.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.made)
    }

    /// Whether it need not be renewed yet.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    /// How long until it is to be renewed.
    pub(super) fn renew_in(&self, now: Timestamp) -> Duration {
        self.fresh_until.since(now).max(SHORTEST)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:?} token until {}]", self.kind, self.expires)
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

/// When a JSON web token ends. Whether it is a good one only the service can tell.
fn end_of(token: &str) -> Option<Timestamp> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(Timestamp(claims.exp.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn a_token_is_renewed_well_before_it_ends() {
        let token = Token::new("t".into(), Kind::Jwt, NOW.after(Duration::from_secs(3600)), NOW);
        assert_eq!(token.renew_in(NOW), Duration::from_secs(2700));
        assert!(token.is_fresh(NOW.after(Duration::from_secs(2699))));
        assert!(!token.is_fresh(NOW.after(Duration::from_secs(2700))));
        let ended = Token::new("t".into(), Kind::Jwt, Timestamp(0), NOW);
        assert_eq!(ended.renew_in(NOW), SHORTEST, "no busy loop");
    }

    #[test]
    fn a_token_of_somebody_else_tells_when_it_ends() {
        let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"aud":"x","exp":1700000060}"#));
        let token = Token::found(&format!("{jwt}\n"), NOW).unwrap();
        assert_eq!(
            (token.text(), token.kind(), token.expires()),
            (jwt.as_str(), Kind::Jwt, Timestamp(1_700_000_060_000))
        );
        let opaque = Token::found("opaque", NOW).unwrap();
        assert_eq!((opaque.kind(), opaque.expires()), (Kind::Jwt, NOW.after(UNSAID)));
        let sas = Token::found("SharedAccessSignature sr=a&sig=b&se=1700000060&skn=k", NOW).unwrap();
        assert_eq!((sas.kind(), sas.expires()), (Kind::Sas, Timestamp(1_700_000_060_000)));
        assert!(Token::found(" \n", NOW).is_err());
        assert!(Token::found("two tokens", NOW).is_err());
    }

    #[test]
    fn a_token_does_not_print() {
        let token = Token::found("SENTINEL", NOW).unwrap();
        assert!(!format!("{token:?}").contains("SENTINEL"));
    }
}
