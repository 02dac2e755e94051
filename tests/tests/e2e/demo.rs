//! The driver that `cargo xtask demo` starts, as a process.

use std::process::{Output, Stdio};

use e2e::support::lockgate::Lockgate;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::claims::{Claims, TASKS};
use crate::commands::eventually;

const DEMO: &str = env!("CARGO_BIN_EXE_demo");

struct Driver {
    claims: Claims,
}

impl Driver {
    async fn new() -> Self {
        Self { claims: Claims::new().await }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let place = &self.claims.place;
        let mut command = Command::new(DEMO);
        command.arg("--lockgate").arg(&place.program).arg("--spec").arg(&place.spec);
        command.arg("--folder").arg(&place.folder).args(arguments).current_dir(&place.root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.start(arguments).wait_with_output().await.unwrap()
    }

    /// The program with the spec of the demo that is under way.
    fn lockgate(&self) -> Lockgate {
        let place = &self.claims.place;
        let specs = [place.spec.clone(), place.folder.join("overlay.yaml")];
        Lockgate::new(place.program.clone(), &place.root, &specs)
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{told}\n{errors}", output.status);
    told
}

#[tokio::test]
async fn the_demo_says_what_became_of_its_tasks_and_starts_clean_again() {
    let driver = Driver::new().await;
    for _ in 0..2 {
        let told = succeeded(&driver.run(&["--tasks", "12"]).await);
        for line in ["12 tasks: ", "claimx-download", "verisk-upload", "checkpoints: ", "The files lie in "] {
            assert!(told.contains(line), "{line} is not in\n{told}");
        }
    }
}

#[tokio::test]
async fn the_commands_to_try_next_work() {
    let driver = Driver::new().await;
    let told = succeeded(&driver.run(&["--tasks", "12"]).await);
    let (_, next) = told.split_once("To try next:\n").unwrap();
    let commands: Vec<&str> = next.lines().take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    assert_eq!(commands.len(), 3, "{told}");
    for command in commands {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&driver.claims.place.root).stdin(Stdio::null());
        let answer = succeeded(&shell.kill_on_drop(true).output().await.unwrap());
        assert!(!answer.is_empty(), "`{command}` says nothing");
    }
}

#[tokio::test]
async fn a_killed_demo_goes_on_with_resume_and_loses_nothing() {
    let driver = Driver::new().await;
    let mut demo = driver.start(&["--tasks", &TASKS.to_string()]);
    let lockgate = driver.lockgate();
    eventually(async || lockgate.first("claimx-downloads-results", 3).await.ok()).await;
    demo.start_kill().unwrap();
    assert_eq!(demo.wait().await.unwrap().code(), None);

    let told = succeeded(&driver.run(&["--resume"]).await);
    assert!(told.contains(&format!("{TASKS} tasks: ")), "{told}");
}

#[tokio::test]
async fn a_difference_fails_the_demo() {
    let driver = Driver::new().await;
    succeeded(&driver.run(&["--tasks", "4"]).await);
    std::fs::write(driver.claims.place.folder.join("lake/stray.pdf"), "x").unwrap();
    let output = driver.run(&["--resume"]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("stray.pdf is stored, and no task asked for it"), "{told}");
}

#[tokio::test]
async fn there_is_nothing_to_resume_at_first() {
    let driver = Driver::new().await;
    let output = driver.run(&["--resume"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no demo to go on with"));
}

/// A script under the guard.
fn guarded(script: &str) -> Child {
    let mut command = Command::new(DEMO);
    command.args(["guard", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
async fn what_is_guarded_ends_when_the_guards_input_does() {
    let mut guard = guarded("echo started; exec sleep 86400");
    let mut output = BufReader::new(guard.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).await.unwrap();
    assert_eq!(line, "started\n");
    drop(guard.stdin.take());
    // The end of the output is the end of all that could write to it.
    assert_eq!(output.read_to_string(&mut line).await.unwrap(), 0);
    assert_eq!(guard.wait().await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn the_guard_ends_as_what_it_guards_does() {
    for code in [0, 2] {
        let mut guard = guarded(&format!("exit {code}"));
        let _input = guard.stdin.take();
        assert_eq!(guard.wait().await.unwrap().code(), Some(code));
    }
}
