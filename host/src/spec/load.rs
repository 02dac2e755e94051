//! From files and arguments to a [`Loaded`] spec: parse, merge, interpolate, read. Everything that is wrong with the
//! shape is gathered on the way; only what is no YAML at all, or too much, stops it.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::explain::explain;
use super::file;
use super::interpolate::interpolate;
use super::limits::{ENOUGH, MOST_BYTES, Room};
use super::mask::{Variables, mask_guesses, mask_literal, mask_literals};
use super::merge::{apply_defaults, merge};
use super::node::{Node, Spot, Value, Written};
use super::parse::parse;
use super::place::{Place, Sources};
use super::read::{Kind, read};
use super::sets;
use super::shape::{CONCURRENCY, Pipeline, Spec};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A spec as far as it could be read, and what was wrong with its shape.
pub struct Loaded {
    pub(super) spec: Spec,
    pub(super) tree: Node,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) sources: Arc<Sources>,
}

impl Loaded {
    /// The plugins that could be read, by name.
    pub fn plugins(&self) -> impl Iterator<Item = (&str, &crate::plugin::config::Config)> {
        self.spec.plugins.iter().filter_map(|(name, plugin)| Some((name.as_str(), plugin.get()?)))
    }

    /// The pipelines of which plugin and config could be read: pipeline, plugin, config.
    pub fn configurations(&self) -> impl Iterator<Item = (&str, &str, serde_json::Value)> {
        self.spec.pipelines.iter().filter_map(|(name, pipeline)| {
            let config = pipeline.config.or(super::shape::Config::default())?;
            Some((name.as_str(), pipeline.plugin.get()?.as_str(), serde_json::Value::Object(config.0)))
        })
    }

    /// Messages in plugins at once, over all pipelines that could be read.
    pub fn slots(&self) -> usize {
        let concurrency = |pipeline: &Pipeline| pipeline.concurrency.or(CONCURRENCY).map_or(1, NonZeroUsize::get);
        self.spec.pipelines.values().map(concurrency).sum()
    }

    /// What is wrong with the shape alone. `check` reports this too, beside what is wrong with the meaning.
    pub fn diagnostics(&self) -> Diagnostics {
        Diagnostics::new(self.problems.clone(), Arc::clone(&self.sources))
    }

    pub(super) fn at(&self, keys: &[&str]) -> Spot<'_> {
        Spot::root(&self.tree).keys(keys)
    }
}

/// Values are left out: they may be secrets that were written where they do not belong.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pipelines: Vec<_> = self.spec.pipelines.keys().collect();
        f.debug_struct("Loaded")
            .field("pipelines", &pipelines)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// Reads the files of a spec, each on top of those before it, then the values of `--set`. Fails where a file cannot be
/// read or is no YAML, or a `--set` is no assignment; what is wrong besides is kept for `check`.
pub fn load(files: &[PathBuf], sets: &[String], environment: Environment<'_>) -> Result<Loaded, Diagnostics> {
    let mut loading = Loading::default();
    let mut left = MOST_BYTES;
    for path in files {
        let name = path.display().to_string();
        match file::read(path, left) {
            Ok(bytes) if bytes.len() > left => loading.problems.push(file::too_long(&name)),
            Ok(bytes) => {
                left -= bytes.len();
                loading.add_bytes(&name, bytes);
            }
            Err(error) => {
                let message = format!("cannot read the spec {name}: {error}");
                loading.problems.push(Diagnostic::nowhere("file", message).help(FILE_HELP));
            }
        }
    }
    if files.is_empty() {
        let message = "no spec is given";
        loading.problems.push(Diagnostic::nowhere("file", message).help("name one: `-f pipelines.yaml`"));
    }
    loading.finish(sets, environment)
}

const FILE_HELP: &str = "name the spec with `-f FILE`; without it, `pipelines.yaml` of the working directory is read";

/// Like [`load`], from one text instead of files.
pub fn load_str(text: &str, environment: Environment<'_>) -> Result<Loaded, Diagnostics> {
    load_texts(&[("pipelines.yaml".to_owned(), text.to_owned())], &[], environment)
}

/// Like [`load`], from texts with their names instead of files.
pub fn load_texts(
    texts: &[(String, String)],
    sets: &[String],
    environment: Environment<'_>,
) -> Result<Loaded, Diagnostics> {
    let mut loading = Loading::default();
    let length = texts.iter().map(|(_, text)| text.len()).fold(0, usize::saturating_add);
    if length > MOST_BYTES {
        let names: Vec<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
        loading.problems.push(file::too_long(&names.join(", ")));
        return Err(loading.fail());
    }
    for (name, text) in texts {
        loading.add(name, text);
    }
    loading.finish(sets, environment)
}

/// Files and arguments on their way to a spec.
#[derive(Default)]
struct Loading {
    sources: Sources,
    problems: Vec<Diagnostic>,
    /// The trees of all files and arguments, in order; none of a broken one.
    layers: Vec<Node>,
    room: Room,
}

impl Loading {
    fn add_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        match file::text(bytes) {
            Ok(text) => self.add(name, &text),
            Err((shown, fault)) => self.add_broken(name, &shown, fault),
        }
    }

    fn add(&mut self, name: &str, text: &str) {
        let text = file::clean(text);
        if let Some(fault) = file::first_stranger(&text) {
            return self.add_broken(name, &text, fault);
        }
        let source = self.sources.add(name, text.as_str());
        match parse(source, &text, &mut self.room, &mut self.problems) {
            Some(tree) => {
                mask_literals(&tree, &mut self.sources);
                self.layers.push(tree);
            }
            None => mask_guesses(source, &text, &mut self.sources),
        }
    }

    fn add_broken(&mut self, name: &str, shown: &str, fault: file::Fault) {
        let source = self.sources.add(name, shown);
        mask_guesses(source, shown, &mut self.sources);
        self.problems.push(fault.diagnostic(source, name, shown));
    }

    fn set(&mut self, argument: &str) {
        let source = self.sources.add(sets::NAME, argument);
        match sets::overlay(source, argument) {
            Ok(tree) => {
                mask_literals(&tree, &mut self.sources);
                self.layers.push(tree);
            }
            Err(problem) => self.problems.push(*problem),
        }
    }

    fn fail(self) -> Diagnostics {
        Diagnostics::new(self.problems, Arc::new(self.sources))
    }

    fn finish(mut self, sets: &[String], environment: Environment<'_>) -> Result<Loaded, Diagnostics> {
        sets.iter().for_each(|argument| self.set(argument));
        // Without one of them the others would seem wrong.
        if self.layers.len() < self.sources.len() || self.problems.iter().any(|problem| problem.place.is_none()) {
            return Err(self.fail());
        }
        let empty = Node::new(Place::default(), Value::Map(Vec::new()));
        let mut tree = std::mem::take(&mut self.layers).into_iter().reduce(merge).unwrap_or(empty);
        let room = &mut self.room;
        let filled = apply_defaults(&mut tree, room)
            .and_then(|()| interpolate(&mut tree, environment, room, &mut self.problems));
        if let Err(full) = filled {
            self.problems.push(*full);
            return Err(self.fail());
        }
        let spec = shape(&tree, &mut self.sources, &mut self.problems);
        if spec.is_some() {
            undeclared_secrets(&tree, &mut self.problems);
        }
        Variables::of(&tree, &self.sources).unquote(&mut self.problems);
        let Some(spec) = spec else { return Err(self.fail()) };
        Ok(Loaded { spec, tree, problems: self.problems, sources: Arc::new(self.sources) })
    }
}

/// The spec with all that is wrong with its shape. None where there is too much of it to be sure of the rest.
fn shape(tree: &Node, sources: &mut Sources, problems: &mut Vec<Diagnostic>) -> Option<Spec> {
    if problems.len() >= ENOUGH {
        return None;
    }
    let (spec, errors) = read::<Spec>(tree);
    for error in &errors {
        if let (Kind::SecretExpected, Some(place)) = (&error.kind, error.place) {
            mask_literal(place, sources);
        }
        problems.push(explain(error, Spot::root(tree).place()));
    }
    let mut spec = spec?;
    // What is no map was read as a hole; its fields are not absent, they are unknown.
    let is_map = |name: &str| {
        let node = Spot::root(tree).keys(&["pipelines", name]).node();
        node.is_some_and(|node| matches!(node.value, Value::Map(_) | Value::Null))
    };
    spec.pipelines.retain(|name, _| is_map(name));
    Some(spec)
}

/// Every `${secrets.NAME}`, wherever it stands, names a secret that is declared.
fn undeclared_secrets(tree: &Node, problems: &mut Vec<Diagnostic>) {
    let declared: Vec<&str> =
        tree.get("secrets").map(Node::entries).unwrap_or_default().iter().map(|entry| entry.key.as_str()).collect();
    tree.walk(&mut Vec::new(), &mut |_, node| {
        let Value::Scalar(scalar) = &node.value else { return };
        let name = scalar.text.strip_prefix("${secrets.").and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name.filter(|_| scalar.written == Written::Secret) else { return };
        if !declared.contains(&name) {
            let message = format!("no secret is called `{name}`");
            let advice = super::near::advice(name, declared.iter().copied());
            let declare = format!("declare it: `secrets: {{ {name}: {{ env: VARIABLE }} }}`");
            problems.push(Diagnostic::error("unknown-name", node.place, message).help(declare).maybe_help(advice));
        }
    });
}
