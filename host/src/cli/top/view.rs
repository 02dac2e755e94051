//! What `top` shows, out of what the host told now and before. Pure: no terminal, no clock.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use crate::admin::status::{Durations, Pipeline, State, Status};
use crate::flow::snapshot::quantile;

/// The columns, each with its least width.
const COLUMNS: [(&str, u16); 11] = [
    ("PIPELINE", 20),
    ("STATE", 8),
    ("IN/S", 7),
    ("DONE/S", 7),
    ("DEAD/S", 7),
    ("MB/S", 6),
    ("FILES/MIN", 9),
    ("RUNNING", 7),
    ("LAG", 8),
    ("P50", 7),
    ("P95", 7),
];

/// Draws the host. Rates need two answers; with one they are not known yet.
pub(super) fn draw(frame: &mut Frame<'_>, address: &str, before: Option<&Status>, now: Option<&Status>) {
    let Some(now) = now else {
        let gone = format!("no host answers on {address}; it is asked again. q ends");
        return frame.render_widget(Paragraph::new(gone), frame.area());
    };
    let rows = u16::try_from(now.pipelines.len()).unwrap_or(u16::MAX).saturating_add(1);
    let [head, table, rest] =
        Layout::vertical([Constraint::Length(2), Constraint::Max(rows), Constraint::Min(0)]).areas(frame.area());
    let unwell = now.pipelines.iter().filter(|pipeline| pipeline.state != State::Running).count();
    let title = format!(
        "lockgate {} on {address} · {} pipelines, {unwell} not running · q ends",
        now.lockgate,
        now.pipelines.len()
    );
    frame.render_widget(Paragraph::new(title), head);
    let widths = COLUMNS.map(|(name, width)| match name {
        "PIPELINE" => Constraint::Min(width),
        _ => Constraint::Length(width),
    });
    let lines = now.pipelines.iter().map(|pipeline| row(&Rates::new(before, now, pipeline), pipeline));
    let header = Row::new(COLUMNS.map(|(name, _)| aligned(name, name.into()))).bold();
    frame.render_widget(Table::new(lines, widths).header(header), table);
    let told: Vec<Line<'_>> = now.pipelines.iter().flat_map(trouble).map(Line::from).collect();
    frame.render_widget(Paragraph::new(told), rest);
}

/// What became of messages in between two answers.
struct Rates {
    /// Per second: admitted, done, dead, bytes; not known from one answer.
    admitted: Option<f64>,
    done: Option<f64>,
    dead: Option<f64>,
    bytes: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
}

impl Rates {
    fn new(before: Option<&Status>, now: &Status, pipeline: &Pipeline) -> Self {
        let earlier = before.and_then(|before| before.pipelines.iter().find(|other| other.name == pipeline.name));
        let seconds = before.map(|before| now.now_ms.saturating_sub(before.now_ms) as f64 / 1e3);
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        let rate = |of: &dyn Fn(&Pipeline) -> u64| {
            let earlier = of(earlier?);
            Some(of(pipeline).saturating_sub(earlier) as f64 / seconds?)
        };
        let buckets = recent(earlier.map(|earlier| &earlier.latency), &pipeline.latency);
        let at = |share| quantile(&buckets, share).map(|value| value.as_secs_f64());
        Self {
            admitted: rate(&|pipeline| pipeline.counts.admitted),
            done: rate(&|pipeline| pipeline.counts.done),
            dead: rate(&|pipeline| pipeline.counts.dead.values().sum()),
            bytes: rate(&|pipeline| pipeline.counts.bytes),
            p50: at(0.5),
            p95: at(0.95),
        }
    }
}

/// What fell into each bucket since the answer before; since the start where there is none.
fn recent(before: Option<&Durations>, now: &Durations) -> Vec<u64> {
    let earlier = before.into_iter().flat_map(|before| &before.buckets).map(|bucket| bucket.count);
    let earlier = earlier.chain(std::iter::repeat(0));
    now.buckets.iter().zip(earlier).map(|(bucket, earlier)| bucket.count.saturating_sub(earlier)).collect()
}

fn row<'a>(rates: &Rates, pipeline: &'a Pipeline) -> Row<'a> {
    let per = |rate: Option<f64>, factor: f64| rate.map_or("-".into(), |rate| format!("{:.1}", rate * factor));
    let cells = [
        pipeline.name.clone(),
        pipeline.state.as_str().to_owned(),
        per(rates.admitted, 1.0),
        per(rates.done, 1.0),
        per(rates.dead, 1.0),
        per(rates.bytes, 1e-6),
        rates.done.map_or("-".into(), |done| format!("{:.0}", done * 60.0)),
        pipeline.running.to_string(),
        pipeline.lag.map_or("-".into(), |lag| lag.to_string()),
        rates.p50.map_or("-".into(), seconds),
        rates.p95.map_or("-".into(), seconds),
    ];
    let mut names = COLUMNS.iter().map(|(name, _)| *name);
    Row::new(cells.map(|cell| aligned(names.next().unwrap_or_default(), cell))).style(colour(pipeline.state))
}

/// Words to the left, numbers to the right.
fn aligned(column: &str, text: String) -> Cell<'static> {
    match column {
        "PIPELINE" | "STATE" => Cell::from(text),
        _ => Cell::from(Line::from(text).right_aligned()),
    }
}

fn colour(state: State) -> Style {
    match state {
        State::Running => Style::new(),
        State::Starting | State::Draining | State::Paused | State::Stopped => Style::new().fg(Color::Yellow),
        State::Held | State::Blocked | State::Failed | State::Silent => Style::new().fg(Color::Red),
    }
}

/// As people say it: `80 ms`, `2.5 s`, `4 min`, `3 h`.
fn seconds(value: f64) -> String {
    match value {
        ..1.0 => format!("{:.0} ms", value * 1e3),
        ..100.0 => format!("{value:.1} s"),
        ..6000.0 => format!("{:.0} min", value / 60.0),
        _ => format!("{:.0} h", value / 3600.0),
    }
}

/// Why a pipeline takes no messages, and its oldest one.
fn trouble(pipeline: &Pipeline) -> Vec<String> {
    let reason = pipeline.reason.as_ref();
    let reason = reason.map(|reason| format!("{} {}: {reason}", pipeline.name, pipeline.state.as_str()));
    let oldest = pipeline.oldest().map(|(partition, oldest)| {
        format!("{} {}/{}: {}", pipeline.name, partition.topic, partition.partition, oldest.text)
    });
    reason.into_iter().chain(oldest).collect()
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
