//! Names of blobs as hostile or unlucky messages have them, and what becomes of each: the same on every store.

use std::collections::BTreeSet;

use futures::future;

use super::{Suite, noise};
use crate::storage::{BlobPath, Replace};

/// A name of a message.
pub struct Name {
    /// As the message has it.
    pub text: String,
    /// What becomes of it.
    pub becomes: Becomes,
}

/// What becomes of a name.
pub enum Becomes {
    /// A path of exactly this name.
    Itself,
    /// A path of another name.
    Path(&'static str),
    /// Nothing, for a reason.
    Refused(&'static str),
}

const ABSOLUTE: &str = "it is absolute";
const CHARACTER: &str = "it holds a control character, a backslash or a colon";
const NO_TEXT: &str = "it holds a character for private use, or what is no character";
const UP: &str = "it holds `..`";
const LONG_SEGMENT: &str = "a segment is longer than 255 bytes";
const LONG: &str = "it is longer than 896 bytes";
const DEEP: &str = "it has more than 48 segments";
const TAIL: &str = "a segment ends in a dot or a space";
const OWN: &str = "it leads into `.lockgate`, which is the store's own";
const NOTHING: &str = "it names nothing";

/// Each with the reason.
const REFUSED: &[(&str, &[&str])] = &[
    (UP, &["..", "../x", "a/..", "a/../b", "a/../../b", "./../x", "..//x", "a/b/c/../../../../x", "../../etc/passwd"]),
    (ABSOLUTE, &["/", "/etc/passwd", "//host/share/x", "///x", "/../x", "/.lockgate/x", "/\0"]),
    (
        CHARACTER,
        &["a\0b", "\0", "a.pdf\0.exe", "a\nb", "a\r\nb", "a\tb", "\u{1b}[2J", "a\u{7f}", "a\u{85}b", "a\u{9f}"],
    ),
    (CHARACTER, &["a\\b", "..\\x", "\\\\host\\share", "\\\\?\\C:\\x", "\\\\.\\NUL", "a\\..\\..\\b", "\\"]),
    (CHARACTER, &["C:x", "C:/x", "c:", "x.txt:stream", "a::$DATA", "file:///etc/passwd", "http://x/y", "COM1:"]),
    (
        NO_TEXT,
        &["a\u{e000}", "a\u{f8ff}b", "a\u{f022}b", "a\u{fffe}", "a\u{ffff}", "\u{fdd0}", "\u{1ffff}", "\u{10fffd}"],
    ),
    (TAIL, &["a.", "a./b", "a ", "a /b", "a. ", "a .", "...", "....", ".. /x", ". ./x", " ", "a/ /b", "nul.", "CON "]),
    (OWN, &[".lockgate", ".lockgate/x", ".LockGate/x", "a/.lockgate/b", "./.lockgate/lock", ".loc\u{212a}gate/x"]),
    (NOTHING, &["", ".", "./", "././/."]),
];

/// What is normalised.
const NORMALISED: &[(&str, &str)] = &[
    ("norm/a//b", "norm/a/b"),
    ("norm/./c", "norm/c"),
    ("./norm/d", "norm/d"),
    ("norm/e/", "norm/e"),
    ("norm///f/././", "norm/f"),
];

/// What stays exactly as it is.
const KEPT: &[&str] = &[
    // Percent-encoded once, twice, overlong, and as some servers write it: never decoded.
    "%2e%2e/x",
    "%2E%2E/x",
    ".%2e/x",
    "%2e%2e%2fx",
    "..%2fx",
    "..%5cx",
    "a%2fb",
    "a%5cb",
    "a%00b",
    "%2fetc%2fpasswd",
    "%252e%252e/x",
    "%252e%252e%252fx",
    "%25252e/x",
    "a%252fb",
    "%c0%ae%c0%ae/x",
    "a%c0%afb",
    "%u002e%u002e/x",
    "%",
    "%2",
    "%zz",
    "a%20",
    "a%2e",
    "%2elockgate/x",
    // What looks like a separator or a dot: fullwidth, division, fraction and big solidus, reverse ones, leaders.
    "..\u{ff0f}x",
    "..\u{2215}x",
    "..\u{2044}x",
    "..\u{29f8}x",
    "..\u{ff3c}x",
    "..\u{2216}x",
    "..\u{29f5}x",
    "..\u{fe68}x",
    "\u{ff0f}etc",
    "\u{2024}\u{2024}/x",
    "\u{2025}/x",
    "\u{ff0e}\u{ff0e}/x",
    "\u{fe52}\u{fe52}/x",
    "\u{2026}/x",
    "\u{ff0e}lockgate/x",
    "a\u{ff1a}b",
    "a\u{a789}b",
    // Devices on Windows.
    "con",
    "CON",
    "prn",
    "aux",
    "AUX.txt",
    "nul",
    "NUL.tar.gz",
    "com1",
    "COM9.pdf",
    "com\u{b9}",
    "lpt1",
    "LPT9.x",
    "conin$",
    "CONOUT$",
    "clock$",
    "folder/aux/x",
    // Names that some file systems take for one.
    "case/a.pdf",
    "case/A.pdf",
    "case/a.PDF",
    "Case/a.pdf",
    "case/\u{df}",
    "case/ss",
    "case/SS",
    "case/\u{1e9e}",
    "case/i",
    "case/I",
    "case/\u{131}",
    "case/\u{130}",
    "case/k",
    "case/\u{212a}",
    "form/\u{e9}",
    "form/e\u{301}",
    "form/\u{fb01}",
    "form/fi",
    "form/\u{2126}",
    "form/\u{3a9}",
    "form/\u{1100}\u{1161}",
    "form/\u{ac00}",
    "short/LONGNA~1.TXT",
    // What does not show, or turns the text around.
    "unseen/ab",
    "unseen/a\u{200b}b",
    "unseen/a\u{200c}b",
    "unseen/a\u{200d}b",
    "unseen/\u{feff}ab",
    "unseen/a\u{ad}b",
    "unseen/a\u{2060}b",
    "unseen/\u{202e}ba",
    "unseen/\u{2066}ab\u{2069}",
    "unseen/\u{200f}ab",
    "unseen/a\u{2028}b",
    ".lockg\u{200c}ate/x",
    "..\u{200b}/x",
    "\u{200b}..x",
    "unseen/\u{e0041}",
    "unseen/\u{2764}\u{fe0f}",
    // Spaces and dots elsewhere, and what shells, URLs and markup know.
    " leading",
    "two  spaces",
    "..x",
    "...x",
    ".hidden",
    "a..b",
    "~",
    "~root/x",
    "-rf",
    "--",
    "tail\u{a0}",
    "tail\u{3000}",
    "q?x=1&y#z",
    "*",
    "a<b>c|d\"e",
    "$(x)`y`;z",
    "${HOME}",
    "a'b",
    "a,b;c=d@e!f+g^h",
    "[x]{y}",
    "<x>&amp;",
    "\u{1f4f7}.jpg",
];

/// All of them.
pub fn table() -> Vec<Name> {
    let refused = REFUSED.iter().flat_map(|(reason, texts)| texts.iter().map(move |text| (*text, *reason)));
    let refused = refused.map(|(text, reason)| Name { text: text.to_owned(), becomes: Becomes::Refused(reason) });
    let normalised =
        NORMALISED.iter().map(|(text, path)| Name { text: (*text).to_owned(), becomes: Becomes::Path(path) });
    let kept = KEPT.iter().map(|text| Name { text: (*text).to_owned(), becomes: Becomes::Itself });
    refused.chain(normalised).chain(kept).chain(sizes()).collect()
}

/// At the limits and beyond, in bytes and not in characters.
fn sizes() -> impl Iterator<Item = Name> {
    let segment = |character: &str, bytes: usize| character.repeat(bytes / character.len());
    let whole = |last: usize| format!("{}/{}", vec!["w".repeat(199); 4].join("/"), "x".repeat(last));
    let deep = |segments: usize| vec!["d"; segments].join("/");
    [
        (segment("s", 255), Becomes::Itself),
        (segment("s", 256), Becomes::Refused(LONG_SEGMENT)),
        (segment("\u{fc}", 254), Becomes::Itself),
        (segment("\u{fc}", 256), Becomes::Refused(LONG_SEGMENT)),
        (segment("\u{1f4f7}", 252), Becomes::Itself),
        (format!("a/{}/b", segment("\u{1f4f7}", 256)), Becomes::Refused(LONG_SEGMENT)),
        (whole(96), Becomes::Itself),
        (whole(97), Becomes::Refused(LONG)),
        ("n".repeat(100_000), Becomes::Refused(LONG_SEGMENT)),
        ("e/".repeat(50_000), Becomes::Refused(LONG)),
        (deep(48), Becomes::Itself),
        (deep(49), Becomes::Refused(DEEP)),
    ]
    .into_iter()
    .map(|(text, becomes)| Name { text, becomes })
}

/// The paths that come of the table.
pub fn paths() -> BTreeSet<BlobPath> {
    table().iter().filter_map(|name| BlobPath::parse(&name.text).ok()).collect()
}

impl Suite {
    /// Each is taken, and each is a blob of its own: none is lost in another, none lies where another name would find
    /// it. They lie at the root of the store, for a folder around them could be what confines them.
    pub(super) async fn names_of_messages_are_blobs_of_their_own(&self) {
        let paths: Vec<_> = paths().into_iter().collect();
        let bodies = paths.iter().enumerate().map(|(nth, path)| (path, noise(1000 + nth as u64, 40)));
        let bodies: Vec<_> = bodies.collect();
        // A few at a time, for a store may be far away.
        for some in bodies.chunks(16) {
            future::join_all(some.iter().map(|(path, body)| async move {
                self.put_bytes(path, body, Replace::Overwrite).await.unwrap_or_else(|error| panic!("{path:?}: {error}"))
            }))
            .await;
        }
        for some in bodies.chunks(16) {
            future::join_all(some.iter().map(|(path, body)| self.stands(path, body))).await;
        }
    }

    /// So that the store is as it was.
    pub(super) async fn names_of_messages_are_deleted_by_their_names(&self) {
        for path in paths() {
            self.store.delete(&path).await.unwrap_or_else(|error| panic!("{path:?}: {error}"));
            self.nothing_stands(&path).await;
        }
    }
}

/// Puts a blob under every name of the table and says which paths those are, for a test that looks at what became of
/// them beneath the store.
pub async fn put_all(store: &std::sync::Arc<dyn crate::storage::BlobStore>) -> BTreeSet<String> {
    Suite::on(store).names_of_messages_are_blobs_of_their_own().await;
    paths().iter().map(|path| path.as_str().to_owned()).collect()
}
