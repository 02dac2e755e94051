//! Secrets that are told apart, and a search for all of them at once in every form in which a text may hold them.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use e2e::simulators::content::hex;

/// One secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Canary {
    /// Where it stands.
    pub(crate) place: &'static str,
    /// What it is.
    pub(crate) value: String,
}

impl Canary {
    /// A secret for a place: letters and digits that stand nowhere else, and behind them what is escaped in one format
    /// or another.
    pub(crate) fn new(place: &'static str, word: &str) -> Self {
        Self { place, value: format!("q7{word}Zt4Vx9Kw\"/+=&end") }
    }

    /// One without what is escaped.
    pub(crate) fn plain(place: &'static str, word: &str) -> Self {
        Self { place, value: format!("q7{word}Zt4Vx9Kw") }
    }

    /// Its name and bytes, a form.
    fn forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let value = self.value.as_str();
        let json = serde_json::to_string(value).unwrap();
        let url: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        // Survives every escaping.
        let core = value.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|part| part.len()).unwrap();
        let texts = [
            ("as it is", value.to_owned()),
            ("its letters and digits", core.to_owned()),
            ("in JSON", json[1..json.len() - 1].to_owned()),
            ("in a URL", url.clone()),
            ("in a URL, in lower case", url.to_lowercase()),
            ("in hex", hex(value.as_bytes())),
            ("in upper-case hex", hex(value.as_bytes()).to_uppercase()),
        ];
        let base64 = (0..3).flat_map(|before| in_base64(core.as_bytes(), before));
        texts.into_iter().map(|(form, text)| (form, text.into_bytes())).chain(base64).collect()
    }
}

/// What of base64 depends on these bytes alone, behind so many others.
fn in_base64(bytes: &[u8], before: usize) -> [(&'static str, Vec<u8>); 2] {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
    let own = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
    let of = |text: String| text[own.clone()].as_bytes().to_vec();
    [("in base64", of(STANDARD_NO_PAD.encode(&bytes))), ("in base64 for URLs", of(URL_SAFE_NO_PAD.encode(&bytes)))]
}

/// Looks for secrets.
pub(crate) struct Search {
    forms: Vec<(&'static str, &'static str)>,
    patterns: AhoCorasick,
}

impl Search {
    pub(crate) fn of<'a>(canaries: impl IntoIterator<Item = &'a Canary>) -> Self {
        let mut forms = Vec::new();
        let mut patterns = Vec::new();
        for canary in canaries {
            for (form, bytes) in canary.forms() {
                assert!(bytes.len() >= 12, "{form} of {canary:?} could stand anywhere");
                forms.push((canary.place, form));
                patterns.push(bytes);
            }
        }
        let patterns = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&patterns).unwrap();
        Self { forms, patterns }
    }

    /// Which secrets stand there, in which form.
    pub(crate) fn find(&self, bytes: &[u8]) -> BTreeSet<(&'static str, &'static str)> {
        self.patterns.find_overlapping_iter(bytes).map(|found| self.forms[found.pattern().as_usize()]).collect()
    }

    /// Fails with every secret that stands in one of these outputs, and in which form.
    pub(crate) fn finds_nothing(&self, outputs: &[(String, Vec<u8>)]) {
        let mut told = Vec::new();
        for (output, bytes) in outputs {
            for (place, form) in self.find(bytes) {
                let at = self
                    .patterns
                    .find_overlapping_iter(bytes)
                    .find(|found| self.forms[found.pattern().as_usize()] == (place, form));
                let start = at.map_or(0, |found| found.start());
                let around = &bytes[start.saturating_sub(120)..(start + 80).min(bytes.len())];
                told.push(format!("{output} tells the {place}, {form}: …{}…", String::from_utf8_lossy(around)));
            }
        }
        assert!(told.is_empty(), "{} secrets are told:\n{}", told.len(), told.join("\n"));
    }
}

#[test]
fn a_search_finds_a_secret_in_each_of_its_forms() {
    let canaries = [Canary::new("one", "One"), Canary::plain("other", "Other")];
    let search = Search::of(&canaries);
    for canary in &canaries {
        for (form, bytes) in canary.forms() {
            let text = [b"before ", &bytes[..], b" behind"].concat();
            assert!(search.find(&text).contains(&(canary.place, form)), "{form} of {}", canary.place);
        }
        for before in ["", "a", "ab", "me:"] {
            let text = STANDARD_NO_PAD.encode(format!("{before}{}", canary.value));
            assert!(search.find(text.as_bytes()).contains(&(canary.place, "in base64")), "{before}");
        }
    }
    assert!(search.find(b"nothing of it, q7OneZt4").is_empty());
}
