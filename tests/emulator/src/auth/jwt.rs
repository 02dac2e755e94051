//! JSON web tokens, signed by HS256 with a secret of the configuration: what an identity provider would sign with a key
//! of its own is checked here as strictly, but by one secret.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::TokenError;
use crate::config::Jwt;

/// Checks tokens against one secret.
pub(super) struct Checker {
    key: hmac::Key,
    audience: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Checker {
    /// One that knows this secret.
    pub(super) fn new(config: &Jwt) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, config.secret.as_bytes());
        Self { key, audience: config.audience.clone() }
    }

    /// When a token expires that is good so far.
    pub(super) fn check(&self, token: &str, now: Timestamp) -> Result<Timestamp, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = signed.split_once('.').ok_or(MALFORMED)?;
        if part::<Header>(header)?.alg != "HS256" {
            return Err(TokenError::Signature);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Signature)?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).map_err(|_| TokenError::Signature)?;
        let claims: Claims = part(claims)?;
        if !claims.aud.includes(&self.audience) {
            return Err(TokenError::Audience);
        }
        if claims.nbf.is_some_and(|from| from > now.as_second()) {
            return Err(TokenError::Malformed("The token is not valid yet"));
        }
        Timestamp::from_second(claims.exp).map_err(|_| MALFORMED)
    }
}

const MALFORMED: TokenError = TokenError::Malformed("The token is no JSON web token");

fn part<T: DeserializeOwned>(encoded: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| MALFORMED)?;
    serde_json::from_slice(&json).map_err(|_| MALFORMED)
}

impl Audience {
    /// A slash at the end makes no difference: identity providers write some with and some without.
    fn includes(&self, audience: &str) -> bool {
        let is_it = |one: &str| one.trim_end_matches('/') == audience.trim_end_matches('/');
        match self {
            Self::One(one) => is_it(one),
            Self::Many(many) => many.iter().any(|one| is_it(one)),
        }
    }
}
