//! What a type wants to be read from. Serde reads a struct out of an array, too, field by field in their order; a
//! message that tells its fields by nothing but their order is one of another kind.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Whether a type is a struct with fields, so that nothing but an object tells them by name.
pub(super) fn is_object<T: DeserializeOwned>() -> bool {
    matches!(T::deserialize(Probe), Err(Wants::Object))
}

/// Holds nothing, and answers the first question by what it was.
struct Probe;

#[derive(Debug)]
enum Wants {
    Object,
    Anything,
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Wants;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wants> {
        Err(Wants::Anything)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Wants> {
        Err(Wants::Object)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wants> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

impl fmt::Display for Wants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Wants {}

impl de::Error for Wants {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Anything
    }
}
