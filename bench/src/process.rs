//! What another process costs, as `/proc` tells it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};

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

/// CPU time of another process by thread, in nanoseconds: for what takes too little to be told in ticks. A thread that
/// ended takes its time with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Threads(BTreeMap<u32, u64>);

impl Threads {
    /// So far.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let folder = format!("/proc/{pid}/task");
        let threads = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
        let mut times = BTreeMap::new();
        for thread in threads {
            let thread = thread?;
            // One that ended in this moment has nothing to tell.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let id = thread.file_name().to_string_lossy().parse();
            let time = text.split_whitespace().next().and_then(|time| time.parse().ok());
            let (Ok(id), Some(time)) = (id, time) else { bail!("{folder} is not as expected: {text:?}") };
            times.insert(id, time);
        }
        Ok(Self(times))
    }

    /// What was taken since then.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let taken = |(id, time): (&u32, &u64)| time.saturating_sub(before.0.get(id).copied().unwrap_or_default());
        Duration::from_nanos(self.0.iter().map(taken).sum())
    }
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
    fn the_time_of_threads_is_that_of_each_since_then_and_all_of_new_ones() {
        let (before, after) = (Threads([(1, 5), (2, 70)].into()), Threads([(1, 9), (3, 30)].into()));
        assert_eq!(after.since(&before), Duration::from_nanos(34));
    }

    #[test]
    fn what_this_process_computes_is_in_its_threads() {
        let before = Threads::of(std::process::id()).unwrap();
        let computed = || Threads::of(std::process::id()).unwrap().since(&before);
        // Threads of other tests end meanwhile, which is no time that was computed.
        let found = (0..100_000).find(|_| computed() > Duration::ZERO);
        assert!(found.is_some(), "nothing after 100,000 looks");
    }

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
