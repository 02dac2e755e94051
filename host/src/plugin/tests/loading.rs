//! From a file to a component, or a reason why not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::logs::lines_while;
use super::*;
use crate::plugin::{Binding, LoadError};

async fn load(component: &Path) -> Result<Component, LoadError> {
    ENGINE.load("probe", &Config { component: component.to_owned(), ..config() }).await
}

/// Loads what this text of a component compiles to.
async fn load_text(text: &str) -> LoadError {
    load_bytes(&wat::parse_str(text).unwrap()).await.unwrap_err()
}

async fn load_bytes(bytes: &[u8]) -> Result<Component, LoadError> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("guest.wasm");
    fs::write(&file, bytes).unwrap();
    load(&file).await
}

/// The probe, but describing itself in another way.
fn probe_in_mode(mode: &str) -> Vec<u8> {
    let mut bytes = fs::read(probe()).unwrap();
    let at = bytes.windows(mode.len()).position(|window| window == b"mode: plain").unwrap();
    bytes[at..at + mode.len()].copy_from_slice(mode.as_bytes());
    bytes
}

#[tokio::test]
async fn a_component_is_described() {
    let component = load(probe()).await.unwrap();
    let description = component.describe();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("probe", env!("CARGO_PKG_VERSION")));
    assert_eq!(description.description, "does what its message says");
    assert_eq!(description.config_schema, serde_json::json!({ "type": "object" }));
    assert_eq!(description.sha256, format!("{:x}", Sha256::digest(fs::read(probe()).unwrap())));
    assert_eq!(description.contract, "lockgate:plugin@0.1.0");
    assert!(description.imports.contains(&"lockgate:plugin/http@0.1.0".into()), "{:?}", description.imports);
}

#[tokio::test]
async fn a_pinned_component_is_that_one_or_none() {
    let sha256 = format!("{:X}", Sha256::digest(fs::read(probe()).unwrap()));
    let pinned = |sha256: &str| Config { sha256: Some(sha256.into()), ..config() };
    assert!(ENGINE.load("probe", &pinned(&sha256)).await.is_ok());
    let error = ENGINE.load("probe", &pinned("abc")).await.unwrap_err().to_string();
    assert!(error.contains(&sha256.to_lowercase()) && error.contains("not the pinned abc"), "{error}");
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_the_file() {
    let error = load(Path::new("/nowhere/guest.wasm")).await.unwrap_err();
    assert!(matches!(&error, LoadError::Read { .. }) && error.to_string().contains("/nowhere/guest.wasm"), "{error}");
    for (bytes, says) in [
        (b"not wasm".as_slice(), "guest.wasm is no WebAssembly file"),
        (b"", "guest.wasm is no WebAssembly file"),
        (b"\0asm\x01\0\0\0", "guest.wasm is a core module, not a component"),
        (b"\0asm\x0d\0\x01\0nonsense", "cannot be compiled"),
    ] {
        let error = load_bytes(bytes).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn imports_that_lead_outside_are_refused_by_name() {
    let error = load_text(
        r#"(component
            (import "wasi:sockets/tcp@0.2.0" (instance))
            (import "wasi:filesystem/preopens@0.2.0" (instance))
            (import "wasi:io/poll@0.2.0" (instance))
            (import "acme:things/thing@1.0.0" (instance)))"#,
    )
    .await
    .to_string();
    for named in ["`wasi:sockets/tcp@0.2.0`", "`wasi:filesystem/preopens@0.2.0`", "`acme:things/thing@1.0.0`"] {
        assert!(error.contains(named), "{error}");
    }
    assert!(!error.contains("wasi:io/poll"), "{error}");
}

#[tokio::test]
async fn a_component_of_another_kind_or_shape_is_no_plugin() {
    let error = load_text("(component)").await;
    assert!(matches!(&error, LoadError::Contract { .. }), "{error}");
    assert!(error.to_string().contains("it does not export `lockgate:plugin/lifecycle`"), "{error}");
    let error = load_text(
        r#"(component
            (instance $empty)
            (export "lockgate:plugin/lifecycle@0.1.0" (instance $empty))
            (export "lockgate:plugin/processor@0.1.0" (instance $empty)))"#,
    )
    .await;
    assert!(matches!(&error, LoadError::Contract { .. }) && error.to_string().contains("describe"), "{error}");
}

#[tokio::test]
async fn a_component_that_cannot_describe_itself_is_refused() {
    for (mode, reason) in [
        ("mode: calls", "it called `log.log`, which may not be called while it describes itself"),
        ("mode: panic", "it last wrote: cannot be described"),
        ("mode: wrong", "its config schema is no JSON"),
    ] {
        let error = load_bytes(&probe_in_mode(mode)).await.unwrap_err();
        assert!(matches!(&error, LoadError::Describe { .. }) && error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_config_is_bound_or_refused_in_the_plugins_own_words() {
    let component = load(probe()).await.unwrap();
    let binding = Binding {
        outputs: vec!["out".into()],
        endpoints: vec!["files".into()],
        stores: vec!["cache".into()],
        keyvalues: Vec::new(),
    };
    assert_eq!(component.bind("{}").await, Ok(binding));
    assert_eq!(component.bind(r#"{ "fail": 1 }"#).await, Err("field `fail`: not like this".into()));
    let trapped = component.bind(r#"{ "panic": 1 }"#).await.unwrap_err();
    assert!(trapped.ends_with("it last wrote: cannot be configured"), "{trapped}");
    let forbidden = component.bind(r#"{ "http": 1 }"#).await.unwrap_err();
    assert!(forbidden.contains("it called `http.send`, which may not be called while it is configured"), "{forbidden}");
}

/// Loads the probe with a new engine on this cache, and says whether it was compiled for that.
async fn compiles(cache: &Path) -> bool {
    let engine = Engine::new(EngineSettings { slots: 1, cache: Some(cache.to_owned()) }).unwrap();
    let (loaded, lines) = lines_while(engine.load("probe", &config())).await;
    assert_eq!(loaded.unwrap().describe().name, "probe");
    let sources: Vec<&Value> = lines.iter().filter_map(|line| line.get("source")).collect();
    assert_eq!(sources.len(), 1, "{lines:?}");
    sources == ["Compiler"]
}

#[tokio::test]
async fn a_component_is_compiled_once_and_again_when_its_file_is_damaged() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("compiled");
    assert!(compiles(&cache).await);
    assert!(!compiles(&cache).await);
    let file = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&file).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    for damaged in [altered.as_slice(), &whole[..whole.len() / 2], b"", b"short"] {
        fs::write(&file, damaged).unwrap();
        assert!(compiles(&cache).await, "{} bytes", damaged.len());
        assert_eq!(fs::read(&file).unwrap().len(), whole.len(), "it was written anew");
    }
    let foreign: Vec<u8> = [Sha256::digest(b"not compiled").as_slice(), b"not compiled"].concat();
    fs::write(&file, foreign).unwrap();
    assert!(compiles(&cache).await);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "nothing else is left there");
}

#[tokio::test]
async fn a_cache_that_others_may_write_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = Engine::new(EngineSettings { slots: 1, cache: Some(folder.path().to_owned()) }).unwrap_err();
    assert!(error.to_string().contains("others may write it"), "{error}");
    let parent = TempDir::new().unwrap();
    let made = parent.path().join("made/here");
    Engine::new(EngineSettings { slots: 1, cache: Some(made.clone()) }).unwrap();
    assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700, "one that is made is the host's alone");
}
