//! Explanations as Markdown: what `lockgate explain` prints, and the page `docs/errors.md`.

use std::fmt::{self, Write};

use super::{Code, Example, Kind, SPEC, all};

/// Longest line, in characters.
const WIDTH: usize = 120;

const HEAD: &str = "\
# What Lockgate's words mean

Every word by which Lockgate names what is wrong: what it means, why, and what to do. `lockgate explain WORD` prints the
same. This page is made by `lockgate explain --markdown > docs/errors.md`; change the table in `host/src/codes`.
";

const ABOUT_EXAMPLES: &str = "\
The examples lie on top of this spec, as with `lockgate check -f pipelines.yaml -f example.yaml`:
";

impl Kind {
    fn heading(self) -> &'static str {
        match self {
            Self::Error => "Errors of a spec",
            Self::Warning => "Warnings of a spec",
            Self::Class => "Classes of dead letters",
            Self::Letter => "Codes of dead letters",
            Self::State => "States of a pipeline",
            Self::Wait => "What a message waits for",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Error => "With one of these nothing starts, and `lockgate check` and `run` end with exit code 2.",
            Self::Warning => "These keep nothing from starting.",
            Self::Class => "`CLASS` in `lockgate dead list`, `lockgate-class` in a letter.",
            Self::Letter => {
                "`CODE` in `lockgate dead list`, `lockgate-code` in a letter, the counts of `/status` and of the metrics. \
                 Letters of the class `rejected` carry codes of their plugin: here are those that the SDK gives."
            }
            Self::State => "`STATE` in `lockgate status`, `/status`, `/ready` and the metrics.",
            Self::Wait => "What the oldest message that is not settled waits for: `waits_for` in `/status`.",
        }
    }
}

/// The page, without a newline at its end.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for kind in Kind::ALL {
        let about = wrapped(kind.about());
        page.push_str(&format!("\n## {}\n{about}\n", kind.heading()));
        if kind == Kind::Error {
            page.push_str(&format!("\n{}{}\n", ABOUT_EXAMPLES, block("yaml", SPEC)));
        }
        for code in all().filter(|code| code.kind == kind) {
            page.push_str(&format!("\n### {code}\n"));
        }
    }
    page.truncate(page.trim_end().len());
    page
}

/// The explanation: the word, and all that is behind it.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}\n\n{}", self.word, self.title, self.body())
    }
}

impl Code {
    /// All that is behind the word, but not the word itself.
    pub fn body(&self) -> String {
        let parts = [("Means", self.meaning), ("Why", self.why), ("What to do", self.mend)];
        let mut body = parts.map(|(name, text)| wrapped(&format!("**{name}.** {}", text))).join("\n\n");
        for (name, example) in self.examples.iter().flat_map(|both| [("Wrong", both.wrong), ("Right", both.right)]) {
            // Writing to a string never fails.
            let _ = write!(body, "\n\n{name}:\n{example}");
        }
        body
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlay(text) => f.write_str(&block("yaml", text)),
            Self::Arguments(arguments) => f.write_str(&block("sh", &format!("lockgate check {arguments}"))),
        }
    }
}

fn block(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```", text.trim_matches('\n'))
}

/// A paragraph in lines of at most [`WIDTH`] characters; a longer word has a line of its own.
fn wrapped(paragraph: &str) -> String {
    let mut text = String::new();
    let mut width = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            text.push('\n');
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_longer_than_the_width_and_no_word_is_lost() {
        let paragraph = format!("a {} b {} c", "x".repeat(WIDTH - 2), "ü".repeat(WIDTH + 1));
        let text = wrapped(&paragraph);
        let lines: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(lines, [WIDTH, 1, WIDTH + 1, 1]);
        assert!(text.split_whitespace().eq(paragraph.split_whitespace()));
    }
}
