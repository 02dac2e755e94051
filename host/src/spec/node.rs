//! The spec as a tree in which every scalar, key, list and map knows its place. It is what parsing makes, merging and
//! interpolation change, and reading reads; it knows YAML's shape and nothing of what the keys mean.

use super::place::Place;

/// A value and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
    /// Something in here was wrong and is mended or missing, so that what is read from it is not to be relied on.
    pub(super) tainted: bool,
    /// Keys that were taken out of this map because they could not be read.
    pub(super) dropped: Vec<String>,
}

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    /// `~`, `null` or nothing at all, unquoted.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A value that is not known, because it was wrong. Stands for anything.
    Hole,
}

/// A key with its value.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// A text, and how it may be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) written: Written,
}

/// How a scalar was written, which says what it may be read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// Unquoted: by its looks, or as its field's type.
    Plain,
    /// Quoted: a string.
    Quoted,
    /// Holds the value of a variable: as its field's type; a string where the field has none.
    Filled,
    /// Names a secret: only as one.
    Secret,
}

impl Node {
    pub(super) fn new(place: Place, value: Value) -> Self {
        Self { place, value, tainted: false, dropped: Vec::new() }
    }

    /// What it is, in words for a message; never the value itself.
    pub(super) fn describe(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Hole => "an unknown value",
            Value::Scalar(scalar) => match (scalar.written, resolve(&scalar.text)) {
                (Written::Plain, Resolved::Integer(_) | Resolved::Unsigned(_) | Resolved::Float(_)) => "a number",
                (Written::Plain, Resolved::Bool(_)) => "a yes or no",
                _ => "a string",
            },
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// A key with its place and value.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Every node below this one and itself, with the keys that lead there.
    pub(super) fn walk<'t>(&'t self, path: &mut Vec<&'t str>, visit: &mut dyn FnMut(&[&'t str], &'t Node)) {
        visit(path, self);
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.walk(path, visit)),
            Value::Map(entries) => {
                for entry in entries {
                    path.push(&entry.key);
                    entry.node.walk(path, visit);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// What an unquoted scalar is by its looks: YAML 1.2's core schema, less what JSON cannot hold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Unsigned(u64),
    Integer(i64),
    Float(f64),
    Text,
}

/// Reads an unquoted scalar by its looks.
pub(super) fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Resolved::Text;
    }
    if let Some(number) = radix(text, "0x", 16).or_else(|| radix(text, "0o", 8)).or_else(|| text.parse().ok()) {
        return Resolved::Unsigned(number);
    }
    if let Ok(number) = text.parse() {
        return Resolved::Integer(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Resolved::Float(number),
        _ => Resolved::Text,
    }
}

fn radix(text: &str, prefix: &str, radix: u32) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix(prefix)?, radix).ok()
}

/// A step into the tree that remembers the closest place where the path ends early, so that what is missing has a
/// place too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'t> {
    name: &'t str,
    named: Place,
    node: Option<&'t Node>,
}

impl<'t> Spot<'t> {
    /// The whole tree. Its place is its first key's.
    pub(super) fn root(node: &'t Node) -> Self {
        Self { name: "", named: node.entries().first().map_or(node.place, |entry| entry.place), node: Some(node) }
    }

    /// Below a key.
    pub(super) fn key(self, key: &str) -> Self {
        match self.node.and_then(|node| node.entry(key)) {
            Some(entry) => Self { name: &entry.key, named: entry.place, node: Some(&entry.node) },
            None => Self { node: None, ..self },
        }
    }

    /// Below several keys.
    pub(super) fn keys(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |spot, key| spot.key(key))
    }

    /// An item of a list.
    pub(super) fn item(self, index: usize) -> Self {
        match self.node.map(|node| &node.value) {
            Some(Value::List(items)) => match items.get(index) {
                Some(node) => Self { named: node.place, node: Some(node), ..self },
                None => Self { node: None, ..self },
            },
            _ => Self { node: None, ..self },
        }
    }

    /// Where the value stands; a map, a list or nothing stands where its key does.
    pub(super) fn place(self) -> Place {
        match self.node {
            Some(node) if matches!(node.value, Value::Scalar(_)) => node.place,
            // A scalar that could not be filled in keeps its place; one that was never written has none.
            Some(node) if matches!(node.value, Value::Hole) && !node.place.range().is_empty() => node.place,
            _ => self.named,
        }
    }

    /// Where the key stands.
    pub(super) fn named(self) -> Place {
        self.named
    }

    /// The last key that was there.
    pub(super) fn name(self) -> &'t str {
        self.name
    }

    /// What stands there.
    pub(super) fn node(self) -> Option<&'t Node> {
        self.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_scalars_are_what_they_look_like() {
        for (text, expected) in [
            ("", Resolved::Null),
            ("~", Resolved::Null),
            ("true", Resolved::Bool(true)),
            ("no", Resolved::Text),
            ("12", Resolved::Unsigned(12)),
            ("-12", Resolved::Integer(-12)),
            ("0x10", Resolved::Unsigned(16)),
            ("0o10", Resolved::Unsigned(8)),
            ("1.5e3", Resolved::Float(1500.0)),
            ("1.2.3", Resolved::Text),
            ("nan", Resolved::Text),
            ("inf", Resolved::Text),
            ("10/s", Resolved::Text),
        ] {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
    }
}
