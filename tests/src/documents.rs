//! What the documents say is held by tests: every relative link leads somewhere, and the README's pipeline is one that
//! the checker takes.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate::spec::{self, Colour, Descriptions};
use xtask::workspace;

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(workspace::root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    [workspace::root().join("README.md")].into_iter().chain(docs).collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The first block of this language.
fn block<'a>(text: &'a str, language: &str) -> Option<&'a str> {
    text.split_once(&format!("```{language}\n"))?.1.split("```").next()
}

fn leads_somewhere(document: &Path, link: &str) -> bool {
    let place = link.split('#').next().unwrap_or_default();
    let is_elsewhere = link.contains("://") || place.is_empty();
    is_elsewhere || document.parent().is_some_and(|folder| folder.join(place).exists())
}

#[test]
fn every_relative_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let dead: Vec<&str> = links(&text).filter(|link| !leads_somewhere(&document, link)).collect();
        assert!(dead.is_empty(), "{}: {dead:?}", document.display());
    }
}

#[test]
fn a_dead_link_is_seen() {
    let readme = workspace::root().join("README.md");
    assert!(links("see [this](docs/no-such.md)").any(|link| !leads_somewhere(&readme, link)));
}

#[test]
fn the_pipeline_of_the_readme_is_right() {
    let text = fs::read_to_string(workspace::root().join("README.md")).unwrap();
    let loaded = spec::load_str(block(&text, "yaml").unwrap(), &|_| None).unwrap();
    let checked = spec::check(&loaded, &Descriptions::default());
    checked.unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(Colour::Never)));
}
