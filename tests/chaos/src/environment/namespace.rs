//! A namespace of its own for the mounts of this process and of whatever it starts: disks are mounted there, seen nowhere
//! else, and gone with the last process, however it ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Set where this program runs in one.
const VARIABLE: &str = "CHAOS_NAMESPACE";
/// How one is made: by anybody, and by root where not anybody may.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// Begins this program anew, with the same arguments and the same process id, in a namespace of its own. Returns where it
/// runs in one already, and where the system gives none: then nothing can be mounted. Called before any thread is
/// started.
pub fn enter() -> io::Result<()> {
    if is_own() {
        return Ok(());
    }
    let Some(way) = WAYS.into_iter().find(|way| is_given(way)) else { return Ok(()) };
    let mut again = within(way);
    Err(again.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).exec())
}

/// Whether this program runs in a namespace of its own.
pub fn is_own() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

fn within(way: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(way).arg("--").env(VARIABLE, "own");
    command
}

/// Whether the system gives one in this way, and lets something be mounted there.
fn is_given(way: &[&str]) -> bool {
    let mut probe = within(way);
    probe.args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"]).stdin(Stdio::null()).stdout(Stdio::null());
    probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
