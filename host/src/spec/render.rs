//! Diagnostics for people, in rustc's manner, and for machines, as JSON. Shows masked texts only.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::place::{Place, Sources};

/// Whether to colour what is rendered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// For a terminal.
    Always,
    /// For a file or a pipe.
    Never,
}

impl Diagnostics {
    /// File, line, column, snippet and advice of each diagnostic, ending in a newline; empty where there are none.
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Always => Renderer::styled(),
            Colour::Never => Renderer::plain(),
        };
        self.iter().map(|one| format!("{}\n\n", renderer.render(&[group(one, self.sources())]))).collect()
    }

    /// An array of objects: `severity`, `code`, `message`, `help`, `file`, `line`, `column`, `end_line`, `end_column`.
    /// The last five are null where there is no place.
    pub fn to_json(&self) -> serde_json::Value {
        self.iter().map(|one| self.object(one)).collect()
    }

    fn object(&self, diagnostic: &Diagnostic) -> serde_json::Value {
        let position = self.position(diagnostic);
        let position = position.as_ref();
        serde_json::json!({
            "severity": diagnostic.severity,
            "code": diagnostic.code,
            "message": diagnostic.message,
            "help": diagnostic.help,
            "file": position.map(|at| &at.file),
            "line": position.map(|at| at.line),
            "column": position.map(|at| at.column),
            "end_line": position.map(|at| at.end_line),
            "end_column": position.map(|at| at.end_column),
        })
    }
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let snippets = diagnostic.place.map(|place| snippets(place, &diagnostic.related, sources));
    let group = Group::with_title(title).elements(snippets.into_iter().flatten());
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The snippet of the place itself with what is related in the same text, then one for each related place elsewhere.
fn snippets<'a>(
    place: Place,
    related: &'a [(Place, String)],
    sources: &'a Sources,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let (here, elsewhere): (Vec<_>, Vec<_>) = related.iter().partition(|(other, _)| other.source() == place.source());
    let context = |(place, label): &'a (Place, String)| {
        AnnotationKind::Context.span(visible(*place, sources)).label(label.as_str())
    };
    let primary = source(place, sources)
        .annotation(AnnotationKind::Primary.span(visible(place, sources)))
        .annotations(here.into_iter().map(context));
    let others = elsewhere.into_iter().map(|one| source(one.0, sources).annotation(context(one)));
    std::iter::once(primary).chain(others).collect()
}

fn source<'a>(place: Place, sources: &'a Sources) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(sources.shown(place)).path(sources.name(place))
}

/// A place of several lines is shown by its first.
fn visible(place: Place, sources: &Sources) -> std::ops::Range<usize> {
    let range = place.range();
    let text = sources.shown(place).get(range.clone()).unwrap_or_default();
    let first_line = text.find('\n').map_or(range.end, |newline| range.start + newline);
    range.start..first_line
}
