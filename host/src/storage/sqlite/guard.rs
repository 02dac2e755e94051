//! A panic in what others run on the writer thread is an error of theirs: the thread serves everybody, so it goes on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::error;

use super::Error;

/// Runs it; a panic is logged and becomes an error. What it was about to write is rolled back by whoever called this,
/// and what it holds besides is its own: nobody else looks at it afterwards.
pub(super) fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = reason(&*panic);
        error!(what, reason, "panic on the writer thread of a database");
        Err(Error::Unavailable(format!("{what} panicked: {reason}")))
    })
}

/// What a panic said.
pub(super) fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason")
}
