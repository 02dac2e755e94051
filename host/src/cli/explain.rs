//! `lockgate explain`: what is behind a word that the host says. Reads no spec and asks no host.

use std::collections::BTreeSet;

use clap::Args;

use super::table::Table;
use super::{Ended, Failure, answer};
use crate::codes::{self, Code};
use crate::spec::Diagnostics;

/// Words that are offered in place of one that is not known.
const OFFERED: usize = 3;

/// Explain codes of findings, classes and codes of dead letters, states, and what messages wait for.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate explain
  lockgate explain unknown-key
  lockgate explain guest-fault trap

Exit codes:
  0  explained
  2  there is no such code; nothing is explained")]
pub(super) struct Explain {
    /// What to explain; all there is, in a line each, where nothing is named.
    #[arg(value_name = "CODE")]
    codes: Vec<String>,
    /// Print everything as one page in Markdown: docs/errors.md.
    #[arg(long, conflicts_with = "codes")]
    markdown: bool,
}

impl Explain {
    pub(super) fn obey(self) -> Ended {
        answer(self.answer()?)
    }

    fn answer(&self) -> Result<String, Failure> {
        if self.markdown {
            return Ok(codes::page());
        }
        if self.codes.is_empty() {
            return Ok(list());
        }
        let explained: Vec<String> = self.codes.iter().map(|word| explained(word)).collect::<Result<_, _>>()?;
        Ok(explained.join("\n\n"))
    }
}

/// How to have findings explained, as a line to print behind them; nothing where there are none.
pub(super) fn hint(diagnostics: &Diagnostics) -> String {
    let mut seen = BTreeSet::new();
    let words: Vec<&str> = diagnostics.iter().map(|one| one.code).filter(|code| seen.insert(*code)).collect();
    if words.is_empty() { String::new() } else { format!("for more: lockgate explain {}\n", words.join(" ")) }
}

fn list() -> String {
    let mut table = Table::new(["CODE", "IS A", "STANDS FOR"]);
    for Code { word, kind, title, .. } in codes::all() {
        table.row([(*word).to_owned(), kind.name().to_owned(), (*title).to_owned()]);
    }
    table.to_string()
}

/// What is behind a word, once for each thing that it is a word for.
fn explained(asked: &str) -> Result<String, Failure> {
    let word = plain(asked);
    let explained: Vec<String> = codes::explain(&word).map(|code| format!("{}: {code}", code.kind.name())).collect();
    if explained.is_empty() { Err(unknown(asked, &word)) } else { Ok(explained.join("\n\n")) }
}

/// A word as the table has it, also where it was copied with what stands around it: `error[unknown-key]:`.
fn plain(asked: &str) -> String {
    let inner = asked.split_once('[').map_or(asked, |(_, inner)| inner);
    inner.trim_matches([':', ']', '`', ' ']).to_lowercase().replace('_', "-")
}

fn unknown(asked: &str, word: &str) -> Failure {
    let help = match near(word).as_slice() {
        [] => "`lockgate explain` lists all there are; the codes of rejected letters and the reasons of skips are the \
               plugin's own"
            .to_owned(),
        words => format!("did you mean `{}`?", words.join("` or `")),
    };
    Failure::Usage(format!("nothing is called `{asked}`\nhelp: {help}"))
}

/// The words that are meant most likely, the nearest first: those with a slip or two, then those of which it is a part.
fn near(word: &str) -> Vec<&'static str> {
    let slips = (word.chars().count() / 3).max(1);
    let distance = |known: &str| strsim::damerau_levenshtein(word, known);
    let is_part = |known: &str| {
        word.len() > 2 && (known.contains(word) || known.split('-').any(|part| distance(part) <= slips.min(2)))
    };
    let rank = |known: &'static str| match distance(known) {
        distance if distance <= slips => Some((distance, known)),
        _ if is_part(known) => Some((usize::MAX, known)),
        _ => None,
    };
    let found: BTreeSet<_> = codes::all().filter_map(|code| rank(code.word)).collect();
    found.into_iter().map(|(_, word)| word).take(OFFERED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::load_str;

    fn answered(codes: &[&str]) -> Result<String, String> {
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        Explain { codes, markdown: false }.answer().map_err(|failure| match failure {
            Failure::Usage(reason) => reason,
            _ => panic!("it is no fault of the command line"),
        })
    }

    #[test]
    fn a_code_is_explained_with_what_to_do_and_examples() {
        let text = answered(&["unknown-key"]).unwrap();
        assert!(text.starts_with("error of a spec: `unknown-key`: a key that no setting has\n"), "{text}");
        for part in ["**Means.**", "**Why.**", "**What to do.**", "Wrong:\n```yaml", "concurency", "Right:\n```yaml"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn what_stands_in_a_dead_letter_is_explained() {
        let text = answered(&["guest-fault", "trap"]).unwrap();
        assert!(text.contains("class of dead letters: `guest-fault`") && text.contains("code of dead letters: `trap`"));
        let both = answered(&["refused"]).unwrap();
        assert!(both.contains("class of dead letters") && both.contains("code of dead letters"), "{both}");
    }

    #[test]
    fn a_code_may_be_copied_with_what_stands_around_it() {
        for asked in ["error[unknown-key]:", "error[unknown-key]", "[unknown-key]", "`unknown-key`", "UNKNOWN_KEY"] {
            assert_eq!(answered(&[asked]), answered(&["unknown-key"]), "{asked}");
        }
    }

    #[test]
    fn an_unknown_code_is_refused_with_near_ones() {
        for (asked, help) in [
            ("unknwon-key", "did you mean `unknown-key`?"),
            ("config", "did you mean `plugin-config`?"),
            ("varible", "did you mean `missing-variable`?"),
            ("unknown", "did you mean `unknown-key` or `unknown-name`?"),
            ("http-404", "`lockgate explain` lists all there are"),
            ("", "`lockgate explain` lists all there are"),
        ] {
            let reason = answered(&["trap", asked]).unwrap_err();
            assert!(reason.starts_with(&format!("nothing is called `{asked}`\nhelp: {help}")), "{reason}");
        }
    }

    #[test]
    fn without_a_code_every_one_is_listed() {
        let list = answered(&[]).unwrap();
        assert_eq!(list.lines().count(), codes::all().count() + 1);
        for code in codes::all() {
            assert!(
                list.lines().any(|line| line.starts_with(code.word) && line.ends_with(code.title)),
                "{}",
                code.word
            );
        }
    }

    #[test]
    fn the_page_is_printed_as_it_is_kept() {
        let page = Explain { codes: Vec::new(), markdown: true }.answer();
        assert!(page.is_ok_and(|page| page == codes::page()));
    }

    #[test]
    fn findings_end_with_one_hint_that_names_each_code_once() {
        let text = "lockgate: 1\nstors: {}\nadmn: {}\nstores: { s: { memory: 1 } }\n";
        let findings = load_str(text, &|_| None).unwrap().diagnostics();
        assert!(findings.len() > 2, "{findings}");
        assert_eq!(hint(&findings), "for more: lockgate explain unknown-key wrong-value\n");
        assert_eq!(hint(&Diagnostics::default()), "");
    }
}
