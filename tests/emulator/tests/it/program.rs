//! The program, as others start it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tokio::net::TcpStream;
use xtask::eventhubs::Emulator;

const PROGRAM: &str = env!("CARGO_BIN_EXE_eventhubs-emulator");

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[tokio::test]
async fn it_listens_until_whoever_started_it_has_no_use_for_it() {
    let emulator = Emulator::start(Path::new(PROGRAM), &file("hubs.yaml")).unwrap();
    let control = emulator.control().strip_prefix("http://").unwrap().to_owned();
    TcpStream::connect(emulator.address()).await.unwrap();
    TcpStream::connect(&control).await.unwrap();
    let (_, port) = emulator.address().rsplit_once(':').unwrap();
    assert!(emulator.connection_string().starts_with(&format!("Endpoint=sb://localhost:{port};")));
    assert!(std::fs::read_to_string(emulator.ca()).unwrap().contains("BEGIN CERTIFICATE"));
    let (address, ca) = (emulator.address().to_owned(), emulator.ca().to_owned());
    drop(emulator);
    assert!(TcpStream::connect(address).await.is_err() && !ca.exists());
}

#[test]
fn one_for_tests_begins_without_a_hub() {
    let emulator = Emulator::for_tests(Path::new(PROGRAM)).unwrap();
    let names: Vec<&str> = emulator.environment().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["LOCKGATE_EVENT_HUBS", "LOCKGATE_EVENT_HUBS_CONTROL", "LOCKGATE_EVENT_HUBS_CA"]);
    assert_eq!(emulator.ask("GET", "/", &json!({})).unwrap()["hubs"], json!({}));
    emulator.ask("POST", "/hubs/orders", &json!({ "partitions": 2 })).unwrap();
    let partitions = emulator.ask("GET", "/", &json!({})).unwrap()["hubs"]["orders"]["partitions"].clone();
    assert_eq!(partitions.as_array().unwrap().len(), 2);
    let refused = emulator.ask("POST", "/drop/everything", &json!({})).unwrap_err().to_string();
    assert!(refused.starts_with("the Event Hubs emulator does not POST /drop/everything"), "{refused}");
    let refused = emulator.ask("POST", "/hubs/orders", &json!({ "partitions": 2 })).unwrap_err().to_string();
    assert!(refused.contains("there is a hub `orders` already"), "{refused}");
}

#[test]
fn it_ends_with_its_input_where_it_is_told_to() {
    let ca = tempfile::NamedTempFile::new().unwrap();
    let mut program = Command::new(PROGRAM);
    program.arg("--config").arg(file("hubs.yaml")).arg("--ca").arg(ca.path()).arg("--attached");
    program.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    program.env("EMULATOR_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut program = program.spawn().unwrap();
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "hubs: { a: { partitions: 0 } }").unwrap();
    let done = Command::new(PROGRAM).arg("--config").arg(config.path()).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && said.contains("nonzero") && said.contains("partitions"), "{said}");
}
