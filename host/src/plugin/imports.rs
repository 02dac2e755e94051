//! What a component may import at all, and what it must export. A plugin reaches the world through the contract; of
//! WASI it gets what a language's standard library needs to start, and of that nothing that leads to files, sockets,
//! an environment or arguments. Whatever is not on the list is refused at load, by name.

/// The package of the contract.
const CONTRACT: &str = "lockgate:plugin/";
/// The contract's versions that this host speaks.
const CONTRACT_VERSIONS: &str = "0.1.";
/// Interfaces of the contract that a plugin may import.
const CAPABILITIES: [&str; 7] = ["blobs", "context", "http", "keyvalue", "log", "timers", "types"];

/// The WASI versions that are linked.
const WASI_VERSIONS: &str = "0.2.";
/// Interfaces of WASI that a plugin may import. Standard streams become log lines; clocks and random numbers are the
/// machine's; environment and arguments are empty.
const WASI: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The imports that are refused, each with what to use instead.
pub(super) fn refused<'a>(imports: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    imports
        .into_iter()
        .filter(|import| !is_allowed(import))
        .map(|import| format!("`{import}` ({})", advice(import)))
        .collect()
}

fn is_allowed(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    match interface.strip_prefix(CONTRACT) {
        Some(capability) => version.starts_with(CONTRACT_VERSIONS) && CAPABILITIES.contains(&capability),
        None => version.starts_with(WASI_VERSIONS) && WASI.contains(&interface),
    }
}

fn advice(import: &str) -> &'static str {
    let of = |package: &str| import.starts_with(package);
    if of("wasi:sockets/") || of("wasi:http/") {
        "a plugin has no network of its own: use `lockgate:plugin/http`"
    } else if of("wasi:filesystem/") {
        "a plugin has no files: use `lockgate:plugin/blobs`"
    } else if of(CONTRACT) {
        "this host does not offer it: it speaks version 0.1"
    } else {
        "this host does not offer it"
    }
}

/// The contract that a component with these exports was built against, such as `lockgate:plugin@0.1.0`; otherwise
/// why it is no plugin of this host.
pub(super) fn contract<'a>(exports: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let exports: Vec<(&str, &str)> =
        exports.into_iter().filter_map(|export| export.strip_prefix(CONTRACT)?.split_once('@')).collect();
    let version_of = |name: &str| exports.iter().find(|export| export.0 == name).map(|export| export.1);
    let Some(version) = version_of("lifecycle") else {
        return Err("it does not export `lockgate:plugin/lifecycle`".into());
    };
    if !version.starts_with(CONTRACT_VERSIONS) {
        return Err(format!("it was built against contract {version}; this host speaks version 0.1"));
    }
    match (version_of("processor"), version_of("batch-processor")) {
        (Some(_), _) => Ok(format!("lockgate:plugin@{version}")),
        (None, Some(_)) => Err("it takes batches, which this host does not call yet: export `processor`".into()),
        (None, None) => Err("it does not export `lockgate:plugin/processor`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_standard_library_needs_is_allowed() {
        let imports = ["wasi:cli/stderr@0.2.6", "wasi:io/streams@0.2.0", "lockgate:plugin/http@0.1.0"];
        assert_eq!(refused(imports), Vec::<String>::new());
    }

    #[test]
    fn files_sockets_and_strangers_are_refused_by_name() {
        for (import, advice) in [
            ("wasi:sockets/tcp@0.2.0", "use `lockgate:plugin/http`"),
            ("wasi:http/outgoing-handler@0.2.4", "use `lockgate:plugin/http`"),
            ("wasi:filesystem/types@0.2.6", "use `lockgate:plugin/blobs`"),
            ("lockgate:plugin/tables@0.1.0", "version 0.1"),
            ("lockgate:plugin/http@0.2.0", "version 0.1"),
            ("wasi:cli/stderr@0.3.0", "does not offer it"),
            ("wasi:cli/stderr", "does not offer it"),
            ("acme:things/thing@1.0.0", "does not offer it"),
            ("thing", "does not offer it"),
        ] {
            let refused = refused([import]);
            assert!(refused[0].contains(import) && refused[0].contains(advice), "{refused:?}");
        }
    }

    #[test]
    fn a_plugin_says_which_contract_it_was_built_against() {
        let lifecycle = "lockgate:plugin/lifecycle@0.1.3";
        assert_eq!(contract([lifecycle, "lockgate:plugin/processor@0.1.3"]), Ok("lockgate:plugin@0.1.3".into()));
        assert!(contract(["wasi:cli/run@0.2.0"]).unwrap_err().contains("`lockgate:plugin/lifecycle`"));
        assert!(contract([lifecycle]).unwrap_err().contains("`lockgate:plugin/processor`"));
        assert!(contract([lifecycle, "lockgate:plugin/batch-processor@0.1.3"]).unwrap_err().contains("batches"));
        assert!(contract(["lockgate:plugin/lifecycle@2.0.0"]).unwrap_err().contains("contract 2.0.0"));
    }
}
