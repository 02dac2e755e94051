//! Which file is asked for, and how it is to be served.

use std::fmt;

use super::Behaviour;
use crate::simulators::content::{Content, format_of};

/// What a path says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilePath {
    /// How the file is served.
    pub behaviour: Behaviour,
    /// Bytes.
    pub size: u64,
    /// The last segment, mostly with an extension.
    pub name: String,
}

impl FilePath {
    /// Reads `/{behaviour}/{size}/{name}`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let (behaviour, size, name) = (segments.next()?, segments.next()?, segments.next()?);
        let path = Self { behaviour: Behaviour::named(behaviour)?, size: size.parse().ok()?, name: name.to_owned() };
        segments.next().is_none().then_some(path)
    }

    /// The file that the `request`th request meets, where `file_name` says the type if the name does not. `None`
    /// where neither does.
    pub(super) fn content(&self, file_name: Option<&str>, request: u32) -> Option<Content> {
        let format = format_of(&self.name).or_else(|| format_of(file_name?))?;
        Some(Content::new(format, self.size, &self.name, self.behaviour.version(request)))
    }

    /// The file that one ends up with who asks often enough, and knows by `file_name` what the name does not say.
    pub fn final_content(&self, file_name: &str) -> Option<Content> {
        self.content(Some(file_name), u32::MAX)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}/{}", self.behaviour.word(), self.size, self.name)
    }
}
