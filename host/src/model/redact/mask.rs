//! Finds secrets that are known, in what others send back. Lengths stay, so that what counts bytes goes on counting
//! right.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;

/// Shorter secrets are not looked for: such words stand in many texts.
const SHORTEST: usize = 6;

/// Covers secrets with stars: as they are, in JSON, in a URL, in base64.
#[derive(Clone, Default)]
pub struct Mask(Vec<memmem::Finder<'static>>);

impl Mask {
    /// Covers these.
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets = secrets.into_iter().map(str::trim).filter(|secret| secret.len() >= SHORTEST);
        let mut forms: Vec<Vec<u8>> = secrets.flat_map(forms).filter(|form| form.len() >= SHORTEST).collect();
        forms.sort();
        forms.dedup();
        Self(forms.iter().map(|form| memmem::Finder::new(form).into_owned()).collect())
    }

    /// Covers what another one covers, too.
    pub fn and(&mut self, other: &Self) {
        for form in &other.0 {
            if !self.0.iter().any(|known| known.needle() == form.needle()) {
                self.0.push(form.clone());
            }
        }
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes with every secret in them covered.
    pub fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut covered = Cow::Borrowed(bytes);
        for form in &self.0 {
            // Found in what was there at first: forms may overlap.
            for at in form.find_iter(bytes) {
                if let Some(secret) = covered.to_mut().get_mut(at..at + form.needle().len()) {
                    secret.fill(b'*');
                }
            }
        }
        covered
    }

    /// A text with every secret in it covered.
    pub fn text(&self, text: String) -> String {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(covered) => String::from_utf8_lossy(&covered).into_owned(),
        }
    }

    /// How many bytes at the end may be the beginning of a secret of which the rest is still to come.
    pub fn open_end(&self, bytes: &[u8]) -> usize {
        self.0.iter().map(|form| open_end(form.needle(), bytes)).max().unwrap_or(0)
    }
}

fn open_end(form: &[u8], bytes: &[u8]) -> usize {
    let longest = form.len().saturating_sub(1).min(bytes.len());
    let is_begun = |length: &usize| bytes.get(bytes.len() - length..).is_some_and(|end| form.starts_with(end));
    (1..=longest).rev().find(is_begun).unwrap_or(0)
}

/// How a secret may be written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned();
    let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let plain = [secret.to_owned(), json.replace('/', "\\/"), json, url.replace('+', "%20"), in_lower_case(&url), url];
    plain.into_iter().map(String::into_bytes).chain((0..3).flat_map(|before| in_base64(secret, before))).collect()
}

/// `%2B` as `%2b`.
fn in_lower_case(url: &str) -> String {
    let mut left = 0;
    let lower = |c: char| {
        let is_digit = left > 0;
        left = if c == '%' { 2 } else { left - left.min(1) };
        if is_digit { c.to_ascii_lowercase() } else { c }
    };
    url.chars().map(lower).collect()
}

/// The base64 of a secret behind so many other bytes: those of its characters that depend on nothing else.
fn in_base64(secret: &str, before: usize) -> [Vec<u8>; 2] {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.bytes()).collect();
    let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    let own = |text: String| text.get(start..end).unwrap_or_default().as_bytes().to_vec();
    [own(STANDARD_NO_PAD.encode(&bytes)), own(URL_SAFE_NO_PAD.encode(&bytes))]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "aB+/9\"ü=zZ0 end";

    fn masked(text: &str) -> String {
        String::from_utf8_lossy(&Mask::of([SECRET]).bytes(text.as_bytes())).into_owned()
    }

    #[test]
    fn a_secret_is_covered_in_every_form_and_lengths_stay() {
        for form in [
            SECRET.to_owned(),
            serde_json::to_string(SECRET).unwrap(),
            serde_json::to_string(SECRET).unwrap().replace('/', "\\/"),
            "aB%2B%2F9%22%C3%BC%3DzZ0+end".to_owned(),
            "aB%2b%2f9%22%c3%bc%3dzZ0+end".to_owned(),
            "aB%2B%2F9%22%C3%BC%3DzZ0%20end".to_owned(),
        ] {
            let text = format!("<{form}>");
            let masked = masked(&text);
            assert!(!masked.contains("zZ0") && masked.len() == text.len(), "{form}: {masked}");
        }
        assert_eq!(masked("nothing of it"), "nothing of it");
    }

    #[test]
    fn a_secret_within_base64_is_covered_whatever_stands_before_it() {
        for before in ["", "x", "xy", "xyz"] {
            let bytes = format!("{before}{SECRET}!");
            for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                // A character at either end may belong to what stands beside it as well.
                let covered = masked(&text).matches('*').count();
                assert!(covered * 6 > SECRET.len() * 8 - 12, "{text}: {}", masked(&text));
            }
        }
    }

    #[test]
    fn a_short_secret_is_not_looked_for() {
        assert!(Mask::of(["12345", " 1 "]).is_empty());
    }

    #[test]
    fn forms_that_overlap_are_covered_together() {
        let mut mask = Mask::of(["abcdef"]);
        mask.and(&Mask::of(["defghi"]));
        assert_eq!(mask.text("xabcdefghix".into()), "x*********x");
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_is_open() {
        let mask = Mask::of(["abcabcX"]);
        for (bytes, open) in
            [("", 0), ("x", 0), ("xa", 1), ("xabc", 3), ("xabcabc", 6), ("abcabcX", 0), ("abcabcabc", 6)]
        {
            assert_eq!(mask.open_end(bytes.as_bytes()), open, "{bytes}");
        }
    }
}
