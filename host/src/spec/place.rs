//! Where something stands: a range of bytes in one of the texts that a spec was read from. Files and `--set` arguments
//! are both such texts. Ranges that may hold a secret are masked here, so that no snippet can show one.

use std::ops::Range;

/// A range of bytes in one source. Cheap to copy; [`Sources::position`] makes lines and columns of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Place {
    source: usize,
    start: usize,
    end: usize,
}

impl Place {
    pub(super) fn new(source: usize, range: Range<usize>) -> Self {
        Self { source, start: range.start, end: range.end.max(range.start) }
    }

    /// The number of the source, in the order in which they were given.
    pub fn source(self) -> usize {
        self.source
    }

    /// The bytes, from the start of that source.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A place as people name it. Lines and columns count from 1, columns in characters; the end is exclusive.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Position {
    /// The file, or `--set`.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The line on which it ends.
    pub end_line: usize,
    /// The column before which it ends.
    pub end_column: usize,
}

/// The texts that a spec was read from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources(Vec<Source>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Source {
    name: String,
    /// The text with everything masked that must not be shown. The text as it was is not kept.
    shown: String,
}

impl Sources {
    /// Adds a text and answers its number.
    pub(super) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        self.0.push(Source { name: name.into(), shown: text.into() });
        self.0.len() - 1
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Hides a range from every later snippet.
    pub(super) fn mask(&mut self, place: Place) {
        let Some(source) = self.0.get_mut(place.source) else { return };
        let Some(literal) = source.shown.get(place.range()) else { return };
        // One star a byte: the places behind it stay right.
        let stars: String =
            literal.chars().flat_map(|c| std::iter::repeat_n(if c == '\n' { c } else { '*' }, c.len_utf8())).collect();
        source.shown.replace_range(place.range(), &stars);
    }

    /// The name of a place's source.
    pub fn name(&self, place: Place) -> &str {
        self.0.get(place.source).map_or("", |source| &source.name)
    }

    /// The text of a place's source as it may be shown.
    pub fn shown(&self, place: Place) -> &str {
        self.0.get(place.source).map_or("", |source| &source.shown)
    }

    /// The whole lines around a range of a place's source and the one before them: the first byte, its line, the text.
    pub(super) fn excerpt(&self, place: Place, range: Range<usize>) -> (usize, usize, &str) {
        let text = self.shown(place);
        let line_start = |at: usize| text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let start = line_start(line_start(range.start).saturating_sub(1));
        let rest = text.get(range.end..).unwrap_or_default();
        let end = rest.find('\n').map_or(text.len(), |newline| range.end + newline + 1);
        let line = text.get(..start).map_or(0, |before| before.matches('\n').count()) + 1;
        (start, line, text.get(start..end).unwrap_or_default())
    }

    /// Line and column.
    pub fn position(&self, place: Place) -> Position {
        let text = self.shown(place);
        let (line, column) = line_and_column(text, place.start);
        let (end_line, end_column) = line_and_column(text, place.end);
        Position { file: self.name(place).to_owned(), line, column, end_line, end_column }
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let mut sources = Sources::default();
        let source = sources.add("a.yaml", "é: 1\nü: zwei\n");
        let position = sources.position(Place::new(source, 10..14));
        assert_eq!((position.line, position.column, position.end_column), (2, 4, 8));
    }

    #[test]
    fn an_excerpt_is_the_lines_around_and_one_before() {
        let mut sources = Sources::default();
        let source = sources.add("a.yaml", "a: 1\nb: 2\nc: 3\nd: 4\ne: 5");
        let excerpt = |range: Range<usize>| sources.excerpt(Place::new(source, 0..0), range);
        assert_eq!(excerpt(0..1), (0, 1, "a: 1\n"));
        assert_eq!(excerpt(10..16), (5, 2, "b: 2\nc: 3\nd: 4\n"));
        assert_eq!(excerpt(24..24), (15, 4, "d: 4\ne: 5"));
    }

    #[test]
    fn a_mask_hides_the_text_and_moves_nothing() {
        let mut sources = Sources::default();
        let source = sources.add("a.yaml", "token: gehéim\nnext: 1\n");
        let secret = Place::new(source, 7..14);
        sources.mask(secret);
        assert_eq!(sources.shown(secret), "token: *******\nnext: 1\n");
        assert_eq!(sources.position(Place::new(source, 15..19)).line, 2);
    }
}
