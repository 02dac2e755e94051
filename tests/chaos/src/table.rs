//! What is said of each scenario: one line of a table, and what is wrong below it. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::stage::Ending;

/// The line above all others.
pub const HEAD: &str =
    "scenario      messages  faults   lost   repeated / bound  misordered   stuck  wrong  drained after  passed in";

/// One line: what became of a scenario, and after how many seconds.
pub fn line(name: &str, ending: &Ending, seconds: f64) -> String {
    let Ending { verdict, faults, findings, drained, .. } = ending;
    let drained = drained.map_or_else(|| "never".to_owned(), |drained| format!("{:.1} s", drained.as_secs_f64()));
    let repeats = format!("{} / {}", verdict.repeated, verdict.bound);
    format!(
        "{name:<12}  {:>8}  {:>6}  {:>5}  {repeats:>17}  {:>10}  {:>6}  {:>5}  {drained:>13}  {:>7.1} s",
        verdict.messages,
        faults.values().sum::<u64>(),
        verdict.lost.count,
        verdict.misordered.count,
        verdict.stuck.count,
        verdict.wrong.count + findings.len() as u64,
        seconds
    )
}

/// Everything that is wrong, and each fault how often; nothing where all is as it has to be.
pub fn failures(ending: &Ending) -> Vec<String> {
    ending.verdict.failures().into_iter().chain(ending.findings.iter().cloned()).collect()
}

/// Faults by name.
pub fn faults(faults: &BTreeMap<&'static str, u64>) -> String {
    faults.iter().fold(String::new(), |mut text, (name, count)| {
        let _ = write!(text, "{}{count} {name}", if text.is_empty() { "" } else { ", " });
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::oracle::Verdict;

    #[test]
    fn a_line_stands_below_its_head() {
        let verdict = Verdict { messages: 5000, repeated: 17, bound: 1000, ..Verdict::default() };
        let faults = BTreeMap::from([("kill", 4), ("pause", 1)]);
        let drained = Some(Duration::from_millis(1250));
        let ending = Ending { verdict, faults, findings: Vec::new(), notes: Vec::new(), drained };
        let line = line("kill", &ending, 7.25);
        assert_eq!(line.len(), HEAD.len());
        for (words, head) in
            [("5000", "messages"), ("5", "faults"), ("17 / 1000", "repeated / bound"), ("1.2 s", "drained after")]
        {
            let (place, end) = (HEAD.find(head).unwrap(), HEAD.find(head).unwrap() + head.len());
            assert_eq!(&line[end - words.len()..end], words, "{head} at {place}");
        }
        assert_eq!((super::faults(&ending.faults), failures(&ending)), ("4 kill, 1 pause".into(), Vec::new()));
    }

    #[test]
    fn whatever_is_wrong_is_told() {
        let ending = Ending {
            verdict: Verdict { beyond: vec!["x".into()], ..Verdict::default() },
            faults: BTreeMap::new(),
            findings: vec!["host 1 ended by itself, with 101".into()],
            notes: Vec::new(),
            drained: None,
        };
        assert_eq!(failures(&ending), ["repeated too often: x", "host 1 ended by itself, with 101"]);
        assert!(line("kill", &ending, 1.0).contains("never"));
    }
}
