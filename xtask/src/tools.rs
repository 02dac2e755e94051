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
    /// A Kafka broker, which needs Java.
    #[value(name = "kafka_broker")]
    Kafka,
    /// The Event Hubs emulator of the workspace, which needs nothing.
    #[value(name = "event_hubs_emulator")]
    EventHubs,
    /// The official Event Hubs clients, which need Python and Node.
    #[value(name = "official_client")]
    OfficialClient,
}

impl Part {
    /// Its word: in `--without`, and in the names of its tests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Azurite => "azurite",
            Self::Kafka => "kafka_broker",
            Self::EventHubs => "event_hubs_emulator",
            Self::OfficialClient => "official_client",
        }
    }
}

/// One tool.
struct Tool {
    name: &'static str,
    why: &'static str,
    how: &'static str,
    /// The tests that need it; the build does where there are none.
    parts: &'static [Part],
    is_there: fn() -> bool,
}

const TOOLS: [Tool; 11] = [
    Tool {
        name: "the Rust target wasm32-wasip2",
        why: "builds the plugins",
        how: "run `rustup target add wasm32-wasip2`",
        parts: &[],
        is_there: has_wasm_target,
    },
    Tool {
        name: "a C compiler",
        why: "builds the SQLite of the embedded log, the Kafka client and its OpenSSL",
        how: "install your system's compiler (`cc`), or set CC",
        parts: &[],
        is_there: || has_compiler("CC", "cc"),
    },
    Tool {
        name: "a C++ compiler",
        why: "belongs to the build of the Kafka client",
        how: "install your system's compiler (`c++`), or set CXX",
        parts: &[],
        is_there: has_cpp_compiler,
    },
    Tool {
        name: "CMake",
        why: "builds the Kafka client",
        how: "install your system's package `cmake`",
        parts: &[],
        is_there: || answers("cmake"),
    },
    Tool {
        name: "make",
        why: "builds the Kafka client and its OpenSSL",
        how: "install your system's package `make`",
        parts: &[],
        is_there: || answers("make"),
    },
    Tool {
        name: "Perl",
        why: "configures the Kafka client's OpenSSL",
        how: "install your system's package `perl`, with the modules that come with it (IPC::Cmd is one)",
        parts: &[],
        is_there: has_perl,
    },
    Tool {
        name: "Node",
        why: "runs the blob emulator and a client of Event Hubs",
        how: "install Node 20 or later",
        parts: &[Part::Azurite, Part::OfficialClient],
        is_there: || answers("node"),
    },
    Tool {
        name: "npm",
        why: "installs the blob emulator and a client of Event Hubs",
        how: "install it with Node",
        parts: &[Part::Azurite, Part::OfficialClient],
        is_there: || answers("npm"),
    },
    Tool {
        name: "Java",
        why: "runs the Kafka broker of the tests",
        how: "install a Java runtime of version 17 or later, with its `keytool`",
        parts: &[Part::Kafka],
        is_there: has_java,
    },
    Tool {
        name: "Maven",
        why: "fetches the Kafka broker of the tests",
        how: "install your system's package `maven`, so that there is an `mvn`",
        parts: &[Part::Kafka],
        is_there: || answers("mvn"),
    },
    Tool {
        name: "Python",
        why: "runs a client of Event Hubs in the tests of the emulator",
        how: "install Python 3.9 or later, with its modules `venv` and `pip`",
        parts: &[Part::OfficialClient],
        is_there: || succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
    },
];

/// Fails when a tool is missing that `parts` or the build itself need, and names all that are.
pub fn check(parts: &[Part]) -> anyhow::Result<()> {
    let needed =
        TOOLS.iter().filter(|tool| tool.parts.is_empty() || tool.parts.iter().any(|part| parts.contains(part)));
    let missing: Vec<String> = needed.filter(|tool| !(tool.is_there)()).map(describe).collect();
    if !missing.is_empty() {
        bail!("missing on this machine:\n{}", missing.join("\n"));
    }
    Ok(())
}

/// Fails where there is no C++ compiler, which builds the fuzzer.
pub fn check_for_fuzzing() -> anyhow::Result<()> {
    if !has_cpp_compiler() {
        bail!("a C++ compiler is missing, which builds libFuzzer: install your system's (`c++`), or set CXX");
    }
    Ok(())
}

fn describe(tool: &Tool) -> String {
    let Tool { name, why, how, parts, .. } = tool;
    let flags: String = parts.iter().map(|part| format!(" --without {}", part.word())).collect();
    let without = if flags.is_empty() { flags } else { format!("; or go without its tests:{flags}") };
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

fn has_cpp_compiler() -> bool {
    has_compiler("CXX", "c++")
}

fn has_compiler(variable: &str, usual: &str) -> bool {
    std::env::var(variable).is_ok_and(|compiler| answers(&compiler)) || answers(usual)
}

fn has_perl() -> bool {
    // Some systems pack the modules one by one.
    succeeds(Command::new("perl").args(["-MIPC::Cmd", "-e", "1"]))
}

fn has_java() -> bool {
    let told = Command::new("java").arg("--version").stderr(Stdio::null()).output();
    told.is_ok_and(|told| java_version(&String::from_utf8_lossy(&told.stdout)).is_some_and(|version| version >= 17))
        && succeeds(Command::new("keytool").arg("-help"))
}

/// The major version that `java --version` tells; those before 9 do not know the flag.
fn java_version(told: &str) -> Option<u32> {
    told.split_whitespace().nth(1)?.split(['.', '-', '+']).next()?.parse().ok()
}

fn answers(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = || Stdio::null();
    let status = command.stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    status.is_ok_and(|status| status.success())
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
            "  Node, which runs the blob emulator and a client of Event Hubs: install Node 20 or later; or go without its \
             tests: --without azurite --without official_client"
        );
    }

    #[test]
    fn the_version_of_java_is_read_as_every_vendor_tells_it() {
        for (told, version) in [
            ("openjdk 17.0.15 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("java 21 2023-09-19 LTS", Some(21)),
            ("openjdk 24-ea 2025-03-18", Some(24)),
            ("openjdk 11.0.20 2023-07-18", Some(11)),
            ("", None),
        ] {
            assert_eq!(java_version(told), version, "{told}");
        }
    }

    #[test]
    fn what_the_build_needs_cannot_be_left_out() {
        assert!(TOOLS.iter().filter(|tool| tool.parts.is_empty()).all(|tool| !describe(tool).contains("--without")));
    }
}
