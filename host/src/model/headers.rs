//! The headers of a message. Copies share them until one of them is changed, for most never are.

use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use super::header;

/// A name and bytes. Names may repeat within a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The name, as it was written. Up to 24 bytes of it take no memory of their own.
    pub name: CompactString,
    /// The value.
    pub value: Bytes,
}

impl Header {
    /// Whether it belongs to the host.
    pub fn is_reserved(&self) -> bool {
        self.name.starts_with(header::RESERVED_PREFIX)
    }
}

/// The headers of a message, in order. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// The first value under `name`.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.iter().find(|header| header.name == name).map(|header| &header.value)
    }

    /// The first value under `name`, when it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All of them, in order.
    pub fn iter(&self) -> slice::Iter<'_, Header> {
        self.as_slice().iter()
    }

    /// All of them, in order.
    pub fn as_slice(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Appends a header.
    pub fn push(&mut self, name: impl Into<CompactString>, value: impl Into<Bytes>) {
        self.own().push(Header { name: name.into(), value: value.into() });
    }

    /// Replaces every header of that name by one.
    pub fn set(&mut self, name: &str, value: impl Into<Bytes>) {
        self.retain(|header| header.name != name);
        self.push(name, value);
    }

    /// Removes those that `stays` denies.
    pub fn retain(&mut self, stays: impl Fn(&Header) -> bool) {
        if !self.iter().all(&stays) {
            self.own().retain(stays);
        }
    }

    /// What the headers weigh, in bytes.
    pub fn size(&self) -> usize {
        self.iter().map(|header| header.name.len() + header.value.len()).sum()
    }

    /// A list that nobody else has.
    fn own(&mut self) -> &mut Vec<Header> {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Headers {}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        let headers: Vec<Header> = headers.into_iter().collect();
        Self((!headers.is_empty()).then(|| Arc::new(headers)))
    }
}

impl Extend<Header> for Headers {
    fn extend<I: IntoIterator<Item = Header>>(&mut self, headers: I) {
        let mut headers = headers.into_iter().peekable();
        if headers.peek().is_some() {
            self.own().extend(headers);
        }
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_changed_leaves_the_other_as_it_was() {
        let mut one = Headers::default();
        one.push("a", "1");
        let mut other = one.clone();
        other.set("a", "2");
        other.extend([Header { name: "b".into(), value: Bytes::from_static(b"3") }]);
        assert_eq!((one.text("a"), one.text("b")), (Some("1"), None));
        assert_eq!((other.text("a"), other.text("b"), other.iter().count()), (Some("2"), Some("3"), 2));
        other.retain(|header| header.name == "b");
        assert_eq!((one.size(), other.size()), (2, 2));
    }

    #[test]
    fn none_are_none_however_they_came_to_be() {
        let mut emptied = Headers::default();
        emptied.push("a", "1");
        emptied.retain(|_| false);
        assert_eq!(emptied, Headers::default());
        assert_eq!(emptied, Headers::from_iter([]));
    }
}
