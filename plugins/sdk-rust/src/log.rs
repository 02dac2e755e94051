//! Lines in the host's log, with pipeline and message already on them:
//! `info!(media_id = id, bytes = stored.size; "stored {path}")`. The host cuts a text above 8 KiB and drops lines above
//! 1,000 in one call, and says so. Never log a secret or a presigned URL.

use std::fmt::Display;

use crate::host;

pub use crate::{debug, error, info, warn};

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// What happened.
    Info,
    /// Something to look at, though it went on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes a line. The macros are shorter.
pub fn write(level: Level, text: &str, fields: &[(&str, &dyn Display)]) {
    let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    host::log(level, text, &fields);
}

/// A line at [`Level::Debug`].
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Debug, $($line)+) };
}

/// A line at [`Level::Info`].
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Info, $($line)+) };
}

/// A line at [`Level::Warn`].
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Warn, $($line)+) };
}

/// A line at [`Level::Error`].
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Error, $($line)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:expr, $($name:ident = $value:expr),+ ; $($text:tt)+) => {
        $crate::log::write($level, &::std::format!($($text)+), &[$((::std::stringify!($name), &$value)),+])
    };
    ($level:expr, $($text:tt)+) => {
        $crate::log::write($level, &::std::format!($($text)+), &[])
    };
}
