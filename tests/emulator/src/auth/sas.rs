//! Shared access signatures: `SharedAccessSignature sr=RESOURCE&sig=SIGNATURE&se=EXPIRY&skn=KEY`, where what is signed
//! is the resource as it stands there, a line's end, and the expiry.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::TokenError;

const PREFIX: &str = "SharedAccessSignature ";

/// Whether a token looks like one.
pub(super) fn is_one(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// A token that is not verified yet.
pub(super) struct Token {
    /// The name of the key that it is signed with.
    pub(super) key: String,
    /// The path that it is good for.
    pub(super) path: String,
    pub(super) expires: Timestamp,
    signed: String,
    signature: Vec<u8>,
}

impl Token {
    /// Reads one.
    pub(super) fn read(token: &str) -> Result<Self, TokenError> {
        let fields =
            token.strip_prefix(PREFIX).ok_or(TokenError::Malformed("The token is no shared access signature"))?;
        let field = |name: &str| {
            let mut pairs = fields.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find_map(|(key, value)| (key == name).then_some(value))
        };
        let missing = |what| move || TokenError::Malformed(what);
        let resource = field("sr").ok_or_else(missing("The token names no resource"))?;
        let signature = field("sig").ok_or_else(missing("The token has no signature"))?;
        let expiry = field("se").ok_or_else(missing("The token has no expiry"))?;
        let key = field("skn").ok_or_else(missing("The token names no key"))?;
        Ok(Self {
            key: decoded(key),
            path: crate::address::path(&decoded(resource)),
            expires: expiry
                .parse()
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .ok_or(TokenError::Malformed("The token's expiry is no time"))?,
            signed: format!("{resource}\n{expiry}"),
            signature: STANDARD.decode(decoded(signature)).map_err(|_| TokenError::Signature)?,
        })
    }

    /// Whether it was signed with this key.
    pub(super) fn verify(&self, key: &hmac::Key) -> Result<(), TokenError> {
        hmac::verify(key, self.signed.as_bytes(), &self.signature).map_err(|_| TokenError::Signature)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
