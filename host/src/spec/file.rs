//! From a file to the text of a spec: bounded, and text at all. Never reads what has no end, and never waits: only
//! regular files are opened.
//!
//! | in the file | becomes |
//! |---|---|
//! | a byte order mark of UTF-8 at the start | nothing |
//! | a line end of old Macs (CR alone) | a line end (LF), so that lines are counted as people see them |
//! | bytes that are no UTF-8, or UTF-16 | an error at the first such byte |
//! | characters that YAML does not allow, such as NUL | an error at the first one: the parser would end there in silence |

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::diagnostic::Diagnostic;
use super::limits::MOST_BYTES;
use super::place::Place;

/// Reads at most `most` bytes and one more, by which the caller knows that it was too much.
pub(super) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Before it is opened: that alone would wait for a pipe's other end.
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::Error::other("it is a folder: name a file in it"));
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is no regular file: write the spec into one first"));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// That there is too much text.
pub(super) fn too_long(name: &str) -> Diagnostic {
    let mebibytes = MOST_BYTES >> 20;
    Diagnostic::nowhere("file", format!("the spec is longer than {mebibytes} MiB, with all its files ({name})"))
        .help("a spec holds settings; data goes into stores and topics. Is this the file that is meant?")
}

/// The text of a file's bytes. Where that is none, what is shown of it and what is wrong.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, (String, Fault)> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let kind = if is_utf16(bytes) { Kind::Utf16 } else { Kind::NoUtf8(bytes.get(at).copied()) };
        let fault = Fault { at, kind };
        (String::from_utf8_lossy(bytes).into_owned(), fault)
    })
}

/// The text as the parser takes it: what is left has as many bytes as before, so that places stay right.
pub(super) fn clean(text: &str) -> String {
    let mut characters = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).chars().peekable();
    let mut clean = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        let ends_a_line = character == '\r' && characters.peek() != Some(&'\n');
        clean.push(if ends_a_line { '\n' } else { character });
    }
    clean
}

/// The first character that does not belong into YAML.
pub(super) fn first_stranger(text: &str) -> Option<Fault> {
    let (at, character) = text.char_indices().find(|(_, c)| !is_printable(*c))?;
    let kind = if is_utf16(text.as_bytes()) { Kind::Utf16 } else { Kind::Stranger(character) };
    Some(Fault { at, kind })
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// What YAML calls printable, less the byte order mark, which stands at the start only.
fn is_printable(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        BYTE_ORDER_MARK | '\u{fffe}' | '\u{ffff}' => false,
        other => !other.is_control(),
    }
}

/// By its byte order mark, or by the zero that every other byte of Latin text is.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=127, ..] | [1..=127, 0, ..])
}

/// Why something is no text of a spec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// The byte.
    at: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Utf16,
    NoUtf8(Option<u8>),
    Stranger(char),
}

impl Fault {
    /// What to tell. `text` is what is shown of the file.
    pub(super) fn diagnostic(self, source: usize, name: &str, text: &str) -> Diagnostic {
        let length = text.get(self.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let place = Place::new(source, self.at..self.at + length);
        let number = self.at + 1;
        match self.kind {
            Kind::Utf16 => {
                Diagnostic::nowhere("file", format!("cannot read the spec {name}: it is UTF-16, not UTF-8")).help(SAVE)
            }
            Kind::NoUtf8(byte) => {
                let byte = byte.map(|byte| format!(", which is 0x{byte:02X}")).unwrap_or_default();
                let message = format!("this is no UTF-8, from byte {number} of the file on{byte}");
                Diagnostic::error("yaml", place, message).help(SAVE)
            }
            Kind::Stranger(BYTE_ORDER_MARK) => {
                let message = format!("a byte order mark stands in the midst of the file, at byte {number}");
                Diagnostic::error("yaml", place, message)
                    .help("take out what cannot be seen here; two files may have been put together")
            }
            Kind::Stranger(character) => {
                let code = u32::from(character);
                let message = format!("the control character U+{code:04X} has no place in YAML (byte {number})");
                Diagnostic::error("yaml", place, message)
                    .help("take it out, or write it as an escape between double quotes, such as `\"\\u0007\"`")
            }
        }
    }
}

const SAVE: &str = "save it as UTF-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_told_apart_and_every_byte_stays_where_it_was() {
        for (written, read) in [
            ("a: 1\r\nb: 2\rc: 3\n", "a: 1\r\nb: 2\nc: 3\n"),
            ("a: 1\r\r\nb: 2\r", "a: 1\n\r\nb: 2\n"),
            ("\u{feff}a: 1\n", "a: 1\n"),
        ] {
            assert_eq!(clean(written), read, "{written:?}");
        }
    }

    #[test]
    fn what_does_not_belong_into_a_text_is_found() {
        for (text, expected) in [
            ("a: 1\tb\r\n\u{85}é\u{1f600}", None),
            ("lock: \0b", Some((6, '\0'))),
            ("é\u{1b}[31m", Some((2, '\u{1b}'))),
            ("a: \u{7f}", Some((3, '\u{7f}'))),
            ("a: 1\n\u{feff}b: 1", Some((5, '\u{feff}'))),
            ("\u{9f}", Some((0, '\u{9f}'))),
        ] {
            let expected = expected.map(|(at, character)| Fault { at, kind: Kind::Stranger(character) });
            assert_eq!(first_stranger(text), expected, "{text:?}");
        }
    }

    #[test]
    fn utf_16_is_told_from_other_bytes() {
        for bytes in [&b"\xff\xfea\0:\0"[..], b"\xfe\xff\0a\0:", b"a\0:\0\xe9\0"] {
            assert_eq!(text(bytes.to_vec()).unwrap_err().1.kind, Kind::Utf16, "{bytes:?}");
        }
        assert_eq!(first_stranger("a\0:\0").unwrap().kind, Kind::Utf16);
        for (bytes, byte) in [(&b"a: \xe9"[..], 0xe9), (b"\xff\xff", 0xff)] {
            assert_eq!(text(bytes.to_vec()).unwrap_err().1.kind, Kind::NoUtf8(Some(byte)), "{bytes:?}");
        }
        assert!(text(b"a: \xc3\xa9".to_vec()).is_ok());
    }

    #[test]
    fn only_what_has_an_end_is_read_and_no_more_than_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipelines.yaml");
        std::fs::write(&file, [b'x'; 100]).unwrap();
        assert_eq!(read(&file, 10).unwrap().len(), 11);
        assert_eq!(read(&file, 100).unwrap().len(), 100);
        assert!(read(folder.path(), 10).unwrap_err().to_string().contains("a folder"));
    }

    #[cfg(unix)]
    #[test]
    fn neither_a_device_without_end_nor_a_pipe_that_nobody_writes_to_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [Path::new("/dev/zero"), &pipe] {
            assert!(read(path, 10).unwrap_err().to_string().contains("no regular file"), "{path:?}");
        }
    }
}
