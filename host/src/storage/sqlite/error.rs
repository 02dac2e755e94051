//! Why a call on a database failed, reduced to what a caller can do about it.

use rusqlite::ErrorCode;

/// Why a call on a database failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Not now: locked for too long, disk full, folder gone. Nothing was written.
    #[error("{0}")]
    Unavailable(String),
    /// What is stored cannot be read, now or later.
    #[error("{0}")]
    Damaged(String),
}

impl From<rusqlite::Error> for Error {
    /// What is not known to be damage counts as unavailable: trying again is safe, giving up is not.
    fn from(error: rusqlite::Error) -> Self {
        let damaged = match &error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => true,
            other => matches!(other.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
        };
        let text = error.to_string();
        if damaged { Self::Damaged(text) } else { Self::Unavailable(text) }
    }
}
