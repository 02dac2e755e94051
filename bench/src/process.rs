//! What another process costs, as `/proc` tells it.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// CPU time of another process so far, over all its threads; in steps of a clock tick, usually 10 ms.
pub(crate) fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&text).with_context(|| format!("{path} is not as expected"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Ticks in user and kernel mode, from what `/proc/…/stat` says.
fn ticks(stat: &str) -> Option<u64> {
    // The name may hold anything, so what follows it is counted from its last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

/// Bytes of memory that a process has in RAM now.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmRSS")
}

/// The most bytes of memory that a process had in RAM so far.
pub(crate) fn most_resident(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmHWM")
}

fn status(pid: u32, field: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    kibibytes(&text, field).map(|kibibytes| kibibytes << 10).with_context(|| format!("{path} does not say {field}"))
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_behind_any_name() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 4 0 5 1 1 1";
        assert_eq!(ticks(stat), Some(42));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(kibibytes("Name:\tx\nVmRSS:\t   120 kB\nVmHWM:\t 5 kB\n", "VmRSS"), Some(120));
        assert!(resident(std::process::id()).unwrap() > 0);
    }
}
