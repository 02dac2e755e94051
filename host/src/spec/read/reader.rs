//! The serde deserializer of one node. A scalar is read as its field's type; by its looks only where the field has no
//! type of its own, as in a plugin's `config`.

use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Entries, Items, Variant};
use super::error::{Error, Kind, Step};
use super::hole::Hole;
use super::{PART, SECRET};
use crate::spec::node::{Entry, Node, Resolved, Scalar, Value, Written, resolve};
use crate::spec::place::Place;

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'t> {
    node: &'t Node,
    /// A scalar's own place, else its key's.
    place: Place,
}

impl<'t> Reader<'t> {
    pub(super) fn root(node: &'t Node) -> Self {
        let place = node.entries().first().map_or(node.place, |entry| entry.place);
        Self { node, place }
    }

    pub(super) fn value(entry: &'t Entry) -> Self {
        let place = match entry.node.value {
            Value::Scalar(_) => entry.node.place,
            _ => entry.place,
        };
        Self { node: &entry.node, place }
    }

    pub(super) fn item(node: &'t Node) -> Self {
        Self { node, place: node.place }
    }

    /// Where a fault of the value is shown.
    pub(super) fn place(self) -> Place {
        self.place
    }

    fn error(self, kind: Kind) -> Error {
        Error::new(kind, self.place)
    }

    fn mismatch(self, expected: &str) -> Error {
        self.error(Kind::Mismatch { expected: expected.to_owned(), found: self.node.describe().to_owned() })
    }

    /// The scalar that stands here; a secret is none to any field but its own kind.
    fn scalar(self, expected: &str) -> Result<&'t Scalar, Error> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.written == Written::Secret => Err(self.error(Kind::SecretUnexpected)),
            Value::Scalar(scalar) => Ok(scalar),
            _ => Err(self.mismatch(expected)),
        }
    }

    fn is_hole(self) -> bool {
        self.node.value == Value::Hole
    }

    fn number<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        const EXPECTED: &str = "a number";
        let scalar = self.scalar(EXPECTED)?;
        if scalar.written == Written::Quoted {
            return Err(self.mismatch("a number without quotes"));
        }
        match resolve(&scalar.text) {
            Resolved::Unsigned(number) => visitor.visit_u64(number),
            Resolved::Integer(number) => visitor.visit_i64(number),
            Resolved::Float(number) => visitor.visit_f64(number),
            _ => Err(self.mismatch(EXPECTED)),
        }
    }

    fn any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        let scalar = match &self.node.value {
            Value::Null | Value::Hole => return visitor.visit_unit(),
            Value::List(items) => return visitor.visit_seq(Items::new(items)),
            Value::Map(entries) => return visitor.visit_map(Entries::new(entries)),
            Value::Scalar(_) => self.scalar("a value")?,
        };
        if scalar.written != Written::Plain {
            return visitor.visit_str(&scalar.text);
        }
        match resolve(&scalar.text) {
            Resolved::Null => visitor.visit_unit(),
            Resolved::Bool(value) => visitor.visit_bool(value),
            Resolved::Unsigned(number) => visitor.visit_u64(number),
            Resolved::Integer(number) => visitor.visit_i64(number),
            Resolved::Float(number) => visitor.visit_f64(number),
            Resolved::Text => visitor.visit_str(&scalar.text),
        }
    }

    /// `${secrets.NAME}` and nothing else. What else stands here may be the secret itself, so it is never shown.
    fn secret<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Hole => visitor.visit_newtype_struct(Hole),
            Value::Scalar(scalar) if scalar.written == Written::Secret => visitor
                .visit_newtype_struct(StrDeserializer::<Error>::new(&scalar.text))
                .map_err(|_| self.error(Kind::SecretExpected)),
            _ => Err(self.error(Kind::SecretExpected)),
        }
    }

    fn part<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            Value::Hole => visitor.visit_unit(),
            _ if self.node.tainted => visitor.visit_some(self),
            _ => visitor.visit_newtype_struct(self),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.is_hole() { return Hole.$method(visitor) }
            self.number(visitor).map_err(|error| error.at(self.place))
        })*
    };
}

macro_rules! texts {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.is_hole() { return Hole.$method(visitor) }
            let scalar = self.scalar("a string")?;
            visitor.visit_str(&scalar.text).map_err(|error: Error| error.at(self.place))
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct ignored_any }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor).map_err(|error| error.at(self.place))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_hole() {
            return Hole.deserialize_bool(visitor);
        }
        let scalar = self.scalar("`true` or `false`")?;
        match resolve(&scalar.text) {
            Resolved::Bool(value) if scalar.written != Written::Quoted => visitor.visit_bool(value),
            _ => Err(self.mismatch("`true` or `false`")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null | Value::Hole => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            PART => self.part(visitor),
            SECRET => self.secret(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Hole => Hole.deserialize_seq(visitor),
            Value::Null => visitor.visit_seq(Items::new(&[])),
            Value::List(items) => visitor.visit_seq(Items::new(items)).map_err(|error| error.at(self.place)),
            _ => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Hole => Hole.deserialize_map(visitor),
            Value::Null => visitor.visit_map(Entries::new(&[])).map_err(|error| error.at(self.place)),
            Value::Map(entries) => visitor.visit_map(Entries::new(entries)).map_err(|error| error.at(self.place)),
            _ => Err(self.mismatch("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Hole => Hole.deserialize_enum(name, known, visitor),
            Value::Scalar(_) => {
                let scalar = self.scalar("")?;
                visitor.visit_enum(Variant::word(&scalar.text, self.place)).map_err(|error| error.at(self.place))
            }
            Value::Map(entries) => match entries.as_slice() {
                [entry] => visitor
                    .visit_enum(Variant::entry(entry))
                    .map_err(|error| error.at(entry.place).below(Step::Key(entry.key.clone()))),
                _ => Err(self.error(Kind::NotOne { known })),
            },
            Value::Null | Value::List(_) => Err(self.error(Kind::NotOne { known })),
        }
    }
}
