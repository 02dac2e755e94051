use super::*;
use crate::model::Secret;
use crate::transport::event_hubs::config::Protocol;

const STRING: &str = "Endpoint=sb://Name.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=SENTINEL";
const EMULATOR: &str =
    "Endpoint=sb://localhost:5671;SharedAccessKeyName=root;SharedAccessKey=SENTINEL;UseDevelopmentEmulator=true";

fn config(text: &str) -> Config {
    serde_json::from_str(text).unwrap()
}

fn read_with(text: &str, secret: &str) -> Result<Service, String> {
    let secrets = Secrets([("hubs".to_owned(), Secret::new(secret))].into());
    read("bus".into(), &config(text), &secrets, &Clock::system(), |_: &str| None)
}

fn of_string(more: &str, secret: &str) -> Result<Service, String> {
    read_with(&format!(r#"{{"connection_string":"${{secrets.hubs}}","checkpoints":"lake"{more}}}"#), secret)
}

fn dialled(read: Result<Service, String>) -> (String, String, bool) {
    let read = read.unwrap();
    (read.namespace, format!("{}:{}", read.dial.host, read.dial.port), read.dial.tls.is_some())
}

fn told(read: Result<Service, String>) -> String {
    let error = read.err().expect("it was read");
    assert!(!error.contains("SENTINEL"), "{error}");
    error
}

#[test]
fn the_namespace_is_dialled_on_the_port_of_the_protocol() {
    let here = |host: &str, port: u16, tls| (host.to_owned(), format!("{host}:{port}"), tls);
    let name = "name.servicebus.windows.net";
    assert_eq!(dialled(of_string("", STRING)), here(name, 443, true));
    assert_eq!(dialled(of_string(r#","protocol":"amqp_tcp""#, STRING)), here(name, 5671, true));
    assert_eq!(dialled(of_string("", EMULATOR)), here("localhost", 5671, false));
    let sas = r#"{"namespace":"NAME.servicebus.windows.net","auth":{"key":{"name":"n","key":"${secrets.hubs}"}},"checkpoints":"lake"}"#;
    assert_eq!(dialled(read_with(sas, "SENTINEL")), here(name, 443, true));
}

#[test]
fn an_endpoint_is_dialled_instead() {
    for (said, host) in [
        ("Gate.example", "gate.example:443"),
        ("gate:8443", "gate:8443"),
        ("[::1]:9", "[::1]:9"),
        ("[::1]", "[::1]:443"),
    ] {
        let read = of_string(&format!(r#","endpoint":"{said}""#), STRING);
        assert_eq!(dialled(read), ("name.servicebus.windows.net".to_owned(), host.to_owned(), true));
    }
    for odd in ["", "a b", "gate:x", "https://gate", "[::1", "[x]:1", "gate:99999"] {
        assert!(told(of_string(&format!(r#","endpoint":"{odd}""#), STRING)).contains("`endpoint`"), "{odd}");
    }
}

#[test]
fn what_cannot_be_used_is_told_without_secrets() {
    assert!(told(of_string("", "SENTINEL")).contains("secret `hubs` is no connection string of Event Hubs"));
    assert!(told(of_string(r#","namespace":"n""#, STRING)).contains("either"));
    assert!(told(read_with(r#"{"checkpoints":"lake"}"#, "")).contains("either"));
    assert!(told(read_with(r#"{"checkpoints":"lake","connection_string":"${secrets.none}"}"#, "")).contains("`none`"));
    assert!(told(of_string(r#","ca":"/no/such.pem""#, STRING)).contains("/no/such.pem"));
    assert!(told(of_string(r#","proxy":{"url":"http://u:SENTINEL@p"}"#, STRING)).contains("`proxy.url`"));
    let identity = r#"{"namespace":"n","auth":{"workload_identity":{}},"checkpoints":"lake"}"#;
    assert!(told(read_with(identity, "")).contains("AZURE_TENANT_ID"));
    let odd = r#"{"namespace":"https://n","auth":{"managed_identity":{}},"checkpoints":"lake"}"#;
    assert!(told(read_with(odd, "")).contains("`namespace`"));
}

#[test]
fn identities_need_nothing_but_a_namespace() {
    let identity =
        r#"{"namespace":"n.example","auth":{"managed_identity":{}},"proxy":{"url":"http://p:1"},"checkpoints":"lake"}"#;
    assert_eq!(dialled(read_with(identity, "")).0, "n.example");
    let client = r#"{"namespace":"n.example","auth":{"client_secret":{"tenant_id":"t","client_id":"c","secret":"${secrets.hubs}"}},"proxy":{"url":"http://p:1"},"checkpoints":"lake"}"#;
    assert_eq!(dialled(read_with(client, "SENTINEL")).0, "n.example");
}

#[test]
fn a_connection_string_may_be_for_one_hub_only() {
    let read = of_string("", &format!("{STRING};EntityPath=Orders")).unwrap();
    assert!(read.check_entity("orders").is_ok());
    let failure = read.check_entity("retries").unwrap_err().to_string();
    assert!(failure.contains("hub Orders only"), "{failure}");
    assert_eq!(read.dial.protocol, Protocol::Websocket);
}
