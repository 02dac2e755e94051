//! What the demo lays over `pipelines.yaml`: its own folders, its origin, and waits of a second instead of minutes.

use std::path::Path;

use crate::simulators::file_origin::Ports;

/// The overlay of a demo in this folder.
pub(super) fn overlay(folder: &Path, ports: Ports) -> String {
    let place = |name: &str| quoted(&folder.join(name).display().to_string());
    let (bus, cache, lake) = (place("bus"), place("cache"), place("lake"));
    let Ports { origin, mirror, .. } = ports;
    // What fails twice waits in the retry topic, for seconds instead of minutes.
    let retry = "retry: { in_place: { attempts: 2, first: 500ms, max: 2s }, later: { delays: [1s, 2s] } }";
    format!(
        r#"# Written by the demo; see pipelines.yaml for what it lies over.
transports:
  bus: {{ log: {{ path: {bus} }} }}
stores:
  cache: {{ directory: {{ path: {cache} }} }}
  lake: {{ directory: {{ path: {lake} }} }}
endpoints:
  media:
    # The origin, and the mirror that it redirects to; a third place that it redirects to is not allowed.
    allow: ["http://127.0.0.1:{origin}", "http://127.0.0.1:{mirror}"]
    allow_addresses: ["127.0.0.0/8"]
    timeouts: {{ first_byte: 2s, stall: 10s }}
    # All files come from one host here, good and bad ones: no breaker.
    breaker: {{ failures: 1000, open_for: 1s }}
pipelines:
  claimx-download: {{ {retry} }}
  claimx-upload: {{ {retry} }}
  verisk-download: {{ {retry} }}
  verisk-upload: {{ {retry} }}
"#
    )
}

/// A text as YAML reads it, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forbidden_place_is_not_allowed() {
        let ports = Ports { origin: 4000, mirror: 4001, forbidden: 4002 };
        let overlay = overlay(Path::new("data/demo"), ports);
        assert!(overlay.contains(r#"["http://127.0.0.1:4000", "http://127.0.0.1:4001"]"#), "{overlay}");
        assert!(overlay.contains(r#"log: { path: "data/demo/bus" }"#), "{overlay}");
        assert!(!overlay.contains("4002"), "{overlay}");
    }
}
