//! What the table was measured on, in one line.

use std::fs;
use std::thread::available_parallelism;

use anyhow::Context;

/// Processors, kernel, and how much else runs.
pub(crate) fn told() -> anyhow::Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let processors = read("/proc/cpuinfo")?;
    let model = model(&processors).unwrap_or("unknown processors").to_owned();
    let (kernel, load) = (read("/proc/sys/kernel/osrelease")?, read("/proc/loadavg")?);
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let count = available_parallelism().context("cannot tell how many processors there are")?;
    Ok(format!("{count} x {model}, Linux {}, load {load} at the beginning", kernel.trim()))
}

fn model(processors: &str) -> Option<&str> {
    Some(processors.lines().find(|line| line.starts_with("model name"))?.split_once(':')?.1.trim())
}
