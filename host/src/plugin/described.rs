//! What a guest says of itself and of what its config needs, held within bounds: it is kept as long as the host runs,
//! printed to terminals and compared with the spec. Whether it is true is nobody's to say here.
//!
//! | what | at most |
//! |---|---|
//! | name | 128 bytes, and something |
//! | version | 64 bytes, and something |
//! | description | 4 KiB |
//! | config schema | 1 MiB of JSON |
//! | outputs, endpoints, stores, key-value stores | 256 each, names of 128 bytes |

use serde_json::Value;

use super::Binding;
use super::bindings::lifecycle::PluginInfo;

/// The longest name, in bytes.
const NAME_LIMIT: usize = 128;
/// The longest version, in bytes.
const VERSION_LIMIT: usize = 64;
/// The longest description, in bytes.
const DESCRIPTION_LIMIT: usize = 4 << 10;
/// The longest config schema, in bytes.
const SCHEMA_LIMIT: usize = 1 << 20;
/// The most names of one kind that a config may need.
const NAMES_LIMIT: usize = 256;

/// What a component says of itself.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) description: String,
    pub(super) config_schema: Value,
}

impl Described {
    /// Takes a component's word, or says why not.
    pub(super) fn read(info: PluginInfo) -> Result<Self, String> {
        let PluginInfo { name, version, description, config_schema, .. } = info;
        check_word("its name", &name, NAME_LIMIT)?;
        check_word("its version", &version, VERSION_LIMIT)?;
        check_length("its description", &description, DESCRIPTION_LIMIT)?;
        check_length("its config schema", &config_schema, SCHEMA_LIMIT)?;
        if description.chars().any(|c| c.is_control() && c != '\n') {
            return Err("its description has control characters".into());
        }
        let config_schema =
            serde_json::from_str(&config_schema).map_err(|error| format!("its config schema is no JSON: {error}"))?;
        Ok(Self { name, version, description, config_schema })
    }
}

/// Holds what a config needs within bounds.
pub(super) fn check_binding(binding: &Binding) -> Result<(), String> {
    let Binding { outputs, endpoints, stores, keyvalues } = binding;
    let kinds = [("outputs", outputs), ("endpoints", endpoints), ("stores", stores), ("key-value stores", keyvalues)];
    for (kind, names) in kinds {
        if names.len() > NAMES_LIMIT {
            return Err(format!("it names {} {kind}; {NAMES_LIMIT} are the most", names.len()));
        }
        names.iter().try_for_each(|name| check_word(&format!("a name among its {kind}"), name, NAME_LIMIT))?;
    }
    Ok(())
}

/// A word goes into log lines and headers: it is there, short, and shows as what it is.
fn check_word(what: &str, word: &str, limit: usize) -> Result<(), String> {
    check_length(what, word, limit)?;
    if word.trim().is_empty() {
        return Err(format!("{what} is empty"));
    }
    if word.chars().any(char::is_control) {
        return Err(format!("{what} has control characters"));
    }
    Ok(())
}

fn check_length(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(format!("{what} has {} bytes; {limit} are the most", text.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(change: impl FnOnce(&mut PluginInfo)) -> PluginInfo {
        let mut info = PluginInfo {
            name: "probe".into(),
            version: "1.0".into(),
            description: "two\nlines".into(),
            config_schema: "true".into(),
            attributes: Vec::new(),
        };
        change(&mut info);
        info
    }

    #[test]
    fn what_a_component_says_of_itself_has_bounds() {
        let read = |change: fn(&mut PluginInfo)| Described::read(info(change)).map(drop);
        assert_eq!(read(|_| {}), Ok(()));
        for (change, reason) in [
            ((|info| info.name = " ".into()) as fn(&mut PluginInfo), "its name is empty"),
            (|info| info.name = "a\u{1b}[2J".into(), "its name has control characters"),
            (|info| info.name = "a".repeat(129), "its name has 129 bytes; 128 are the most"),
            (|info| info.version = String::new(), "its version is empty"),
            (|info| info.version = "1".repeat(65), "its version has 65 bytes; 64 are the most"),
            (|info| info.description = "a\rb".into(), "its description has control characters"),
            (|info| info.description = "a".repeat(4097), "its description has 4097 bytes; 4096 are the most"),
            (
                |info| info.config_schema = " ".repeat(1 << 21),
                "its config schema has 2097152 bytes; 1048576 are the most",
            ),
            (
                |info| info.config_schema = "[".repeat(1000),
                "its config schema is no JSON: recursion limit exceeded at line 1 column 128",
            ),
        ] {
            assert_eq!(read(change), Err(reason.into()));
        }
    }

    #[test]
    fn what_a_config_needs_has_bounds() {
        let check = |change: fn(&mut Binding)| {
            let mut binding = Binding { outputs: vec!["out".into()], ..Binding::default() };
            change(&mut binding);
            check_binding(&binding)
        };
        assert_eq!(check(|_| {}), Ok(()));
        for (change, reason) in [
            ((|it| it.outputs = vec!["a".into(); 257]) as fn(&mut Binding), "it names 257 outputs; 256 are the most"),
            (|it| it.stores = vec!["a".repeat(129)], "a name among its stores has 129 bytes; 128 are the most"),
            (|it| it.endpoints = vec![String::new()], "a name among its endpoints is empty"),
            (|it| it.keyvalues = vec!["\0".into()], "a name among its key-value stores has control characters"),
        ] {
            assert_eq!(check(change), Err(reason.into()));
        }
    }
}
