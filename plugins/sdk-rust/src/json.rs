//! JSON in and out of typed values. Whoever wrote the bytes may have sent anything, so what is read is held against
//! more than its type, and every refusal says where and what, in words for operators. None ever repeats what a field
//! held: payloads carry presigned URLs and personal data, and reasons are read by many.

mod reason;
mod strict;
mod wanted;

use serde::de::DeserializeOwned;

use crate::Outcome;

/// The most bytes that [`parse`] takes.
pub const MAX_BYTES: usize = 8 << 20;
/// The most arrays and objects in each other.
pub const MAX_DEPTH: usize = 64;

/// Why JSON could not be read or written. As an outcome, a `reject`: the same bytes never read otherwise.
///
/// | error | code |
/// |---|---|
/// | [`Error::Read`] | `payload-invalid` |
/// | [`Error::Write`] | `emission-invalid` |
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no JSON, or not of the expected shape.
    #[error("the payload cannot be read: {}{reason}", at(path))]
    Read {
        /// The field, such as `attachments[2].url`; empty where it is the whole. Keys that are no plain words stand as
        /// `…`.
        path: String,
        /// What is wrong with it; of what is no JSON, with its line and column (in bytes).
        reason: String,
    },
    /// A value cannot be JSON, such as a map whose keys are no strings.
    #[error("the message for output {output} cannot be written: {reason}")]
    Write {
        /// Where it was to go.
        output: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// The short stable word of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "payload-invalid",
            Self::Write { .. } => "emission-invalid",
        }
    }

    /// Of the bytes as a whole.
    fn whole(reason: impl Into<String>) -> Self {
        Self::Read { path: String::new(), reason: reason.into() }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::reject(error.code(), error.to_string())
    }
}

/// Reads a value out of JSON. Every refusal is an [`Error::Read`], and no input makes it trap:
///
/// | refused | because |
/// |---|---|
/// | more than [`MAX_BYTES`] | it might not fit into the plugin's memory with what is made of it |
/// | what is no UTF-8, or begins with a byte order mark | JSON is UTF-8 without one |
/// | what is no JSON, such as `NaN`, comments, or anything behind its end | only JSON is read alike everywhere |
/// | half of a surrogate pair, such as `"\ud800"` | it is no character |
/// | a key that stands twice in one object, known or not | readers differ in which of the two they take |
/// | more than [`MAX_DEPTH`] arrays and objects in each other | the stack of a plugin is small |
/// | an array where the type is a struct | fields are told by name |
/// | what the type does not take | the plugin could do nothing with it |
///
/// Fields that the type does not know are passed over, as serde does, but every line of the table up to the depth counts in them, too. What
/// is only handed on is best a `Box<serde_json::value::RawValue>`: a `Value` weighs many times its text.
///
/// The type's own messages (`serde::de::Error::custom`, the error of a `try_from`) are shown; they must not repeat the
/// value. What stands in them between double quotes is cut out, for that is where errors of libraries quote it.
///
/// ```
/// /// An article's number, such as `A-1234`. Some writers send it without its letter, as a number.
/// #[derive(Debug, PartialEq, serde::Deserialize)]
/// #[serde(try_from = "Written")]
/// struct Article(String);
///
/// #[derive(serde::Deserialize)]
/// #[serde(untagged)]
/// enum Written {
///     Text(String),
///     Number(u64),
/// }
///
/// impl TryFrom<Written> for Article {
///     type Error = &'static str;
///
///     fn try_from(written: Written) -> Result<Self, Self::Error> {
///         match written {
///             Written::Number(number) => Ok(Self(format!("A-{number}"))),
///             Written::Text(text) if text.starts_with("A-") && text.len() <= 16 => Ok(Self(text)),
///             Written::Text(_) => Err("it is no article's number such as A-1234"),
///         }
///     }
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     article: Article,
/// }
///
/// let order: Order = lockgate_plugin::json::parse(br#"{ "article": 1234 }"#).unwrap();
/// assert_eq!(order.article, Article("A-1234".into()));
/// let error = lockgate_plugin::json::parse::<Order>(br#"{ "article": "x" }"#).err().unwrap();
/// assert_eq!(error.to_string(), "the payload cannot be read: at `article`: it is no article's number such as A-1234");
/// ```
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    parse_at_most(bytes, MAX_BYTES)
}

/// Reads a value out of JSON as [`parse`] does, but of at most so many bytes.
pub fn parse_at_most<T: DeserializeOwned>(bytes: &[u8], max_bytes: usize) -> Result<T, Error> {
    if bytes.len() > max_bytes {
        let reason = format!("it has {} bytes, where {max_bytes} are the most", bytes.len());
        return Err(Error::whole(reason));
    }
    let text = strict::text(bytes).map_err(Error::whole)?;
    let found = strict::check(text).map_err(Error::whole)?;
    if found != strict::OBJECT && wanted::is_object::<T>() {
        return Err(Error::whole(format!("expected an object, found {found}")));
    }
    typed(text).map_err(|error| {
        let (path, reason) = reason::of(&error);
        Error::Read { path, reason }
    })
}

/// Reads a value of a config, or says at which field it fails and how, in full: a config is the operator's own.
pub(crate) fn configured<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    typed(text).map_err(|error: Untyped| match error.path().to_string().as_str() {
        "." => error.into_inner().to_string(),
        path => format!("{}{}", at(path), error.inner()),
    })
}

type Untyped = serde_path_to_error::Error<serde_json::Error>;

fn typed<T: DeserializeOwned>(text: &str) -> Result<T, Untyped> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
}

/// The beginning of a text about a field.
fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("at `{path}`: ") }
}

#[cfg(test)]
mod tests;
