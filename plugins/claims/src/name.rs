//! Names of files and folders as every store takes them.
//!
//! | in a name | spelled |
//! |---|---|
//! | `:`, `\`, a control character, one that turns the direction of writing, one for private use or none at all; a dot or a space at its end | percent-encoded, as in URLs |
//! | what reads as one of these spellings already, such as `%3A` | with `%25` for its `%` |
//! | more than 255 bytes | cut, with a part of its SHA-256, and its extension kept |
//!
//! Every other name stays as it is. Two names never get one spelling: an encoded one reads back, a cut one says its
//! hash.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::field;

/// The longest name, in bytes.
const LIMIT: usize = 255;
/// The longest extension that a cut name keeps, in bytes with its dot.
const EXTENSION_LIMIT: usize = 16;
/// Bytes of the hash in a cut name.
const HASH_BYTES: usize = 16;

/// A name as every store takes it.
pub(crate) fn spelled(name: &str) -> String {
    let encoded = encoded(name);
    if encoded.len() > LIMIT { cut(name, &encoded) } else { encoded }
}

fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        let rest = name.get(at..).unwrap_or_default();
        if is_refused(c, rest.len() == c.len_utf8()) || is_spelling(rest) {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| percent(&mut encoded, byte));
        } else {
            encoded.push(c);
        }
    }
    encoded
}

/// What the host refuses in a segment of a path, and what would show a name as another than it is.
fn is_refused(c: char, is_last: bool) -> bool {
    field::is_control(c) || is_no_text(c) || matches!(c, ':' | '\\') || (is_last && matches!(c, '.' | ' '))
}

/// What Unicode keeps for private use, or says will never be a character.
fn is_no_text(c: char) -> bool {
    let is_private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    is_private || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether a text begins with what this module would have written.
fn is_spelling(text: &str) -> bool {
    escaped(text).is_some_and(|(c, rest)| c == '%' || is_refused(c, rest.is_empty()))
}

/// The character that a text begins with, percent-encoded, and what follows it.
fn escaped(text: &str) -> Option<(char, &str)> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while bytes.len() < 4 {
        let (byte, after) = escape(rest)?;
        bytes.push(byte);
        rest = after;
        if let Ok(read) = str::from_utf8(&bytes) {
            return read.chars().next().map(|c| (c, rest));
        }
    }
    None
}

/// The byte that a text begins with, percent-encoded, and what follows it.
fn escape(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('%')?.split_at_checked(2)?;
    let is_ours = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
    let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_ours)?;
    Some((byte, rest))
}

fn percent(text: &mut String, byte: u8) {
    // Writing into a string never fails.
    let _ = write!(text, "%{byte:02X}");
}

fn cut(name: &str, encoded: &str) -> String {
    let dot = encoded.rfind('.').filter(|dot| *dot > 0 && encoded.len() - dot <= EXTENSION_LIMIT);
    let (stem, extension) = encoded.split_at(dot.unwrap_or(encoded.len()));
    let mut tail = "~".to_owned();
    for byte in Sha256::digest(name).iter().take(HASH_BYTES) {
        let _ = write!(tail, "{byte:02x}");
    }
    tail.push_str(extension);
    let kept = stem.floor_char_boundary(LIMIT - tail.len());
    format!("{}{tail}", stem.get(..kept).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_every_store_takes_stays_as_it_is() {
        let long = format!("{}.jpg", "x".repeat(LIMIT - 4));
        for name in [
            "kitchen.jpg",
            "06ABC12_3_estimate.pdf",
            "a b.jpg",
            "..x",
            ".hidden",
            "Küche – 1.jpg",
            "100%.pdf",
            "my%20photo.jpg",
            "%E2%80%9Cx%C2%A0.pdf",
            "%3a",
            "a%2Eb",
            "%",
            "%2",
            "%ü1",
            "a?b*c",
            &long,
        ] {
            assert_eq!(spelled(name), name);
        }
    }

    #[test]
    fn what_no_store_takes_is_percent_encoded() {
        for (name, is) in [
            ("a:b.jpg", "a%3Ab.jpg"),
            ("a\\b.jpg", "a%5Cb.jpg"),
            ("a\r\n\0.jpg", "a%0D%0A%00.jpg"),
            ("a\u{85}b", "a%C2%85b"),
            ("a\u{f022}b", "a%EF%80%A2b"),
            ("a\u{10fffd}b", "a%F4%8F%BF%BDb"),
            ("a\u{ffff}", "a%EF%BF%BF"),
            ("a%EF%80%A2b", "a%25EF%80%A2b"),
            ("a\u{202e}gpj.exe", "a%E2%80%AEgpj.exe"),
            ("a\u{61c}b\u{2066}", "a%D8%9Cb%E2%81%A6"),
            ("a%E2%80%AEb", "a%25E2%80%AEb"),
            ("a.", "a%2E"),
            ("a. ", "a.%20"),
            ("...", "..%2E"),
            ("a%3Ab", "a%253Ab"),
            ("a%253Ab", "a%25253Ab"),
            ("a%2E", "a%252E"),
            ("a%C2%85b", "a%25C2%85b"),
        ] {
            assert_eq!(spelled(name), is, "{name:?}");
        }
    }

    /// R15: every name of up to four of these parts, for what would make two of them one stands among them.
    #[test]
    fn two_names_never_get_one_spelling() {
        let parts = [
            "", ":", "%", "3", "A", "%3A", "25", "2E", ".", " ", "\u{85}", "%C2", "%85", "\u{202e}", "%E2%80", "%AE",
            "x", "\u{e000}", "%EE", "%80",
        ];
        let mut names = std::collections::BTreeSet::from([String::new()]);
        for _ in 0..4 {
            names = names.iter().flat_map(|name| parts.map(|part| format!("{name}{part}"))).collect();
        }
        let mut seen = BTreeMap::new();
        for name in names {
            let is = spelled(&name);
            assert!(!is.ends_with(['.', ' ']) && !is.contains([':', '\u{85}', '\u{202e}']), "{name:?} {is:?}");
            if let Some(other) = seen.insert(is.clone(), name.clone()) {
                panic!("{name:?} and {other:?} are both {is:?}");
            }
        }
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_extension_and_two_stay_two() {
        for (stem, extension) in [("x", ".jpg"), ("ü", ".jpeg"), (":", ".pdf"), ("x", ""), ("x", ".")] {
            let name = |end: &str| spelled(&format!("{}{end}{extension}", stem.repeat(256)));
            let (one, other) = (name("1"), name("2"));
            assert_ne!(one, other);
            assert_eq!(one, name("1"));
            assert!(one.len() <= LIMIT && one.ends_with(extension.trim_end_matches('.')), "{one}");
            assert!(!one.ends_with('.') && one.contains('~'), "{one}");
        }
        assert!(spelled(&format!("a.{}", "x".repeat(300))).len() <= LIMIT);
    }
}
