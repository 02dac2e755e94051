//! Which spec a command speaks of, and where in it a topic is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Failure, tell};
use crate::assemble::{self, Checked, Reach};
use crate::spec::{Plan, advice};
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
    look_for(plan, names, None)
}

/// The same, to look at a topic that the spec may not name.
fn look_for<'a>(
    plan: &Plan,
    names: impl IntoIterator<Item = &'a str>,
    topic: Option<&str>,
) -> Result<BTreeMap<&'a str, Arc<dyn Transport>>, Failure> {
    let (mut opened, mut never) = (BTreeMap::new(), Vec::new());
    let names: BTreeSet<&str> = names.into_iter().collect();
    for name in &names {
        match assemble::reach(plan, name) {
            Reach::Now => drop(opened.insert(*name, assemble::transport(plan, name, topic)?)),
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

/// What becomes of a topic that the spec does not name and that is not there: most likely its name is misspelt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unknown {
    /// Nothing is written.
    Refuse,
    /// It is made.
    Create,
}

impl Place {
    /// Opens the transport that has the topic, to write; makes what is missing.
    pub(super) async fn open(&self, unknown: Unknown) -> Result<Arc<dyn Transport>, Failure> {
        let plan = self.spec.plan()?;
        let name = self.transport_of(&plan)?;
        let opened = match assemble::reach(&plan, &name) {
            Reach::Never => return Err(out_of_reach(&[&name])),
            Reach::Now => Some(assemble::transport(&plan, &name, Some(&self.topic))?),
            Reach::Later => None,
        };
        if unknown == Unknown::Refuse {
            let is_made = !matches!(plan.transports.get(&name), Some(transport) if transport.makes_no_topics());
            let create = is_made.then_some("say --create to make it");
            self.refuse_unknown(&plan, &name, opened.as_deref(), create).await?;
        }
        opened.map_or_else(|| Ok(assemble::transport(&plan, &name, Some(&self.topic))?), Ok)
    }

    /// Opens the transport that has the topic, to look; none when there is nothing yet.
    pub(super) async fn look(&self) -> Result<Option<Arc<dyn Transport>>, Failure> {
        let plan = self.spec.plan()?;
        let name = self.transport_of(&plan)?;
        let opened = look_for(&plan, [name.as_str()], Some(&self.topic))?.into_values().next();
        self.refuse_unknown(&plan, &name, opened.as_deref(), None).await?;
        Ok(opened)
    }

    /// Fails when the topic is neither named by the spec nor there, and says which one may be meant.
    async fn refuse_unknown(
        &self,
        plan: &Plan,
        transport: &str,
        opened: Option<&dyn Transport>,
        more_help: Option<&str>,
    ) -> Result<(), Failure> {
        let named = assemble::topics_of(plan, transport);
        // A topic that is named needs no look, so that a transport in trouble is told by who opens it.
        let there = match opened {
            Some(opened) if !named.contains(self.topic.as_str()) => opened.topics().await?,
            _ => Vec::new(),
        };
        let known: BTreeSet<&str> = named.into_iter().chain(there.iter().map(|topic| topic.name.as_str())).collect();
        if known.contains(self.topic.as_str()) {
            return Ok(());
        }
        let topic = &self.topic;
        let error = format!("transport `{transport}` has no topic `{topic}`, and the spec does not name it");
        let help = advice(topic, known).into_iter().chain(more_help.map(str::to_owned));
        Err(Failure::Usage(help.fold(error, |text, help| format!("{text}\nhelp: {help}"))))
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
            "lockgate: 1\ntransports:\n  bus: {{ log: {{ path: '{}' }}, topics: {{ claims: {{}} }} }}\n  trial: {{ memory: {{}} }}\n",
            log.display()
        );
        std::fs::write(&spec, text).unwrap();
        let spec = spec.display().to_string();
        Line::parse_from(["command", "claims", "-f", &spec].iter().chain(arguments)).place
    }

    #[tokio::test]
    async fn what_lives_inside_a_host_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), &["--transport", "trial"]);
        for refused in [place.open(Unknown::Refuse).await.err(), place.look().await.err()] {
            let Some(Failure::Usage(reason)) = refused else { panic!("it was not refused") };
            assert!(reason.contains("`trial`") && reason.contains("only inside a running host"), "{reason}");
        }
    }

    #[tokio::test]
    async fn looking_makes_no_folder_and_writing_does() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), &["--transport", "bus"]);
        assert!(matches!(place.look().await, Ok(None)));
        assert!(!folder.path().join("bus").exists());
        assert!(place.open(Unknown::Refuse).await.is_ok());
        assert!(matches!(place.look().await, Ok(Some(_))));
    }

    #[tokio::test]
    async fn one_transport_out_of_reach_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), &["--transport", "bus"]);
        assert!(place.open(Unknown::Refuse).await.is_ok());
        let Ok(plan) = place.spec.plan() else { panic!("the spec is wrong") };
        let looked = look(&plan, ["bus", "trial"]);
        assert!(looked.is_ok_and(|opened| opened.keys().eq(&["bus"])));
    }
}
