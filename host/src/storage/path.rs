//! Paths of blobs: normalised and confined before any store sees them. What passes here every store takes and keeps
//! under exactly this name; what one of them would not take is refused here, so that all of them refuse it.
//!
//! | in a text | what becomes of it |
//! |---|---|
//! | empty segments and `.` | they go |
//! | `..`, a `/` at its begin | refused: it could lead out |
//! | control characters, `\`, `:` | refused |
//! | characters for private use and what is no character | refused: Azure takes none |
//! | a dot or a space at the end of a segment | refused: Azure and others drop it |
//! | `.lockgate`, in any case, as a segment | refused: bodies on their way in lie there, of this store or of one below it |
//! | more than 255 bytes a segment, 896 bytes or 48 segments in all | refused |
//! | percent-encoding, such as `%2e%2e` or `%252f` | stays as it is: nothing is ever decoded |
//! | what looks like a separator or a dot, and names of devices on Windows | stay as they are: names like any other |
//! | upper and lower case, composed and decomposed letters | stay as they are: two names, two blobs. Where a file system takes them for one, a directory store refuses the second |
//! | characters that do not show or turn the text around | stay as they are; errors and logs show them escaped |

use std::fmt::{self, Write};

/// A path that cannot leave its store. Segments are joined by `/`. There is no other way to make one than
/// [`BlobPath::parse`], so that a call that takes one needs no check.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobPath(String);

/// Why a text is no path.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("path {path:?} is refused: {reason}")]
pub struct PathError {
    /// The text, cut to 200 characters.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The folder of every store that is the store's own: blobs on their way in wait there.
pub(super) const RESERVED: &str = ".lockgate";
/// Bytes of one segment: what common file systems take.
const SEGMENT_LIMIT: usize = 255;
/// Bytes of a whole path. Azure takes 1,024 characters, of which a prefix may have what is left.
pub(super) const PATH_LIMIT: usize = 896;
/// Segments of a path. Azure takes 63 where folders are real, of which two name account and container, and a prefix
/// may have what is left.
pub(super) const DEPTH_LIMIT: usize = 48;

impl BlobPath {
    /// Reads a path, as the table above says.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        normal(text).map(Self).map_err(|reason| PathError { path: text.chars().take(200).collect(), reason })
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments of the path.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

fn normal(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        return Err("it is absolute");
    }
    if text.chars().any(|c| c.is_control() || c == '\\' || c == ':') {
        return Err("it holds a control character, a backslash or a colon");
    }
    if text.chars().any(is_no_text) {
        return Err("it holds a character for private use, or what is no character");
    }
    let segments: Vec<&str> = text.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    segments.iter().try_for_each(|segment| vet(segment))?;
    let path = segments.join("/");
    match path.len() {
        0 => Err("it names nothing"),
        1..=PATH_LIMIT if segments.len() <= DEPTH_LIMIT => Ok(path),
        1..=PATH_LIMIT => Err("it has more than 48 segments"),
        _ => Err("it is longer than 896 bytes"),
    }
}

fn vet(segment: &str) -> Result<(), &'static str> {
    match segment {
        ".." => Err("it holds `..`"),
        long if long.len() > SEGMENT_LIMIT => Err("a segment is longer than 255 bytes"),
        odd if odd.ends_with(['.', ' ']) => Err("a segment ends in a dot or a space"),
        own if own.to_lowercase() == RESERVED => Err("it leads into `.lockgate`, which is the store's own"),
        _ => Ok(()),
    }
}

/// What Unicode keeps for private use, or says will never be a character.
fn is_no_text(c: char) -> bool {
    let is_private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    is_private || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// Characters that take no room, break the line or turn the text around: unseen, a name could pass for another.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// For people to read: what they would not see is escaped. [`BlobPath::as_str`] is the path itself.
impl fmt::Display for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| if is_unseen(c) { write!(f, "{}", c.escape_unicode()) } else { f.write_char(c) })
    }
}

impl fmt::Debug for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::contract::names::{self, Becomes};

    #[test]
    fn names_of_messages_are_confined_or_refused_with_a_reason() {
        for name in names::table() {
            let parsed = BlobPath::parse(&name.text);
            match (&name.becomes, &parsed) {
                (Becomes::Itself, Ok(path)) => assert_eq!(path.as_str(), name.text),
                (Becomes::Path(normal), Ok(path)) => assert_eq!(path.as_str(), *normal, "{:?}", name.text),
                (Becomes::Refused(reason), Err(error)) => assert_eq!(error.reason, *reason, "{:?}", name.text),
                _ => panic!("{:?} became {parsed:?}", name.text),
            }
        }
    }

    #[test]
    fn a_path_never_leads_anywhere_but_down() {
        for path in names::table().iter().filter_map(|name| BlobPath::parse(&name.text).ok()) {
            assert!(!path.as_str().is_empty() && path.as_str().len() <= PATH_LIMIT);
            for segment in path.segments() {
                assert!(!matches!(segment, "" | "." | "..") && !segment.contains(['\\', '\0']), "{path:?}");
                let below = std::path::Path::new(segment).components().collect::<Vec<_>>();
                assert!(matches!(below[..], [std::path::Component::Normal(_)]), "{path:?}");
            }
            assert_eq!(BlobPath::parse(path.as_str()).as_ref(), Ok(&path), "what is normal stays");
        }
    }

    #[test]
    fn a_refusal_can_be_read_and_logged() {
        let hostile = format!("a\u{1b}[2J\r\nERROR all is lost\u{202e}/{}", "x".repeat(10_000));
        let text = BlobPath::parse(&hostile).unwrap_err().to_string();
        assert!(!text.contains(['\r', '\n', '\u{1b}', '\u{202e}']) && text.len() < 400, "{text}");
        assert!(text.ends_with("is refused: it holds a control character, a backslash or a colon"), "{text}");
    }

    #[test]
    fn what_does_not_show_is_shown_escaped_and_kept_as_it_is() {
        let path = BlobPath::parse("invoice\u{202e}fdp.exe").unwrap();
        assert_eq!((path.to_string().as_str(), path.as_str()), ("invoice\\u{202e}fdp.exe", "invoice\u{202e}fdp.exe"));
    }
}
