//! `log`, and everything else that a guest says: its log lines and what it writes to its standard streams become log
//! lines of the host. Which pipeline, partition and message they are of stands on the span that they are written in.
//! All of it is bounded, and queries of URLs are cut out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{debug, error, info, warn};

use super::console::{Lines, Stream};
use super::{Call, Forbidden, Phase, State};
use crate::model::without_queries;
use crate::plugin::bindings::log;

/// What guests say is logged under this target.
const TARGET: &str = "lockgate::guest";
/// The longest text of one line, in bytes; what is beyond is cut.
pub(super) const TEXT_LIMIT: usize = 8 << 10;
/// Lines that one call may write, in all; further ones are counted and dropped.
const LINES_LIMIT: u32 = 1000;
/// Fields of one line; further ones are dropped.
const FIELDS_LIMIT: usize = 32;
/// The longest field, name and value, in bytes; what is beyond is cut.
const FIELD_LIMIT: usize = 1 << 10;
/// The longest line that a reason quotes, in bytes; what is beyond is cut.
const LAST_WORDS_LIMIT: usize = 1 << 10;
/// What Rust writes below a panic: no reason, just advice that no operator can follow.
const RUST_ADVICE: &str = "note: run with `RUST_BACKTRACE";

/// Takes what one instance says. Clones write to the same one.
#[derive(Clone, Default)]
pub(in crate::plugin) struct Journal(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    /// The call that is under way.
    call: Option<Arc<Call>>,
    lines: u32,
    dropped: u32,
    out: Lines,
    error: Lines,
    /// The last line on standard error.
    last_words: Option<String>,
}

impl Journal {
    /// The guest begins, with a whole budget of lines, which stand in the span of its call if it has one.
    pub(in crate::plugin) fn begin(&self, call: Option<Arc<Call>>) {
        let mut said = self.lock();
        (said.call, said.lines, said.dropped, said.last_words) = (call, 0, 0, None);
    }

    /// A call ended, well or not: what was not a whole line becomes one, and what was dropped is told.
    pub(in crate::plugin) fn end(&self) {
        for stream in [Stream::Out, Stream::Error] {
            let mut said = self.lock();
            if let Some(rest) = said.of(stream).rest() {
                said.stream_line(stream, &rest);
            }
        }
        let mut said = self.lock();
        let dropped = said.dropped;
        if dropped > 0 {
            said.tell(|| warn!(target: TARGET, dropped, limit = LINES_LIMIT, "log lines of one call were dropped"));
        }
        said.call = None;
    }

    /// The last line that the guest wrote to its standard error in this call.
    pub(in crate::plugin) fn last_words(&self) -> Option<String> {
        self.lock().last_words.clone()
    }

    /// The guest wrote to a standard stream.
    pub(super) fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut said = self.lock();
        for line in said.of(stream).take(bytes) {
            said.stream_line(stream, &line);
        }
    }

    fn log(&self, level: log::Level, text: &str, fields: &[(String, String)]) {
        let mut said = self.lock();
        if said.may_write() {
            said.tell(|| write_line(level, text, fields));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn of(&mut self, stream: Stream) -> &mut Lines {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Error => &mut self.error,
        }
    }

    fn stream_line(&mut self, stream: Stream, line: &str) {
        if line.trim().is_empty() || stream == Stream::Error && line.starts_with(RUST_ADVICE) {
            return;
        }
        if stream == Stream::Error {
            self.last_words = Some(presentable(line.trim(), LAST_WORDS_LIMIT));
        }
        if self.may_write() {
            let line = presentable(line, TEXT_LIMIT);
            self.tell(|| match stream {
                Stream::Out => info!(target: TARGET, stream = "stdout", "{line}"),
                Stream::Error => warn!(target: TARGET, stream = "stderr", "{line}"),
            });
        }
    }

    /// Writes a line where it belongs.
    fn tell(&self, write: impl FnOnce()) {
        match &self.call {
            Some(call) => call.span().in_scope(write),
            None => write(),
        }
    }

    fn may_write(&mut self) -> bool {
        let may = self.lines < LINES_LIMIT;
        if may {
            self.lines += 1
        } else {
            self.dropped = self.dropped.saturating_add(1)
        }
        may
    }
}

fn write_line(level: log::Level, text: &str, fields: &[(String, String)]) {
    let text = presentable(text, TEXT_LIMIT);
    let fields: Vec<String> = fields
        .iter()
        .take(FIELDS_LIMIT)
        .map(|(name, value)| presentable(&format!("{name}={value}"), FIELD_LIMIT))
        .collect();
    let fields = (!fields.is_empty()).then(|| fields.join(" "));
    match level {
        log::Level::Debug => debug!(target: TARGET, fields, "{text}"),
        log::Level::Info => info!(target: TARGET, fields, "{text}"),
        log::Level::Warn => warn!(target: TARGET, fields, "{text}"),
        log::Level::Error => error!(target: TARGET, fields, "{text}"),
    }
}

/// A guest's text as one line of at most `limit` bytes without queries of URLs; what was cut is said.
pub(in crate::plugin) fn presentable(text: &str, limit: usize) -> String {
    let clean = without_queries(text);
    let mut line = String::with_capacity(clean.len().min(limit));
    for c in clean.chars() {
        if line.len() + c.len_utf8() > limit {
            line.push_str(" … (cut)");
            break;
        }
        match c {
            c if c.is_control() && c != '\t' => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

impl log::Host for State {
    fn log(&mut self, level: log::Level, text: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        if matches!(self.phase, Phase::Closed) {
            return Err(Forbidden { import: "log.log", when: "while it describes itself" }.into());
        }
        self.journal.log(level, &text, &fields);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_without_queries() {
        assert_eq!(
            presentable("a\nb\tc \u{1b}[31m https://x.example/f?sig=SECRET", TEXT_LIMIT),
            "a\\nb\tc \\u{1b}[31m https://x.example/f?…"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let line = presentable(&"é".repeat(TEXT_LIMIT), TEXT_LIMIT);
        let (kept, said) = line.split_once(' ').unwrap();
        assert_eq!((kept.len(), said), (TEXT_LIMIT, "… (cut)"));
    }

    #[test]
    fn the_last_words_are_of_this_call_and_no_advice() {
        let journal = Journal::default();
        journal.write(Stream::Error, b"thread panicked at src/lib.rs:1:1:\nboom\nnote: run with `RUST_BACKTRACE=1`\n");
        journal.write(Stream::Out, b"hello\n");
        assert_eq!(journal.last_words().as_deref(), Some("boom"));
        journal.begin(None);
        assert_eq!(journal.last_words(), None);
        journal.write(Stream::Error, b"no end of line");
        journal.end();
        assert_eq!(journal.last_words().as_deref(), Some("no end of line"));
    }
}
