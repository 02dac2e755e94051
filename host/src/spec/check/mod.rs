//! From a spec as it is written to a plan, or to everything that is wrong with it. Pure: what components say of
//! themselves is given, and without it those checks are left out.
//!
//! | file | checks |
//! |---|---|
//! | `sections` | transports, stores, endpoints, plugins, secrets, each by itself |
//! | `kafka` | a Kafka transport, and what pipelines on it may say |
//! | `event_hubs` | an Event Hubs transport, and its store of checkpoints |
//! | `urls` | base URLs and allow-lists |
//! | `pipelines` | where a pipeline reads and writes, and its bounds |
//! | `failures` | where it parks and where its dead letters go |
//! | `neighbours` | pipelines among each other: who reads and writes which topic |
//! | `bindings` | a pipeline against its plugin: config, outputs, grants |
//! | `config_schema` | a config against the plugin's JSON Schema |
//! | `references` | whether that schema can be walked to its end |

mod bindings;
mod config_schema;
mod event_hubs;
mod failures;
mod kafka;
mod neighbours;
mod pipelines;
mod references;
mod sections;
mod urls;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::limits::{ENOUGH, shortened};
use super::load::Loaded;
use super::mask::Variables;
use super::near::advice;
use super::node::{Node, Spot, Value};
use super::place::Place;
use super::plan::Plan;
use super::shape::Part;
use crate::plugin::{Binding, Description};

/// What components say of themselves, as far as they were asked. An error is in words for the operator.
#[derive(Clone, Debug, Default)]
pub struct Descriptions {
    /// By plugin.
    pub plugins: BTreeMap<String, Result<Description, String>>,
    /// What the plugin's `configure` said to the pipeline's config, by pipeline.
    pub bindings: BTreeMap<String, Result<Binding, String>>,
}

/// Checks what a spec means. Fails with all that is wrong, of its shape as well.
pub fn check(loaded: &Loaded, descriptions: &Descriptions) -> Result<Plan, Diagnostics> {
    let mut checker = Checker { loaded, descriptions, problems: loaded.problems.clone() };
    let plan = checker.plan();
    Variables::of(&loaded.tree, &loaded.sources).unquote(&mut checker.problems);
    let diagnostics = Diagnostics::new(checker.problems, Arc::clone(&loaded.sources));
    if diagnostics.has_errors() { Err(diagnostics) } else { Ok(Plan { warnings: diagnostics, ..plan }) }
}

struct Checker<'a> {
    loaded: &'a Loaded,
    descriptions: &'a Descriptions,
    problems: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    /// All of the spec that is right. It is a plan only if there are no problems.
    fn plan(&mut self) -> Plan {
        self.format();
        Plan {
            secrets: self.secrets(),
            transports: self.transports(),
            stores: self.stores(),
            endpoints: self.endpoints(),
            plugins: self.plugins(),
            pipelines: self.pipelines(),
            admin: self.admin(),
            on_fatal: self.loaded.spec.on_fatal.get().copied().unwrap_or_default(),
            warnings: Diagnostics::default(),
        }
    }

    fn format(&mut self) {
        let spot = self.at(&["lockgate"]);
        match self.loaded.spec.lockgate {
            Part::Absent => self.report(
                Diagnostic::error("missing-key", spot.place(), "the spec lacks the key `lockgate`")
                    .help("begin it with `lockgate: 1`, the version of the format"),
            ),
            Part::Sound(format) if format.0 != 1 => self.report(
                Diagnostic::error("wrong-value", spot.place(), format!("this is format {}", format.0))
                    .help("this version reads format 1: `lockgate: 1`"),
            ),
            _ => {}
        }
    }

    fn at(&self, keys: &[&str]) -> Spot<'a> {
        self.loaded.at(keys)
    }

    fn report(&mut self, problem: Diagnostic) {
        self.problems.push(shortened(problem));
    }

    /// Whether so much is wrong already that no more is looked for.
    fn is_enough(&self) -> bool {
        self.problems.len() >= ENOUGH
    }

    fn error(&mut self, code: &'static str, place: Place, message: impl Into<String>) {
        self.report(Diagnostic::error(code, place, message));
    }

    /// The names that a section declares, whether or not what they name could be read. None where the section is no
    /// map, for then nothing can be said about a name.
    fn names(&self, section: &str) -> Option<Vec<&'a str>> {
        match self.at(&[section]).node() {
            None => Some(Vec::new()),
            Some(Node { value: Value::Null, .. }) => Some(Vec::new()),
            Some(Node { value: Value::Map(entries), .. }) => Some(entries.iter().map(|e| e.key.as_str()).collect()),
            Some(_) => None,
        }
    }

    /// Checks that `name` stands in `section`; `what` is one of its things, as in "no store is called …".
    fn refer(&mut self, section: &str, what: &str, name: &str, place: Place) -> bool {
        let Some(known) = self.names(section) else { return true };
        if known.contains(&name) {
            return true;
        }
        let help = advice(name, known).unwrap_or_else(|| format!("the spec declares nothing under `{section}:`"));
        self.report(Diagnostic::error("unknown-name", place, format!("no {what} is called `{name}`")).help(help));
        false
    }
}
