//! A number with its unit.

use std::fmt;

/// A number with its unit.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(dead_code, reason = "some are for the rows that run the host as a process")]
pub(crate) enum Figure {
    /// Time, in seconds.
    Seconds(f64),
    /// CPU time of one message, in microseconds.
    MicrosEach(f64),
    /// Messages a second.
    PerSecond(f64),
    /// Bytes.
    Bytes(f64),
    /// Bytes a second.
    BytesPerSecond(f64),
    /// A share of one core, 1 for all of it.
    Cores(f64),
    /// How many.
    Count(f64),
    /// So many times as much.
    Times(f64),
}

impl Figure {
    /// The number, without its unit.
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Seconds(value)
            | Self::MicrosEach(value)
            | Self::PerSecond(value)
            | Self::Bytes(value)
            | Self::BytesPerSecond(value)
            | Self::Cores(value)
            | Self::Count(value)
            | Self::Times(value) => value,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Seconds(value) if value >= 1.0 => write!(f, "{value:.2} s"),
            Self::Seconds(value) if value >= 1e-3 => write!(f, "{:.1} ms", value * 1e3),
            Self::Seconds(value) => write!(f, "{:.2} µs", value * 1e6),
            Self::MicrosEach(value) => write!(f, "{value:.2} µs"),
            Self::PerSecond(value) => write!(f, "{} /s", grouped(value)),
            Self::Bytes(value) => bytes(f, value),
            Self::BytesPerSecond(value) => bytes(f, value).and_then(|()| f.write_str("/s")),
            Self::Cores(value) => write!(f, "{:.2} %", value * 100.0),
            Self::Count(value) => f.write_str(&grouped(value)),
            Self::Times(value) => write!(f, "{value:.2}x"),
        }
    }
}

fn bytes(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    const UNITS: [(f64, &str); 3] = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| value >= *unit) {
        Some((unit, name)) => write!(f, "{:.1} {name}", value / unit),
        None => write!(f, "{value:.0} B"),
    }
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_with_their_units() {
        let told = [
            Figure::Seconds(12.345),
            Figure::Seconds(0.0371),
            Figure::Seconds(2e-6),
            Figure::MicrosEach(2.996),
            Figure::PerSecond(1_234_567.0),
            Figure::Bytes(1536.0),
            Figure::Bytes(12.0),
            Figure::BytesPerSecond(2048.0),
            Figure::Cores(0.0125),
            Figure::Count(999.0),
            Figure::Times(1.2),
        ];
        let expected = [
            "12.35 s",
            "37.1 ms",
            "2.00 µs",
            "3.00 µs",
            "1,234,567 /s",
            "1.5 KiB",
            "12 B",
            "2.0 KiB/s",
            "1.25 %",
            "999",
            "1.20x",
        ];
        assert_eq!(told.map(|figure| figure.to_string()), expected);
    }
}
