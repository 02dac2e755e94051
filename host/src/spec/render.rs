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

/// Places that lie farther apart are shown by themselves: looking for their lines takes time.
const FARTHEST: usize = 1 << 16;

/// The snippet of the place itself with what is related nearby, then one for each related place elsewhere.
fn snippets<'a>(
    place: Place,
    related: &'a [(Place, String)],
    sources: &'a Sources,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let is_near = |other: Place| {
        other.source() == place.source() && other.range().start.abs_diff(place.range().start) <= FARTHEST
    };
    let (here, elsewhere): (Vec<_>, Vec<_>) = related.iter().partition(|(other, _)| is_near(*other));
    let context = |one: &'a (Place, String)| (AnnotationKind::Context, one.0, Some(one.1.as_str()));
    let primary = std::iter::once((AnnotationKind::Primary, place, None)).chain(here.into_iter().map(context));
    let others = elsewhere.into_iter().map(|one| snippet(vec![context(one)], sources));
    std::iter::once(snippet(primary.collect(), sources)).chain(others).collect()
}

/// Some places of one source with their labels, out of no more text than their own lines.
fn snippet<'a>(
    shown: Vec<(AnnotationKind, Place, Option<&'a str>)>,
    sources: &'a Sources,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let ranges = || shown.iter().map(|(_, place, _)| visible(*place, sources));
    let start = ranges().map(|range| range.start).min().unwrap_or_default();
    let end = ranges().map(|range| range.end).max().unwrap_or_default();
    let of = shown.first().map(|(_, place, _)| *place).unwrap_or_default();
    let (offset, line, text) = sources.excerpt(of, start..end);
    let annotations = shown.into_iter().map(|(kind, place, label)| {
        let range = visible(place, sources);
        kind.span(range.start.saturating_sub(offset)..range.end.saturating_sub(offset)).label(label)
    });
    Snippet::source(text).line_start(line).path(sources.name(of)).annotations(annotations)
}

/// A place of several lines is shown by its first.
fn visible(place: Place, sources: &Sources) -> std::ops::Range<usize> {
    let range = place.range();
    let text = sources.shown(place).get(range.clone()).unwrap_or_default();
    let first_line = text.find('\n').map_or(range.end, |newline| range.start + newline);
    range.start..first_line
}
