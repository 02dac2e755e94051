//! Lists, maps and enums for the reader. Each step down is noted on an error's way up.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer as _, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::error::{Error, Kind, Step};
use super::reader::Reader;
use crate::spec::node::{Entry, Node, Value};
use crate::spec::place::Place;

/// The items of a list.
pub(super) struct Items<'t> {
    rest: std::iter::Enumerate<std::slice::Iter<'t, Node>>,
}

impl<'t> Items<'t> {
    pub(super) fn new(items: &'t [Node]) -> Self {
        Self { rest: items.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((index, node)) = self.rest.next() else { return Ok(None) };
        let value = seed.deserialize(Reader::item(node));
        value.map(Some).map_err(|error| error.at(node.place).below(Step::Item(index)))
    }
}

/// The entries of a map.
pub(super) struct Entries<'t> {
    rest: std::slice::Iter<'t, Entry>,
    current: Option<&'t Entry>,
}

impl<'t> Entries<'t> {
    pub(super) fn new(entries: &'t [Entry]) -> Self {
        Self { rest: entries.iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.current = self.rest.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key = seed.deserialize(StrDeserializer::<Error>::new(&entry.key));
        key.map(Some).map_err(|error| error.at(entry.place).below(Step::Key(entry.key.clone())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let entry = self.current.ok_or_else(|| <Error as serde::de::Error>::custom("a value without a key"))?;
        let reader = Reader::value(entry);
        seed.deserialize(reader).map_err(|error| error.at(reader.place()).below(Step::Key(entry.key.clone())))
    }
}

/// A variant of an enum: a word, or a map with one key.
pub(super) struct Variant<'t> {
    name: &'t str,
    place: Place,
    content: Content<'t>,
}

/// What comes with a variant.
#[derive(Clone, Copy)]
pub(super) enum Content<'t> {
    /// The variant is a word; nothing comes with it.
    None(Place),
    Entry(&'t Entry),
}

impl<'t> Variant<'t> {
    pub(super) fn word(name: &'t str, place: Place) -> Self {
        Self { name, place, content: Content::None(place) }
    }

    pub(super) fn entry(entry: &'t Entry) -> Self {
        Self { name: &entry.key, place: entry.place, content: Content::Entry(entry) }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Content<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'de>), Error> {
        let value = seed.deserialize(StrDeserializer::<Error>::new(self.name)).map_err(|mut error| {
            if let (Kind::UnknownWord { word, known }, Content::Entry(_)) = (&error.kind, self.content) {
                error.kind = Kind::UnknownVariant { key: word.clone(), known };
            }
            error.at(self.place)
        });
        value.map(|value| (value, self.content))
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self {
            Self::None(_) => Ok(()),
            Self::Entry(entry) if matches!(entry.node.value, Value::Null | Value::Hole) => Ok(()),
            Self::Entry(entry) if entry.node.value == Value::Map(Vec::new()) => Ok(()),
            Self::Entry(entry) => {
                let found = entry.node.describe().to_owned();
                Err(Error::new(Kind::Mismatch { expected: "nothing below it".to_owned(), found }, entry.place))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        match self {
            Self::Entry(entry) => {
                let reader = Reader::value(entry);
                seed.deserialize(reader).map_err(|error| error.at(reader.place()))
            }
            Self::None(place) => Err(Error::new(
                Kind::Mismatch { expected: "a value below it".to_owned(), found: "a word".to_owned() },
                place,
            )),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Entry(entry) => Reader::value(entry).deserialize_seq(visitor),
            Self::None(_) => visitor.visit_seq(Items::new(&[])),
        }
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Entry(entry) => Reader::value(entry).deserialize_map(visitor),
            Self::None(_) => visitor.visit_map(Entries::new(&[])),
        }
    }
}
