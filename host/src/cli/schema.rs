//! `lockgate schema`

use clap::Args;

use super::{Ended, answer};

/// Print the JSON Schema of the spec.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lockgate schema > lockgate.schema.json")]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn obey(self) -> Ended {
        answer(format_args!("{:#}", crate::spec::schema()))
    }
}
