//! Who may do what: tokens that clients put, checked when they come, and what they grant until they expire.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::hmac;
use jiff::Timestamp;

use crate::address::covers;
use crate::config::{Config, Right};
use crate::refusal::Refusal;

mod jwt;
mod sas;

/// The kinds of tokens, as clients name them.
const SAS: &str = "servicebus.windows.net:sastoken";
const JWTS: [&str; 2] = ["jwt", "amqp:jwt"];

/// Checks tokens.
pub(crate) struct Authority {
    keys: BTreeMap<String, (hmac::Key, BTreeSet<Right>)>,
    jwt: Option<jwt::Checker>,
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The path that it covers, and all below it.
    pub(crate) path: String,
    pub(crate) rights: BTreeSet<Right>,
    pub(crate) expires: Timestamp,
}

/// Why a token is good for nothing, in the service's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("InvalidSignature: The token has an invalid signature.")]
    Signature,
    #[error("ExpiredToken: The token is expired. Expiration time: '{0}'.")]
    Expired(Timestamp),
    #[error("InvalidAudience: The token has an invalid audience.")]
    Audience,
    #[error("MalformedToken: {0}.")]
    Malformed(&'static str),
}

impl Authority {
    /// Knows the keys that the configuration names.
    pub(crate) fn new(config: &Config) -> Self {
        let keys = config.keys.iter().map(|(name, key)| {
            (name.clone(), (hmac::Key::new(hmac::HMAC_SHA256, key.key.as_bytes()), key.rights.clone()))
        });
        Self { keys: keys.collect(), jwt: config.jwt.as_ref().map(jwt::Checker::new) }
    }

    /// What a token grants for an audience. `kind` is what its bearer says that it is.
    pub(crate) fn check(&self, kind: &str, token: &str, audience: &str, now: Timestamp) -> Result<Grant, TokenError> {
        let path = crate::address::path(audience);
        let (rights, expires) = if kind == SAS || sas::is_one(token) {
            self.check_sas(token, &path)?
        } else if JWTS.contains(&kind) {
            let checker = self.jwt.as_ref().ok_or(TokenError::Signature)?;
            (BTreeSet::from([Right::Send, Right::Listen, Right::Manage]), checker.check(token, now)?)
        } else {
            return Err(TokenError::Malformed("The token is of no known type"));
        };
        if expires <= now { Err(TokenError::Expired(expires)) } else { Ok(Grant { path, rights, expires }) }
    }

    fn check_sas(&self, token: &str, path: &str) -> Result<(BTreeSet<Right>, Timestamp), TokenError> {
        let token = sas::Token::read(token)?;
        let (key, rights) = self.keys.get(&token.key).ok_or(TokenError::Signature)?;
        token.verify(key)?;
        if !covers(&token.path, path) {
            return Err(TokenError::Audience);
        }
        Ok((rights.clone(), token.expires))
    }
}

/// What the tokens of one connection grant.
#[derive(Debug, Default)]
pub(crate) struct Grants(Vec<Grant>);

impl Grants {
    /// Adds a grant in the place of what was granted for the same path.
    pub(crate) fn put(&mut self, grant: Grant) {
        self.0.retain(|there| there.path != grant.path);
        self.0.push(grant);
    }

    /// Lets every grant end by then.
    pub(crate) fn expire(&mut self, by: Timestamp) {
        self.0.iter_mut().for_each(|grant| grant.expires = grant.expires.min(by));
    }

    /// The same for what is good for a hub.
    pub(crate) fn expire_within(&mut self, hub: &str, by: Timestamp) {
        let is_good = |grant: &&mut Grant| covers(&grant.path, hub) || covers(hub, &grant.path);
        self.0.iter_mut().filter(is_good).for_each(|grant| grant.expires = grant.expires.min(by));
    }

    /// Until when something is granted; an error where it is not, or not any more.
    pub(crate) fn until(&self, right: Right, path: &str, url: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
        let claim = match right {
            Right::Send => "Send",
            Right::Listen => "Listen",
            Right::Manage => "Manage",
        };
        let granted = |grant: &&Grant| {
            covers(&grant.path, path) && [right, Right::Manage].iter().any(|right| grant.rights.contains(right))
        };
        match self.0.iter().filter(granted).map(|grant| grant.expires).max() {
            None => Err(Refusal::unauthorized(claim, url)),
            Some(expires) if expires <= now => Err(Refusal::expired(expires)),
            Some(expires) => Ok(expires),
        }
    }

    /// Whether anything is granted for a hub or within it.
    pub(crate) fn any_within(&self, hub: &str, now: Timestamp) -> bool {
        self.0.iter().any(|grant| grant.expires > now && (covers(&grant.path, hub) || covers(hub, &grant.path)))
    }
}

#[cfg(test)]
mod tests;
