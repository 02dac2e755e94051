//! From YAML to a [`Node`] tree. Duplicate keys, merge keys, tags, keys that are no scalars and further documents are
//! refused; anchors are copied to where their aliases stand.

use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::diagnostic::Diagnostic;
use super::limits::{DEEPEST, Room, Weight};
use super::node::{Entry, Node, Resolved, Scalar, Value, Written, resolve};
use super::place::Place;

/// Parses one text. Nothing comes out where it is no YAML; else what could be read, beside what is wrong with it.
/// Every value, copies by aliases included, takes of `room` before it is made.
pub(super) fn parse(source: usize, text: &str, room: &mut Room, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut composer = Composer {
        parser: Parser::new_from_str(text),
        text,
        offsets: text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect(),
        source,
        anchors: BTreeMap::new(),
        room,
        problems,
    };
    match composer.document() {
        Ok(node) => Some(node),
        Err(problem) => {
            composer.problems.push(*problem);
            None
        }
    }
}

/// What ends the parsing of a text.
type Stop = Box<Diagnostic>;

struct Composer<'i, 'p> {
    parser: Parser<'i, StrInput<'i>>,
    text: &'i str,
    /// From characters, in which the parser counts, to bytes.
    offsets: Vec<usize>,
    source: usize,
    anchors: BTreeMap<usize, Node>,
    room: &'p mut Room,
    problems: &'p mut Vec<Diagnostic>,
}

impl<'i> Composer<'i, '_> {
    fn document(&mut self) -> Result<Node, Stop> {
        let empty = Node::new(self.place(0, 0), Value::Map(Vec::new()));
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::Nothing | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(root.unwrap_or(empty)),
                Event::DocumentStart(_) if root.is_some() => {
                    let place = self.span_place(span);
                    return Err(Box::new(
                        Diagnostic::error("yaml", place, "a file holds one document, and here a second one starts")
                            .help("put it into a file of its own and give both: `-f base.yaml -f production.yaml`"),
                    ));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.root(event, span)?);
                }
                _ => {}
            }
        }
    }

    fn root(&mut self, event: Event<'i>, span: Span) -> Result<Node, Stop> {
        let node = self.node(event, span, 0)?;
        match node.value {
            Value::Map(_) => Ok(node),
            Value::Null => Ok(Node::new(node.place, Value::Map(Vec::new()))),
            _ => {
                let message = format!("a spec is a map of keys, not {}", node.describe());
                Err(Box::new(Diagnostic::error("yaml", node.place, message).help("begin it with `lockgate: 1`")))
            }
        }
    }

    fn node(&mut self, event: Event<'i>, span: Span, depth: usize) -> Result<Node, Stop> {
        let place = self.span_place(span);
        self.take(Weight { nodes: 1, bytes: 0 }, place)?;
        if depth > DEEPEST {
            return Err(too_deep(place));
        }
        let (anchor, node) = match event {
            Event::Alias(id) => return self.alias(id, place, depth),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                (anchor, self.scalar(&text, style, place))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                (anchor, Node::new(place, Value::List(self.items(depth)?)))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                (anchor, Node::new(place, Value::Map(self.entries(depth)?)))
            }
            _ => (0, Node::new(place, Value::Null)),
        };
        if anchor > 0 {
            self.take(Weight::of(&node), place)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, place: Place, depth: usize) -> Result<Node, Stop> {
        let Some(node) = self.anchors.get(&id) else {
            let message = "this alias stands inside the value that it names";
            let help = "write out what it is meant to stand for";
            return Err(Box::new(Diagnostic::error("yaml", place, message).help(help)));
        };
        let (weight, height) = (Weight::of(node), height(node));
        if depth + height > DEEPEST {
            return Err(too_deep(place));
        }
        // What is not copied costs nothing.
        self.room.take(weight).map_err(|full| Box::new(full.at(place)))?;
        Ok(node.clone())
    }

    fn take(&mut self, weight: Weight, place: Place) -> Result<(), Stop> {
        self.room.take(weight).map_err(|full| Box::new(full.at(place)))
    }

    fn scalar(&self, text: &str, style: ScalarStyle, place: Place) -> Node {
        let range = place.range();
        let shown = self.text.get(range.clone()).unwrap_or_default();
        let (written, length) = match style {
            ScalarStyle::Plain => (Written::Plain, shown.trim_end().len()),
            ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted => (Written::Quoted, quoted_length(shown)),
            _ => (Written::Quoted, shown.trim_end().len()),
        };
        let place = Place::new(self.source, range.start..range.start + length);
        if written == Written::Plain && resolve(text) == Resolved::Null {
            return Node::new(place, Value::Null);
        }
        Node::new(place, Value::Scalar(Scalar { text: text.to_owned(), written }))
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Stop> {
        let mut entries = Vec::new();
        let mut places: HashMap<String, Place> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let (key, place) = self.key(event, span)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            // It has been said that this is no key.
            if is_refused(&key) {
                continue;
            }
            match places.get(&key) {
                Some(first) => self.problems.push(
                    Diagnostic::error("duplicate-key", place, format!("the key `{key}` stands here a second time"))
                        .related(*first, "first here")
                        .help("keep one of the two"),
                ),
                None => {
                    places.insert(key.clone(), place);
                    entries.push(Entry { key, place, node });
                }
            }
        }
    }

    fn key(&mut self, event: Event<'i>, span: Span) -> Result<(String, Place), Stop> {
        let place = self.span_place(span);
        let Event::Scalar(text, style, ..) = event else {
            return Err(Box::new(Diagnostic::error("yaml", place, "a key is a name, not a list, a map or an alias")));
        };
        let place = self.scalar(&text, style, place).place;
        if text == "<<" {
            self.problems.push(
                Diagnostic::error("yaml", place, "YAML 1.2 has no merge keys, and `<<` is not read as one")
                    .help("what pipelines have in common goes under `defaults:`"),
            );
        } else if text.contains("${") {
            self.problems.push(
                Diagnostic::error("yaml", place, "variables stand in values, never in keys")
                    .help("write the key out; an overlay (`-f`) can add or remove keys"),
            );
        }
        Ok((text.into_owned(), place))
    }

    fn refuse_tag(&mut self, tagged: bool, place: Place) {
        if tagged {
            self.problems.push(
                Diagnostic::error("yaml", place, "tags (`!…`) are not read")
                    .help("leave it out; quote a value to make it a string"),
            );
        }
    }

    fn next(&mut self) -> Result<(Event<'i>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Box::new(self.syntax(&error))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = error.marker().index();
        let place = self.place(at, at + 1);
        if error.info().contains("recursion limit") {
            return *too_deep(place);
        }
        let line = self.text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
        Diagnostic::error("yaml", place, format!("this is no YAML: {}", error.info()))
            .maybe_help(advice(line, error.info()).map(str::to_owned))
    }

    fn span_place(&self, span: Span) -> Place {
        self.place(span.start.index(), span.end.index())
    }

    fn place(&self, start: usize, end: usize) -> Place {
        let byte = |index: usize| self.offsets.get(index).copied().unwrap_or(self.text.len());
        Place::new(self.source, byte(start)..byte(end))
    }
}

/// Keys that mean something elsewhere and nothing here.
fn is_refused(key: &str) -> bool {
    key == "<<" || key.contains("${")
}

/// What is most often wrong with such a line.
fn advice(line: &str, error: &str) -> Option<&'static str> {
    let indent = line.len() - line.trim_start().len();
    if line.get(..indent).is_some_and(|indent| indent.contains('\t')) {
        return Some("indent with spaces; YAML allows no tabs there");
    }
    let braces = line.contains(['{', '[']) && line.contains("${");
    if braces {
        return Some("inside `{ }` and `[ ]` a `${VARIABLE}` stands in quotes");
    }
    if error.contains("unknown anchor") {
        return Some("`*` begins an alias of an `&` above; a text that begins with it stands in quotes");
    }
    error.contains("invalid indentation in").then_some("a quote or a bracket above may not be closed")
}

fn too_deep(place: Place) -> Stop {
    let message = format!("this lies deeper than {DEEPEST} lists and maps in each other");
    Box::new(
        Diagnostic::error("yaml", place, message).help("no key of a spec lies that deep; a bracket may not be closed"),
    )
}

/// How many lists and maps lie in each other.
fn height(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(height).max().unwrap_or_default(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| height(&entry.node)).max().unwrap_or_default(),
        _ => 0,
    }
}

/// The parser's span of a quoted scalar may run on over a comment; this is the length up to the closing quote.
fn quoted_length(shown: &str) -> usize {
    let Some(quote) = shown.chars().next() else { return 0 };
    let mut rest = shown.char_indices().skip(1).peekable();
    while let Some((offset, c)) = rest.next() {
        let doubled = c == '\'' && rest.peek().is_some_and(|(_, next)| *next == '\'');
        if (quote == '"' && c == '\\') || (quote == '\'' && doubled) {
            rest.next();
        } else if c == quote {
            return offset + c.len_utf8();
        }
    }
    shown.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::limits::Full;

    fn parsed(text: &str) -> (Option<Node>, Vec<String>) {
        let mut problems = Vec::new();
        let node = parse(0, text, &mut Room::default(), &mut problems);
        (node, problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn every_scalar_knows_its_place() {
        let text = "é: 1\nb: { c: \"x \\\" # y\" } # not this\nd: 'it''s' # nor this\ne: two words # nor this\n";
        let (node, problems) = parsed(text);
        assert_eq!(problems, Vec::<String>::new());
        let mut seen = Vec::new();
        let node = node.unwrap();
        node.walk(&mut Vec::new(), &mut |_, node| {
            if let Value::Scalar(scalar) = &node.value {
                seen.push((scalar.text.clone(), &text[node.place.range()]));
            }
        });
        let seen: Vec<_> = seen.iter().map(|(value, shown)| (value.as_str(), *shown)).collect();
        assert_eq!(seen, [("1", "1"), ("x \" # y", "\"x \\\" # y\""), ("it's", "'it''s'"), ("two words", "two words")]);
    }

    #[test]
    fn an_alias_is_a_copy() {
        let (node, _) = parsed("a: &x { k: v }\nb: *x\n");
        let node = node.unwrap();
        assert_eq!(node.get("a"), node.get("b"));
    }

    #[test]
    fn aliases_cannot_blow_up_the_tree() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        }
        assert_eq!(parsed(&text).1, [Full::Nodes.to_string()]);
    }

    #[test]
    fn what_is_refused_says_so() {
        for (text, message) in [
            ("a: 1\na: 2\n", "the key `a` stands here a second time"),
            ("- a\n", "a spec is a map of keys, not a list"),
            ("a: 1\n---\nb: 1\n", "a file holds one document, and here a second one starts"),
            ("a: !!str 5\n", "tags (`!…`) are not read"),
            ("a: &x { b: *x }\n", "this alias stands inside the value that it names"),
            ("? [a]\n: 1\n", "a key is a name, not a list, a map or an alias"),
            ("<<: {}\n", "YAML 1.2 has no merge keys, and `<<` is not read as one"),
            ("${A}: 1\n", "variables stand in values, never in keys"),
        ] {
            assert_eq!(parsed(text).1, [message], "{text:?}");
        }
    }

    #[test]
    fn an_unquoted_variable_inside_braces_is_explained() {
        let mut problems = Vec::new();
        assert!(parse(0, "a: { b: ${C} }\n", &mut Room::default(), &mut problems).is_none());
        let help = problems.first().and_then(|problem| problem.help.as_deref());
        assert_eq!(help, Some("inside `{ }` and `[ ]` a `${VARIABLE}` stands in quotes"));
    }

    #[test]
    fn line_ends_and_byte_order_marks_of_other_systems_are_read() {
        let text = "\u{feff}a: 1\r\nb: \"x\"\r\n";
        let (node, problems) = parsed(text);
        let node = node.unwrap();
        let shown = |key: &str| &text[node.get(key).unwrap().place.range()];
        assert_eq!((shown("a"), shown("b"), problems.len()), ("1", "\"x\"", 0));
    }

    #[test]
    fn an_empty_text_is_an_empty_map() {
        for text in ["", "# nothing\n", "---\n"] {
            let (node, problems) = parsed(text);
            assert_eq!((node.unwrap().entries().len(), problems.len()), (0, 0), "{text:?}");
        }
    }
}
