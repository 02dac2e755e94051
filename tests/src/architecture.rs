//! Who may import whom in `host/src`, as a table, and a test that holds it. A path counts wherever it stands: in a
//! `use`, in a signature, in a macro; comments, texts and tests do not.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What a module may name of the others, by the paths that it may begin with. `plugin::*` is the face of `plugin`:
/// what its `mod.rs` holds itself, which is its traits and what they speak in, and none of its submodules. `config` is
/// every type that a spec is read into. A module's own paths need no rule.
const RULES: [Rule; 14] = [
    Rule("main", &["cli"]),
    Rule("lib", &[]),
    // Commands show what the others know, and so name their answers; they start nothing but through `assemble`.
    Rule("cli", &["assemble", "spec", "admin", "codes", "model", "telemetry", "flow", "transport::*", "plugin::*"]),
    Rule("assemble", &["*"]),
    Rule("admin", &["model", "telemetry", "flow::snapshot", "flow::remote"]),
    Rule("flow", &["model", "telemetry", "transport::*", "plugin::*"]),
    Rule("plugin", &["model", "telemetry", "egress", "storage"]),
    Rule("transport", &["model", "telemetry", "storage"]),
    Rule("egress", &["model", "telemetry"]),
    Rule("storage", &["model", "telemetry"]),
    Rule(
        "spec",
        &[
            "codes",
            "model",
            "config",
            "plugin::Description",
            "plugin::Binding",
            "transport::Start",
            "transport::OnLostPosition",
        ],
    ),
    Rule("codes", &[]),
    Rule("model", &[]),
    Rule("telemetry", &["model"]),
];

/// A module, and what it may name.
struct Rule(&'static str, &'static [&'static str]);

/// A path that may not stand where it does.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Violation {
    place: String,
    line: usize,
    path: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: crate::{}", self.place, self.line, self.path)
    }
}

/// The source files of a crate, by path below `src`.
struct Sources(BTreeMap<PathBuf, String>);

impl Sources {
    fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![src.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files.insert(path.strip_prefix(src).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        Self(files)
    }

    /// Every path that breaks a rule.
    fn violations(&self) -> Vec<Violation> {
        let product = self.0.iter().filter(|(file, _)| !is_test(file));
        product.flat_map(|(file, text)| self.violations_of(file, text)).collect()
    }

    fn violations_of(&self, file: &Path, text: &str) -> Vec<Violation> {
        let module = module_of(file);
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut walk = Walk { crate_name: if module == "main" { "lockgate" } else { "crate" }, ..Walk::default() };
        walk.tokens(tokens.clone(), depth(file));
        // A module that is imported goes by its name from then on.
        let modules = walk.found.iter().filter(|found| self.is_module(&found.path));
        walk.modules = modules.map(|found| (found.name.clone(), found.path.clone())).collect();
        walk.found.clear();
        walk.tokens(tokens, depth(file));
        let place = format!("host/src/{}", file.display());
        let forbidden = walk.found.into_iter().filter(|found| !self.may(&module, &found.path));
        forbidden
            .map(|Found { path, line, .. }| Violation { place: place.clone(), line, path: path.join("::") })
            .collect()
    }

    fn may(&self, module: &str, path: &[String]) -> bool {
        let Some(first) = path.first() else { return true };
        // Items of the crate's root, of which there are none but modules, are no business of this test.
        if first == module || !self.is_module(&path[..1]) {
            return true;
        }
        let Some(Rule(_, allowed)) = RULES.iter().find(|Rule(name, _)| *name == module) else { return false };
        let is_module = self.is_module(path);
        allowed.iter().any(|allowed| match allowed.split_once("::") {
            None if *allowed == "config" => is_module || is_config(path),
            None => *allowed == "*" || *allowed == first,
            // What is imported as a module is looked at where its name is used.
            Some((name, _)) if path.len() == 1 && is_module => name == first,
            Some((name, "*")) => name == first && !self.is_module(&path[..2]),
            Some((name, part)) => name == first && path[1] == part,
        })
    }

    /// Whether a file of this module exists.
    fn is_module(&self, path: &[String]) -> bool {
        let place: PathBuf = path.iter().collect();
        self.0.contains_key(&place.with_extension("rs")) || self.0.contains_key(&place.join("mod.rs"))
    }
}

fn module_of(file: &Path) -> String {
    let first = file.iter().next().unwrap_or_default();
    Path::new(first).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_test(file: &Path) -> bool {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let is_test = |name: &str| name == "tests" || name.ends_with("_tests");
    is_test(&name) || file.iter().any(|folder| is_test(&folder.to_string_lossy()))
}

/// How many `super` lead from a file's items to the crate's root.
fn depth(file: &Path) -> usize {
    let segments = file.iter().count();
    let stem = file.file_stem().unwrap_or_default();
    if stem == "mod" || stem == "main" || stem == "lib" { segments - 1 } else { segments }
}

/// Whether a path leads to a type that a spec is read into.
fn is_config(path: &[String]) -> bool {
    path.iter().any(|segment| segment == "config") || path.last().is_some_and(|last| last == "Config")
}

/// A path from the crate's root.
#[derive(Clone, Debug)]
struct Found {
    path: Vec<String>,
    line: usize,
    /// What it goes by from here on, if it is imported.
    name: String,
}

/// Collects paths.
#[derive(Default)]
struct Walk {
    crate_name: &'static str,
    /// Modules that are imported, by the names that they go by.
    modules: BTreeMap<String, Vec<String>>,
    found: Vec<Found>,
}

impl Walk {
    /// Collects every path that begins at the crate's root, `depth` modules above.
    fn tokens(&mut self, tokens: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = &tokens[..];
        while let [first, after @ ..] = rest {
            rest = if let Some(after) = skip_test(rest) {
                after
            } else if let Some((body, after)) = inline_module(rest) {
                self.tokens(body.stream(), depth + 1);
                after
            } else if let Some((before, after)) = self.root(rest, depth) {
                self.tree(after, &before, first.span().start().line)
            } else if let Some(after) = colons(after) {
                // The middle of a path that begins elsewhere: what follows is not the name of an import.
                after.get(1..).filter(|_| matches!(after, [TokenTree::Ident(_), ..])).unwrap_or(after)
            } else {
                if let TokenTree::Group(group) = first {
                    self.tokens(group.stream(), depth);
                }
                after
            };
        }
    }

    /// What follows `crate::`, as many `super::` as lead to the crate's root, or an imported module's name, and what
    /// path that stands for.
    fn root<'a>(&self, tokens: &'a [TokenTree], depth: usize) -> Option<(Vec<String>, &'a [TokenTree])> {
        let [TokenTree::Ident(first), after @ ..] = tokens else { return None };
        if first == "crate" || first == self.crate_name {
            return Some((Vec::new(), colons(after)?));
        }
        if let Some(module) = self.modules.get(&first.to_string()) {
            return Some((module.clone(), colons(after)?));
        }
        let (mut rest, mut supers) = (tokens, 0);
        while let Some(after) = rest.first().filter(|token| is_ident(token, "super")).and_then(|_| colons(&rest[1..])) {
            (rest, supers) = (after, supers + 1);
        }
        (supers > 0 && supers == depth).then_some((Vec::new(), rest))
    }

    /// Collects the paths of a use tree or of a plain path; gives what follows it.
    fn tree<'a>(&mut self, tokens: &'a [TokenTree], before: &[String], line: usize) -> &'a [TokenTree] {
        match tokens {
            [TokenTree::Group(group), rest @ ..] if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in inner.split(|token| is_punct(token, ',')).filter(|branch| !branch.is_empty()) {
                    self.tree(branch, before, branch[0].span().start().line);
                }
                rest
            }
            [TokenTree::Ident(name), rest @ ..] => {
                let mut path = before.to_vec();
                if name != "self" {
                    path.push(name.to_string());
                }
                // A path may go on with type arguments, which are walked like everything else.
                match colons(rest).filter(|after| !matches!(after, [token, ..] if is_punct(token, '<'))) {
                    Some(after) => self.tree(after, &path, line),
                    None => {
                        let renamed = match rest {
                            [keyword, TokenTree::Ident(name), ..] if is_ident(keyword, "as") => Some(name.to_string()),
                            _ => path.last().cloned(),
                        };
                        self.found.push(Found { path, line, name: renamed.unwrap_or_default() });
                        rest
                    }
                }
            }
            // `crate::*`, and what no path begins with.
            _ => {
                let path = [before, &["*".to_owned()]].concat();
                self.found.push(Found { path, line, name: String::new() });
                tokens.get(1..).unwrap_or_default()
            }
        }
    }
}

/// What follows `#[cfg(test)] item`, where that is what stands here.
fn skip_test(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let [hash, TokenTree::Group(attribute), rest @ ..] = tokens else { return None };
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    if !is_punct(hash, '#') || !(text.starts_with("cfg(test)") || text.starts_with("cfg(all(test") || text == "test") {
        return None;
    }
    // The item ends with its braces, or with a semicolon where it has none.
    let is_end = |token: &TokenTree| is_punct(token, ';') || braces(token).is_some();
    let end = rest.iter().position(is_end).map_or(rest.len(), |end| end + 1);
    Some(&rest[end..])
}

/// The body of `mod name { … }`, and what follows it.
fn inline_module(tokens: &[TokenTree]) -> Option<(&Group, &[TokenTree])> {
    let [keyword, TokenTree::Ident(_), body, rest @ ..] = tokens else { return None };
    if !is_ident(keyword, "mod") {
        return None;
    }
    Some((braces(body)?, rest))
}

fn colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let [first, second, rest @ ..] = tokens else { return None };
    (is_punct(first, ':') && is_punct(second, ':')).then_some(rest)
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

fn braces(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

fn sources(files: &[(&str, &str)]) -> Sources {
    let modules = RULES.iter().map(|Rule(name, _)| (PathBuf::from(format!("{name}/mod.rs")), String::new()));
    let mut sources = Sources(modules.collect());
    sources.0.insert("transport/log/mod.rs".into(), String::new());
    sources.0.insert("plugin/engine.rs".into(), String::new());
    sources.0.extend(files.iter().map(|(file, text)| (PathBuf::from(file), (*text).to_owned())));
    sources
}

/// Holds what is found in one file.
#[track_caller]
fn check(file: &str, text: &str, expected: &[&str]) {
    let found: Vec<String> = sources(&[(file, text)]).violations().iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_host_keeps_to_the_table() {
    let sources = Sources::read(&xtask::workspace::root().join("host/src"));
    assert!(sources.0.len() > 30, "these are not the host's sources: {} files", sources.0.len());
    let found: Vec<String> = sources.violations().iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "imports against tests/src/architecture.rs:\n{}", found.join("\n"));
}

#[test]
fn every_module_has_a_rule() {
    let sources = Sources::read(&xtask::workspace::root().join("host/src"));
    for file in sources.0.keys() {
        let module = module_of(file);
        assert!(RULES.iter().any(|Rule(name, _)| *name == module), "no rule for {module}");
    }
}

#[test]
fn a_planted_violation_is_named_with_file_and_line() {
    let text = "//! x\n\nuse std::fmt;\nuse crate::transport::Source;\n";
    check("plugin/http.rs", text, &["host/src/plugin/http.rs:4: crate::transport::Source"]);
    check("model/x.rs", "fn f() -> crate::flow::X { g() }", &["host/src/model/x.rs:1: crate::flow::X"]);
}

#[test]
fn every_branch_of_a_use_is_looked_at() {
    let text = "use crate::{\n model::{Message, Record},\n flow::{self, stage::{A, B as C}},\n};";
    let place = "host/src/transport/log/x.rs:3: crate";
    let expected = ["flow", "flow::stage::A", "flow::stage::B"].map(|path| format!("{place}::{path}"));
    check("transport/log/x.rs", text, &expected.each_ref().map(String::as_str));
}

#[test]
fn a_face_is_not_what_is_behind_it() {
    check("flow/stage.rs", "use crate::plugin::{Plugin, CallError};", &[]);
    check("flow/stage.rs", "use crate::plugin::engine::X;", &["host/src/flow/stage.rs:1: crate::plugin::engine::X"]);
    check("flow/stage.rs", "use crate::transport::log;", &["host/src/flow/stage.rs:1: crate::transport::log"]);
    check("flow/stage.rs", "use crate::transport::*;", &[]);
}

#[test]
fn paths_in_macros_and_bodies_count() {
    let text = "fn f() { tokio::select! { x = crate::flow::next() => { info!(\"crate::plugin\"); } } }";
    check("storage/x.rs", text, &["host/src/storage/x.rs:1: crate::flow::next"]);
}

#[test]
fn super_that_leads_to_the_root_counts_and_no_other() {
    check("storage/disk/x.rs", "use super::super::super::flow::A;", &["host/src/storage/disk/x.rs:1: crate::flow::A"]);
    check("storage/disk/x.rs", "use super::super::flow::A; use super::flow::B;", &[]);
    check("storage/mod.rs", "mod own { use super::super::flow::A; }", &["host/src/storage/mod.rs:1: crate::flow::A"]);
}

#[test]
fn comments_texts_and_tests_do_not_count() {
    check("storage/x.rs", "// crate::flow::A\n/// crate::flow::B\nconst X: &str = \"crate::flow::C\";", &[]);
    check("storage/x.rs", "#[cfg(test)]\nmod tests { use crate::flow::A; }", &[]);
    check(
        "storage/x.rs",
        "#[cfg(test)]\nuse crate::flow::A;\nuse crate::flow::B;",
        &["host/src/storage/x.rs:3: crate::flow::B"],
    );
    check("storage/tests.rs", "use crate::flow::A;", &[]);
    check("storage/x_tests.rs", "use crate::flow::A;", &[]);
}

#[test]
fn configs_may_be_gathered_and_nothing_else_of_them() {
    check("spec/mod.rs", "use crate::{egress::config::Auth, transport::log::Config, plugin::Description};", &[]);
    check("spec/mod.rs", "use crate::egress::Client;", &["host/src/spec/mod.rs:1: crate::egress::Client"]);
}

#[test]
fn what_goes_by_the_name_of_an_imported_module_counts() {
    let text =
        "use crate::{egress, transport::log as wal};\nfn f(c: egress::config::Auth) -> wal::Config { wal::open() }";
    check("spec/mod.rs", text, &["host/src/spec/mod.rs:2: crate::transport::log::open"]);
    check("egress/x.rs", "use std::log;\nfn f() { std::transport::x(); log::info() }", &[]);
}
