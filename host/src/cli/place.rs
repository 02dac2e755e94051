//! Which spec a command speaks of, and where in it a topic is.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Failure, tell};
use crate::assemble::{self, Checked};
use crate::spec::Plan;
use crate::transport::Transport;

/// The files of a spec.
#[derive(Args, Clone, Debug)]
pub(super) struct SpecFiles {
    /// A file of the spec; later ones overlay earlier ones.
    #[arg(short, long = "file", value_name = "FILE", default_value = "pipelines.yaml")]
    pub(super) files: Vec<PathBuf>,
    /// Override one value, such as `pipelines.claims.concurrency=50`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) sets: Vec<String>,
}

impl SpecFiles {
    /// The checked spec, without a look at its plugins: for commands that run none.
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        let plan = assemble::plan(&self.files, &self.sets)?;
        warn(&plan);
        Ok(plan)
    }

    /// The checked spec with its plugins loaded.
    pub(super) async fn checked(&self) -> Result<Checked, Failure> {
        let checked = assemble::check(&self.files, &self.sets).await?;
        warn(checked.plan());
        Ok(checked)
    }
}

/// Says what works and is probably not meant.
fn warn(plan: &Plan) {
    tell(plan.warnings.render(super::colour()));
}

/// A topic of a transport of a spec.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// The topic, by its name in the spec.
    pub(super) topic: String,
    /// The transport that has it; may be left out where the spec has one transport, or one that uses the topic.
    #[arg(long, value_name = "NAME")]
    pub(super) transport: Option<String>,
    #[command(flatten)]
    pub(super) spec: SpecFiles,
}

impl Place {
    /// Opens the transport that has the topic.
    pub(super) fn open(&self) -> Result<Arc<dyn Transport>, Failure> {
        let plan = self.spec.plan()?;
        let name = self.transport_of(&plan)?;
        Ok(assemble::transport(&plan, &name)?)
    }

    fn transport_of(&self, plan: &Plan) -> Result<String, Failure> {
        if let Some(name) = &self.transport {
            let known = plan.transports.contains_key(name);
            let names = || plan.transports.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let unknown = || Failure::Usage(format!("the spec has no transport `{name}`; it has {}", names()));
            return known.then(|| name.clone()).ok_or_else(unknown);
        }
        let mut users: Vec<String> = assemble::users_of(plan, &self.topic);
        if users.is_empty() {
            users = plan.transports.keys().cloned().collect();
        }
        match users.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Failure::Usage("the spec has no transport".into())),
            several => Err(Failure::Usage(format!(
                "topic `{}` may be on several transports ({}); say which one with --transport",
                self.topic,
                several.join(", ")
            ))),
        }
    }
}
