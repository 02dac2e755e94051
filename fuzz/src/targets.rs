//! One file a target; its head says what the bytes mean and what must hold.

pub(crate) mod checkpoint;
pub(crate) mod interpolation;
pub(crate) mod line;
pub(crate) mod log_record;
pub(crate) mod outcome;
pub(crate) mod parked;
pub(crate) mod path;
pub(crate) mod redaction;
pub(crate) mod spec;
pub(crate) mod url;
