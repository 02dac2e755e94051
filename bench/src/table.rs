//! The table: what was measured, beside what the plain code took in the same run, and how that stands to the bar.

use std::fmt::Write as _;

use crate::figure::Figure;

/// What must be reached.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Bar {
    /// The figure is at most this.
    AtMost(Figure),
    /// The figure is at least this.
    AtLeast(Figure),
    /// So many times the baseline at most.
    RatioAtMost(f64),
    /// So many times the baseline at least.
    RatioAtLeast(f64),
    /// More than the baseline by this at most.
    MoreAtMost(Figure),
    /// Nothing: it stands here for comparison.
    Open,
}

/// One line of the table.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Line {
    /// What was measured.
    pub(crate) what: String,
    /// What it took: the median of the runs.
    pub(crate) figure: Figure,
    /// The plain code that does the same, what that took, and how often the figure is that: the median of what the
    /// rounds gave.
    pub(crate) baseline: Option<Baseline>,
    /// What must be reached.
    pub(crate) bar: Bar,
    /// What else there is to say, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// What a line stands beside.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Baseline {
    /// What it is.
    pub(crate) what: String,
    /// What it took: the median of the runs.
    pub(crate) figure: Figure,
    /// How many times that the measured figure is.
    pub(crate) ratio: f64,
}

/// How a line stands to its bar.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Standing {
    /// By this share of the bar.
    Reached(f64),
    /// By this share of the bar.
    Missed(f64),
    /// There is no bar.
    Open,
}

impl Line {
    /// How it stands to its bar.
    pub(crate) fn standing(&self) -> Standing {
        let ratio = self.baseline.as_ref().map(|baseline| baseline.ratio);
        let (value, bar, most) = match self.bar {
            Bar::AtMost(bar) => (self.figure.value(), bar.value(), true),
            Bar::AtLeast(bar) => (self.figure.value(), bar.value(), false),
            Bar::RatioAtMost(bar) => (ratio.unwrap_or(f64::INFINITY), bar, true),
            Bar::RatioAtLeast(bar) => (ratio.unwrap_or(0.0), bar, false),
            Bar::MoreAtMost(bar) => (self.more().unwrap_or(f64::INFINITY), bar.value(), true),
            Bar::Open => return Standing::Open,
        };
        let over = (value - bar) / bar;
        let beyond = if most { over } else { -over };
        if beyond <= 0.0 { Standing::Reached(-beyond) } else { Standing::Missed(beyond) }
    }

    /// By how much it is above the baseline.
    fn more(&self) -> Option<f64> {
        self.baseline.as_ref().map(|baseline| self.figure.value() - baseline.figure.value())
    }

    fn cells(&self) -> [String; 6] {
        let baseline = self.baseline.as_ref();
        [
            self.what.clone(),
            baseline.map_or("-".into(), |baseline| format!("{} ({})", baseline.figure, baseline.what)),
            self.figure.to_string(),
            baseline.map_or("-".into(), |baseline| Figure::Times(baseline.ratio).to_string()),
            bar(self.bar),
            standing(self.standing()),
        ]
    }
}

fn bar(bar: Bar) -> String {
    match bar {
        Bar::AtMost(figure) => format!("≤ {figure}"),
        Bar::AtLeast(figure) => format!("≥ {figure}"),
        Bar::RatioAtMost(ratio) => format!("≤ {ratio}x"),
        Bar::RatioAtLeast(ratio) => format!("≥ {ratio}x"),
        Bar::MoreAtMost(figure) => format!("≤ baseline + {figure}"),
        Bar::Open => "-".into(),
    }
}

fn standing(standing: Standing) -> String {
    match standing {
        Standing::Reached(by) => format!("reached, {:.0} % to spare", by * 100.0),
        Standing::Missed(by) => format!("MISSED by {:.0} %", by * 100.0),
        Standing::Open => "-".into(),
    }
}

const HEAD: [&str; 6] = ["what", "baseline", "measured", "ratio", "must reach", "result"];

/// The table in Markdown; what there is to say besides follows it.
pub(crate) fn markdown(lines: &[Line]) -> String {
    let mut text = format!("| {} |\n|{}\n", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    for line in lines {
        let _ = writeln!(text, "| {} |", line.cells().join(" | "));
    }
    text.push_str(&notes(lines));
    text
}

/// The table for a terminal; what there is to say besides follows it.
pub(crate) fn plain(lines: &[Line]) -> String {
    let rows: Vec<[String; 6]> = lines.iter().map(Line::cells).collect();
    let head = HEAD.map(str::to_owned);
    let mut widths = [0; 6];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text.push_str(&notes(lines));
    text
}

fn notes(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|line| !line.notes.is_empty()) {
        let _ = write!(text, "\n- {}: {}", line.what, line.notes.join(" "));
    }
    if text.is_empty() { text } else { text + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(figure: f64, ratio: f64, bar: Bar) -> Line {
        let baseline = Baseline { what: "plain".into(), figure: Figure::Seconds(2.0), ratio };
        Line { what: "x".into(), figure: Figure::Seconds(figure), baseline: Some(baseline), bar, notes: Vec::new() }
    }

    #[test]
    fn a_bar_is_reached_or_missed_by_a_share_of_it() {
        let standing = |bar| line(3.0, 1.5, bar).standing();
        assert_eq!(standing(Bar::AtMost(Figure::Seconds(4.0))), Standing::Reached(0.25));
        assert_eq!(standing(Bar::AtMost(Figure::Seconds(2.0))), Standing::Missed(0.5));
        assert_eq!(standing(Bar::AtLeast(Figure::Seconds(4.0))), Standing::Missed(0.25));
        assert_eq!(standing(Bar::RatioAtMost(2.0)), Standing::Reached(0.25));
        assert_eq!(standing(Bar::RatioAtLeast(1.0)), Standing::Reached(0.5));
        assert_eq!(standing(Bar::MoreAtMost(Figure::Seconds(4.0))), Standing::Reached(0.75));
        assert_eq!(standing(Bar::MoreAtMost(Figure::Seconds(0.5))), Standing::Missed(1.0));
        assert_eq!(standing(Bar::Open), Standing::Open);
    }

    #[test]
    fn what_is_compared_with_a_baseline_that_is_not_there_is_missed() {
        for bar in [Bar::RatioAtMost(2.0), Bar::MoreAtMost(Figure::Seconds(2.0))] {
            let line = Line { baseline: None, ..line(3.0, 1.5, bar) };
            assert_eq!(line.standing(), Standing::Missed(f64::INFINITY));
        }
    }

    #[test]
    fn a_line_tells_both_figures_and_the_bar() {
        let line = Line { notes: vec!["Why.".into()], ..line(3.0, 1.5, Bar::RatioAtMost(1.2)) };
        let told = markdown(std::slice::from_ref(&line));
        assert!(told.contains("| x | 2.00 s (plain) | 3.00 s | 1.50x | ≤ 1.2x | MISSED by 25 % |"), "{told}");
        assert!(told.ends_with("\n- x: Why.\n"), "{told}");
        assert!(plain(&[line]).contains("x     2.00 s (plain)  3.00 s    1.50x  ≤ 1.2x      MISSED by 25 %"));
    }
}
