//! Coverage-guided fuzzing with libFuzzer, on the toolchain that builds everything else. Only this workspace's own
//! crates are compiled anew, so that they tell what they reach; what they lean on is what the tests have built. What a
//! fuzzer learns stays in the target folder; what is worth keeping goes into `fuzz/corpus` by hand.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{cargo, workspace};

/// The selection that [`cargo::programs`] has, so that the same features are built.
const BUILD: [&str; 10] = [
    "--package",
    "lockgate",
    "--package",
    "e2e",
    "--package",
    "lockgate-fuzz",
    "--bin",
    "fuzz",
    "--features",
    "lockgate-fuzz/libfuzzer",
];
/// Says which target the program runs.
const VARIABLE: &str = "LOCKGATE_FUZZ";
/// An input on which a target takes longer is a find.
const LONGEST_RUN: &str = "-timeout=10";
/// And one on which it takes more memory, in MiB.
const MOST_MEMORY: &str = "-rss_limit_mb=2048";

/// The targets of these names, or all; they are the folders of kept inputs.
pub fn chosen(names: &[String]) -> anyhow::Result<Vec<String>> {
    let folders = fs::read_dir(corpora())?.collect::<Result<Vec<_>, _>>()?;
    let mut known: Vec<String> =
        folders.iter().map(|folder| folder.file_name().to_string_lossy().into_owned()).collect();
    known.sort();
    if let Some(stranger) = names.iter().find(|name| !known.contains(name)) {
        bail!("no target is called `{stranger}`; there are {}", known.join(", "));
    }
    Ok(if names.is_empty() { known } else { names.to_vec() })
}

fn corpora() -> PathBuf {
    workspace::root().join("fuzz/corpus")
}

/// The program that libFuzzer drives.
#[derive(Clone, Debug)]
pub struct Fuzzer {
    program: PathBuf,
    /// What was learnt and found.
    folder: PathBuf,
}

impl Fuzzer {
    /// Builds it.
    pub fn build() -> anyhow::Result<Self> {
        let mut cargo = cargo::cargo();
        cargo.env("RUSTC_WORKSPACE_WRAPPER", workspace::root().join("fuzz/instrument"));
        let artifacts = cargo::build_by(cargo, &BUILD)?;
        let program = artifacts.into_iter().filter(|artifact| artifact.name == "fuzz").find_map(|it| it.executable);
        let program = program.context("the build made no `fuzz`")?;
        let folder = program.ancestors().nth(2).context("the program lies in no target folder")?.join("fuzz");
        Ok(Self { program, folder })
    }

    /// Looks for inputs that break a property, in one target after another, so long in each; fails when there is one.
    pub fn look(&self, targets: &[String], seconds: NonZeroU32) -> anyhow::Result<()> {
        let mut broken = Vec::new();
        for target in targets {
            println!("== {target}");
            let learnt = self.folder.join("learnt").join(target);
            let finds = self.folder.join("finds").join(target);
            fs::create_dir_all(&learnt)?;
            fs::create_dir_all(&finds)?;
            let mut run = self.program(target, seconds);
            run.arg(format!("-artifact_prefix={}/", finds.display()));
            let words = corpora().with_file_name("words").join(target);
            if words.exists() {
                run.arg(format!("-dict={}", words.display()));
            }
            // What is new goes into the first folder.
            run.arg(&learnt).arg(corpora().join(target));
            if !run.status().context("cannot start the fuzzer")?.success() {
                broken.push(finds);
            }
        }
        report(&broken)
    }

    /// Makes an input smaller that breaks a property, and says where the small one lies.
    pub fn shrink(&self, target: &str, find: &Path, seconds: NonZeroU32) -> anyhow::Result<()> {
        let small = find.with_extension("small");
        let mut run = self.program(target, seconds);
        run.arg("-minimize_crash=1").arg(format!("-exact_artifact_path={}", small.display())).arg(find);
        cargo::run(&mut run)?;
        println!("the smallest that breaks the same: {}", workspace::shown(&small));
        Ok(())
    }

    fn program(&self, target: &str, seconds: NonZeroU32) -> Command {
        let mut program = Command::new(&self.program);
        program.env(VARIABLE, target).args([LONGEST_RUN, MOST_MEMORY]);
        program.arg(format!("-max_total_time={seconds}"));
        program
    }
}

fn report(broken: &[PathBuf]) -> anyhow::Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    let places: Vec<String> = broken.iter().map(|folder| workspace::shown(folder)).collect();
    bail!(
        "a property is broken, as said above; the input lies in\n  {}\nKeep it in fuzz/corpus under a name that says \
         what it is: `cargo test --package lockgate-fuzz` runs it from then on",
        places.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_targets_are_meant_where_none_is_named() {
        let all = chosen(&[]).unwrap();
        assert!(all.contains(&"spec".to_owned()) && all.is_sorted(), "{all:?}");
        assert_eq!(chosen(&["url".to_owned()]).unwrap(), ["url"]);
    }

    #[test]
    fn a_target_that_is_none_is_named_with_those_there_are() {
        let refused = chosen(&["spek".to_owned()]).unwrap_err().to_string();
        assert!(refused.contains("`spek`; there are checkpoint, "), "{refused}");
    }

    #[test]
    fn what_is_broken_is_said_with_where_its_input_lies() {
        assert!(report(&[]).is_ok());
        let said = report(&["/t/fuzz/finds/url".into()]).unwrap_err().to_string();
        assert!(said.contains("/t/fuzz/finds/url"), "{said}");
    }
}
