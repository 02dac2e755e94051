//! What must be on the machine. Everything that is missing is named at once, with what leaves its tests out.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::bail;
use clap::ValueEnum;

/// Tests that can be left out where their tool is missing. Their names contain this word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// The blob emulator, which needs Node.
    Azurite,
}

impl Part {
    /// Its word: in `--without`, and in the names of its tests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Azurite => "azurite",
        }
    }
}

/// One tool.
struct Tool {
    name: &'static str,
    why: &'static str,
    how: &'static str,
    part: Option<Part>,
    is_there: fn() -> bool,
}

const TOOLS: [Tool; 4] = [
    Tool {
        name: "the Rust target wasm32-wasip2",
        why: "builds the plugins",
        how: "run `rustup target add wasm32-wasip2`",
        part: None,
        is_there: has_wasm_target,
    },
    Tool {
        name: "a C compiler",
        why: "builds the SQLite of the embedded log",
        how: "install your system's compiler (`cc`), or set CC",
        part: None,
        is_there: has_c_compiler,
    },
    Tool {
        name: "Node",
        why: "runs the blob emulator",
        how: "install Node 20 or later",
        part: Some(Part::Azurite),
        is_there: || answers("node"),
    },
    Tool {
        name: "npm",
        why: "installs the blob emulator",
        how: "install it with Node",
        part: Some(Part::Azurite),
        is_there: || answers("npm"),
    },
];

/// Fails when a tool is missing that `parts` or the build itself need, and names all that are.
pub fn check(parts: &[Part]) -> anyhow::Result<()> {
    let needed = TOOLS.iter().filter(|tool| tool.part.is_none_or(|part| parts.contains(&part)));
    let missing: Vec<String> = needed.filter(|tool| !(tool.is_there)()).map(describe).collect();
    if !missing.is_empty() {
        bail!("missing on this machine:\n{}", missing.join("\n"));
    }
    Ok(())
}

/// Fails where there is no C++ compiler, which builds the fuzzer and nothing else.
pub fn check_for_fuzzing() -> anyhow::Result<()> {
    let there = std::env::var("CXX").is_ok_and(|compiler| answers(&compiler)) || answers("c++");
    if !there {
        bail!("a C++ compiler is missing, which builds libFuzzer: install your system's (`c++`), or set CXX");
    }
    Ok(())
}

fn describe(tool: &Tool) -> String {
    let Tool { name, why, how, part, .. } = tool;
    let without = part.map(|part| format!("; or go without its tests: --without {}", part.word())).unwrap_or_default();
    format!("  {name}, which {why}: {how}{without}")
}

fn has_wasm_target() -> bool {
    let folder = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", "wasm32-wasip2"])
        .stderr(Stdio::null())
        .output();
    folder.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists()
    })
}

fn has_c_compiler() -> bool {
    std::env::var("CC").is_ok_and(|compiler| answers(&compiler)) || answers("cc")
}

fn answers(program: &str) -> bool {
    let quiet = || Stdio::null();
    Command::new(program)
        .arg("--version")
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_not_there_does_not_answer() {
        assert!(!answers("lockgate-has-no-such-program"));
    }

    #[test]
    fn what_is_missing_is_named_with_the_flag_that_goes_without() {
        let node = TOOLS.iter().find(|tool| tool.name == "Node").unwrap();
        assert_eq!(
            describe(node),
            "  Node, which runs the blob emulator: install Node 20 or later; or go without its tests: --without azurite"
        );
    }

    #[test]
    fn what_the_build_needs_cannot_be_left_out() {
        assert!(TOOLS.iter().filter(|tool| tool.part.is_none()).all(|tool| !describe(tool).contains("--without")));
    }
}
