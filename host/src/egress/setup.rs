//! What keeps endpoints from being set up. All of it is named at once, and no text holds a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that is wrong with the endpoints.
#[derive(Debug)]
pub struct SetupError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for SetupError {}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the endpoints cannot be set up: ")?;
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with one endpoint.
#[derive(Debug, thiserror::Error)]
#[error("endpoint `{endpoint}`: {fault}")]
pub struct Problem {
    /// Which.
    pub endpoint: Arc<str>,
    /// What.
    pub fault: Fault,
}

/// What is wrong with an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It leads nowhere.
    #[error("it has neither `base_url` nor `allow`")]
    NoReach,
    /// It is one system and many hosts.
    #[error("it has both `base_url` and `allow`; make two endpoints of it")]
    TwoReaches,
    /// Its base URL cannot be used.
    #[error("`base_url` is a URL that cannot be used: {0}")]
    BaseUrl(&'static str),
    /// An entry of `allow` cannot be read. It is not repeated, for it may hold a password.
    #[error("entry {nth} of `allow` is none of `host`, `host:port`, `*.domain` and `http://host:port`")]
    Allow {
        /// Which, from one.
        nth: usize,
    },
    /// Its proxy's URL cannot be used.
    #[error("`proxy.url` is a URL that cannot be used: {0}")]
    ProxyUrl(&'static str),
    /// A credential that could never be sent.
    #[error("`auth` needs a `base_url`: a credential is sent to its own system only")]
    AuthWithoutSystem,
    /// No such secret.
    #[error("there is no secret `{0}`")]
    NoSecret(String),
    /// No name for a header, or one that the host sets itself.
    #[error("a credential cannot go into header `{0}`")]
    AuthHeader(String),
    /// No value for a header.
    #[error("secret `{0}` holds a line break or another character that no header may hold")]
    AuthValue(String),
    /// No such endpoint.
    #[error("`redirects` names endpoint `{0}`, which does not exist")]
    NoEndpoint(String),
    /// The file that stands for the machine's authorities cannot be read.
    #[error("{path:?}, which SSL_CERT_FILE names, cannot be read: {source}")]
    CertFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The authorities' file cannot be read.
    #[error("`ca` {path:?} cannot be read: {source}")]
    CaUnreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The authorities' file holds none.
    #[error("`ca` {path:?} holds no certificate in PEM")]
    CaEmpty {
        /// Which file.
        path: PathBuf,
    },
    /// The HTTP client does not take these settings.
    #[error("no client can be made: {0}")]
    Client(String),
}
