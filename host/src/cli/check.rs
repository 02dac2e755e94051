//! `lockgate check`

use clap::Args;

use super::place::SpecFiles;
use super::{Ended, Failure, Format, answer};
use crate::assemble;

/// Check a spec, its plugins and their configs; opens no connection.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate check
  lockgate check -f pipelines.yaml -f production.yaml --format json")]
pub(super) struct Check {
    #[command(flatten)]
    spec: SpecFiles,
    /// How findings are printed; JSON gives one array on standard output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Check {
    pub(super) async fn obey(self) -> Ended {
        if self.format == Format::Text {
            let checked = self.spec.checked().await?;
            return match checked.plan().pipelines.len() {
                1 => answer("1 pipeline is right"),
                count => answer(format_args!("{count} pipelines are right")),
            };
        }
        match assemble::check(&self.spec.files, &self.spec.sets).await {
            Ok(checked) => answer(format_args!("{:#}", checked.plan().warnings.to_json())),
            Err(diagnostics) => {
                // That nobody reads the findings does not make the spec right.
                let _ = answer(format_args!("{:#}", diagnostics.to_json()));
                Err(Failure::Usage(format!("the spec has {} findings", diagnostics.len())))
            }
        }
    }
}
