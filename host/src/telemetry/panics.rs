//! What a panic tells: where and why, in the manner of the log, without queries of URLs. It never asks the log: a panic
//! may come while somebody holds it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::LogFormat;
use crate::model::without_queries;

/// From now on panics of this process are told so.
pub(super) fn tell(format: LogFormat) {
    panic::set_hook(Box::new(move |panic| {
        // When nobody reads, it is lost.
        let _ = io::stderr().write_all(line(format, panic).as_bytes());
    }));
}

fn line(format: LogFormat, panic: &PanicHookInfo<'_>) -> String {
    let mut timestamp = String::new();
    // Without a time it is told all the same.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let reason = without_queries(panic.payload_as_str().unwrap_or("something that is no text"));
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    // Only where RUST_BACKTRACE asks for it. It names functions, never values.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    match format {
        LogFormat::Text => {
            let backtrace = backtrace.map(|backtrace| format!("\n{backtrace}")).unwrap_or_default();
            format!("{timestamp} ERROR panic: {reason} place={place}{backtrace}\n")
        }
        LogFormat::Json => {
            let line = serde_json::json!({
                "timestamp": timestamp, "level": "ERROR", "target": "panic", "message": reason, "place": place,
                "backtrace": backtrace,
            });
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use indicatif::MultiProgress;

    use super::super::init;
    use super::*;

    /// What the children of [`a_panic_tells_no_secret`] do. In a thread, as tasks panic.
    fn panicked(format: LogFormat) {
        init(format, &MultiProgress::new()).unwrap();
        let secret = crate::model::Secret::new("SENTINEL-of-a-secret");
        let panics =
            move || panic!("lost {secret:?} and {secret} on https://me:SENTINEL@h/f?sig=SENTINEL, token=SENTINEL");
        assert!(std::thread::spawn(panics).join().is_err());
    }

    #[test]
    #[ignore = "run by a_panic_tells_no_secret"]
    fn panics_in_text() {
        panicked(LogFormat::Text);
    }

    #[test]
    #[ignore = "run by a_panic_tells_no_secret"]
    fn panics_in_json() {
        panicked(LogFormat::Json);
    }

    #[test]
    fn a_panic_tells_no_secret() {
        for name in ["text", "json"] {
            let child = format!("telemetry::panics::tests::panics_in_{name}");
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &child, "--ignored", "--nocapture"])
                .env_remove("RUST_BACKTRACE")
                .output()
                .unwrap();
            let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && out.contains("1 passed"), "{output:?}");
            let line = told.lines().find(|line| line.contains("lost [secret] and [secret] on https://…@h/f?…"));
            let line = line.unwrap_or_else(|| panic!("{name}: {told}"));
            assert!(line.contains("panics.rs:"), "{line}");
            assert!(!told.contains("SENTINEL") && !out.contains("SENTINEL"), "{name}: {told}{out}");
            if name == "json" {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
