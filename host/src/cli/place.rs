//! Which spec a command speaks of, and where in it a topic is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Failure, tell};
use crate::assemble::{self, Checked, Reach};
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

/// Opens those of these transports that can be looked at, by name; says of the others why not, and makes nothing.
/// Fails when none of them ever can.
pub(super) fn look<'a>(
    plan: &Plan,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<&'a str, Arc<dyn Transport>>, Failure> {
    let (mut opened, mut never) = (BTreeMap::new(), Vec::new());
    let names: BTreeSet<&str> = names.into_iter().collect();
    for name in &names {
        match assemble::reach(plan, name) {
            Reach::Now => drop(opened.insert(*name, assemble::transport(plan, name)?)),
            Reach::Later => tell(format_args!("transport `{name}` holds nothing yet\n")),
            Reach::Never => never.push(*name),
        }
    }
    match out_of_reach(&never) {
        failure if !never.is_empty() && never.len() == names.len() => return Err(failure),
        Failure::Usage(reason) if !never.is_empty() => tell(format_args!("{reason}\n")),
        _ => {}
    }
    Ok(opened)
}

fn out_of_reach(names: &[&str]) -> Failure {
    let names = names.join("`, `");
    Failure::Usage(format!(
        "transport `{names}` is of kind `memory`: its topics live only inside a running host, where no other command \
         reaches them; use `log` to send and look from outside"
    ))
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
    /// Opens the transport that has the topic, to write; makes what is missing.
    pub(super) fn open(&self) -> Result<Arc<dyn Transport>, Failure> {
        let plan = self.spec.plan()?;
        let name = self.transport_of(&plan)?;
        match assemble::reach(&plan, &name) {
            Reach::Never => Err(out_of_reach(&[&name])),
            Reach::Now | Reach::Later => Ok(assemble::transport(&plan, &name)?),
        }
    }

    /// Opens the transport that has the topic, to look; none when there is nothing yet.
    pub(super) fn look(&self) -> Result<Option<Arc<dyn Transport>>, Failure> {
        let plan = self.spec.plan()?;
        let name = self.transport_of(&plan)?;
        Ok(look(&plan, [name.as_str()])?.into_values().next())
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        place: Place,
    }

    /// A place on a transport of a spec in a folder, where it could be looked at or written.
    fn place(folder: &std::path::Path, arguments: &[&str]) -> Place {
        let spec = folder.join("pipelines.yaml");
        let log = folder.join("bus");
        let text = format!(
            "lockgate: 1\ntransports:\n  bus: {{ log: {{ path: '{}' }} }}\n  trial: {{ memory: {{}} }}\n",
            log.display()
        );
        std::fs::write(&spec, text).unwrap();
        let spec = spec.display().to_string();
        Line::parse_from(["command", "claims", "-f", &spec].iter().chain(arguments)).place
    }

    #[test]
    fn what_lives_inside_a_host_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), &["--transport", "trial"]);
        for refused in [place.open().err(), place.look().err()] {
            let Some(Failure::Usage(reason)) = refused else { panic!("it was not refused") };
            assert!(reason.contains("`trial`") && reason.contains("only inside a running host"), "{reason}");
        }
    }

    #[test]
    fn looking_makes_no_folder_and_writing_does() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), &["--transport", "bus"]);
        assert!(matches!(place.look(), Ok(None)));
        assert!(!folder.path().join("bus").exists());
        assert!(place.open().is_ok());
        assert!(matches!(place.look(), Ok(Some(_))));
    }

    #[test]
    fn one_transport_out_of_reach_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), &["--transport", "bus"]);
        assert!(place.open().is_ok());
        let Ok(plan) = place.spec.plan() else { panic!("the spec is wrong") };
        let looked = look(&plan, ["bus", "trial"]);
        assert!(looked.is_ok_and(|opened| opened.keys().eq(&["bus"])));
    }
}
