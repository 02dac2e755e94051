//! From files and arguments to a [`Loaded`] spec: parse, merge, interpolate, read. Everything that is wrong with the
//! shape is gathered on the way; only what is no YAML at all stops it.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::explain::explain;
use super::interpolate::interpolate;
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
    let mut texts = Vec::new();
    let mut unreadable = Vec::new();
    for file in files {
        match std::fs::read_to_string(file) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(error) => unreadable
                .push(Diagnostic::nowhere("file", format!("cannot read the spec {}: {error}", file.display()))),
        }
    }
    if files.is_empty() {
        unreadable.push(Diagnostic::nowhere("file", "no spec is given").help("name one: `-f pipelines.yaml`"));
    }
    if !unreadable.is_empty() {
        return Err(Diagnostics::new(unreadable, Arc::default()));
    }
    load_texts(&texts, sets, environment)
}

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
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let layers = layers(texts, sets, &mut sources, &mut problems);
    let Some(layers) = layers else { return Err(Diagnostics::new(problems, Arc::new(sources))) };
    let empty = Node::new(Place::default(), Value::Map(Vec::new()));
    let mut tree = layers.into_iter().reduce(merge).unwrap_or(empty);
    apply_defaults(&mut tree);
    interpolate(&mut tree, environment, &mut problems);
    let spec = shape(&tree, &mut sources, &mut problems);
    undeclared_secrets(&tree, &mut problems);
    Variables::of(&tree, &sources).unquote(&mut problems);
    Ok(Loaded { spec, tree, problems, sources: Arc::new(sources) })
}

/// The trees of all files and arguments; none where one of them is broken.
fn layers(
    texts: &[(String, String)],
    sets: &[String],
    sources: &mut Sources,
    problems: &mut Vec<Diagnostic>,
) -> Option<Vec<Node>> {
    let mut layers = Vec::new();
    for (name, text) in texts {
        let source = sources.add(name, text);
        layers.push(parse(source, text, problems));
        match layers.last() {
            Some(Some(tree)) => mask_literals(tree, sources),
            _ => mask_guesses(source, text, sources),
        }
    }
    for argument in sets {
        let source = sources.add(sets::NAME, argument);
        let layer = sets::overlay(source, argument).map_err(|problem| problems.push(*problem)).ok();
        if let Some(tree) = &layer {
            mask_literals(tree, sources);
        }
        layers.push(layer);
    }
    layers.into_iter().collect()
}

fn shape(tree: &Node, sources: &mut Sources, problems: &mut Vec<Diagnostic>) -> Spec {
    let (spec, errors) = read::<Spec>(tree);
    for error in &errors {
        if let (Kind::SecretExpected, Some(place)) = (&error.kind, error.place) {
            mask_literal(place, sources);
        }
        problems.push(explain(error, Spot::root(tree).place()));
    }
    let mut spec = spec.unwrap_or_default();
    // What is no map was read as a hole; its fields are not absent, they are unknown.
    let is_map = |name: &str| {
        let node = Spot::root(tree).keys(&["pipelines", name]).node();
        node.is_some_and(|node| matches!(node.value, Value::Map(_) | Value::Null))
    };
    spec.pipelines.retain(|name, _| is_map(name));
    spec
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
