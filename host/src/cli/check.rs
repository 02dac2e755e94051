//! `lockgate check`

use clap::{Args, ValueEnum};

use super::place::SpecFiles;
use super::{Ended, Failure, answer, explain, tell};
use crate::assemble::{self, Checked};
use crate::spec::Diagnostics;

/// Check a spec, its plugins and their configs; opens no connection.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate check
  lockgate check -f pipelines.yaml -f production.yaml --format json
  lockgate check --format sarif > lockgate.sarif

Exit codes:
  0  the spec is right; there may be warnings
  2  it is not; all that is wrong is told")]
pub(super) struct Check {
    #[command(flatten)]
    spec: SpecFiles,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How findings are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Format {
    /// For people, on standard error.
    #[default]
    Text,
    /// One array on standard output.
    Json,
    /// A SARIF 2.1.0 log on standard output, for code scanning.
    Sarif,
}

impl Check {
    pub(super) async fn obey(self) -> Ended {
        match (self.format, assemble::check(&self.spec.files, &self.spec.sets).await) {
            (Format::Text, checked) => told(&checked?),
            (_, Ok(checked)) => self.findings(&checked.plan().warnings),
            (_, Err(diagnostics)) => {
                // That nobody reads the findings does not make the spec right.
                let _ = self.findings(&diagnostics);
                Err(Failure::Usage(format!("the spec has {} findings", diagnostics.len())))
            }
        }
    }

    /// Prints findings for machines.
    fn findings(&self, diagnostics: &Diagnostics) -> Ended {
        match self.format {
            Format::Sarif => {
                answer(format_args!("{:#}", diagnostics.to_sarif(&self.spec.files, &std::env::current_dir()?)))
            }
            Format::Text | Format::Json => answer(format_args!("{:#}", diagnostics.to_json())),
        }
    }
}

/// Says that a spec is right, and what is probably not meant.
fn told(checked: &Checked) -> Ended {
    let plan = checked.plan();
    tell(plan.warnings.render(super::colour()));
    tell(explain::hint(&plan.warnings));
    match plan.pipelines.len() {
        1 => answer("1 pipeline is right"),
        count => answer(format_args!("{count} pipelines are right")),
    }
}
