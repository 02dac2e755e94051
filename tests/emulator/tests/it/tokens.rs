//! Links need tokens, and end with them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eventhubs_emulator::config::{Config, DEFAULT_KEY, Jwt, Key, Right};
use eventhubs_emulator::{Emulator, Faults};

use crate::client::{Client, Way, now, receive, sas, send, source};
use crate::scene::{SECRET, config, emulator, in_time};

async fn client(emulator: &Emulator) -> Client {
    Client::without_token(emulator, Way::Amqp).await.unwrap()
}

fn everything(path: &str, seconds: i64) -> String {
    sas(DEFAULT_KEY, SECRET, path, seconds)
}

async fn refused_sender(client: &mut Client, address: &str) -> String {
    format!("{:?}", client.sender(address).await.unwrap_err())
}

#[tokio::test]
async fn without_a_token_no_link_is_attached() {
    let emulator = emulator().await;
    let mut client = client(&emulator).await;
    let refused = refused_sender(&mut client, "hub").await;
    assert!(refused.contains("'Send' claim(s) are required"), "{refused}");
    let refused = client.receiver_from(&source("0"), "amqp.annotation.x-opt-offset > '-1'", None).await.unwrap_err();
    assert!(format!("{refused:?}").contains("'Listen' claim(s) are required"), "{refused:?}");
}

#[tokio::test]
async fn a_token_is_good_for_its_path_and_no_other() {
    let emulator = emulator().await;
    let mut client = client(&emulator).await;
    client.put_token("hub/Partitions/1", &everything("hub/Partitions/1", 60)).await.unwrap();
    let mut sender = client.sender("hub/Partitions/1").await.unwrap();
    send(&mut sender, "allowed").await.unwrap();
    assert!(refused_sender(&mut client, "hub/Partitions/0").await.contains("UnauthorizedAccess"));
    assert!(refused_sender(&mut client, "hub").await.contains("UnauthorizedAccess"));
}

#[tokio::test]
async fn what_is_signed_with_another_key_is_no_token() {
    let emulator = emulator().await;
    let mut client = client(&emulator).await;
    let refused = client.put_token("hub", &sas(DEFAULT_KEY, "wrong", "hub", 60)).await.unwrap_err();
    assert!(refused.contains("401") && refused.contains("InvalidSignature"), "{refused}");
    let refused = client.put_token("hub", &everything("hub", -1)).await.unwrap_err();
    assert!(refused.contains("401") && refused.contains("ExpiredToken"), "{refused}");
    let refused = client.put_token("missing", &everything("missing", 60)).await.unwrap_err();
    assert!(refused.contains("404") && refused.contains("could not be found"), "{refused}");
    assert!(refused_sender(&mut client, "hub").await.contains("UnauthorizedAccess"));
}

#[tokio::test]
async fn a_key_that_may_only_send_does_not_receive() {
    let mut config = config();
    config.keys.insert("sender".to_owned(), Key { key: "other".to_owned(), rights: [Right::Send].into() });
    let emulator = Emulator::start(config).await.unwrap();
    let mut client = client(&emulator).await;
    client.put_token("hub", &sas("sender", "other", "hub", 60)).await.unwrap();
    send(&mut client.sender("hub").await.unwrap(), "allowed").await.unwrap();
    let refused = client.receiver_from(&source("0"), "amqp.annotation.x-opt-offset > '-1'", None).await.unwrap_err();
    assert!(format!("{refused:?}").contains("'Listen' claim(s) are required"), "{refused:?}");
}

#[tokio::test]
async fn a_web_token_is_good_where_there_is_a_secret() {
    let config = Config::parse("jwt: { secret: shared }\nhubs: { hub: { partitions: 1 } }").unwrap();
    let Some(Jwt { secret, audience }) = config.jwt.clone() else { panic!() };
    let emulator = Emulator::start(config).await.unwrap();
    let mut client = client(&emulator).await;
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"aud":"{audience}/","exp":{}}}"#, now() + 60);
    let signed = format!("{}.{}", part(r#"{"alg":"HS256"}"#.to_owned()), part(claims));
    let sign = |secret: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes())))
    };
    assert!(client.put_token("hub", &sign("wrong")).await.unwrap_err().contains("InvalidSignature"));
    client.put_token("hub", &sign(&secret)).await.unwrap();
    send(&mut client.sender("hub").await.unwrap(), "allowed").await.unwrap();
}

#[tokio::test]
async fn a_link_ends_when_its_token_expires() {
    let emulator = emulator().await;
    let mut client = client(&emulator).await;
    client.put_token("hub", &everything("hub", 2)).await.unwrap();
    let mut receiver = client.receiver("0", None).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let ended = receive(&mut receiver).await.unwrap_err();
    assert!(ended.contains("UnauthorizedAccess") && ended.contains("ExpiredToken"), "{ended}");
    let ended = in_time("the end", sender.on_detach()).await;
    assert!(format!("{ended:?}").contains("ExpiredToken"), "{ended:?}");
    assert!(refused_sender(&mut client, "hub").await.contains("ExpiredToken"));
}

#[tokio::test]
async fn a_token_that_is_renewed_keeps_its_links() {
    let emulator = emulator().await;
    let mut client = client(&emulator).await;
    client.put_token("hub", &everything("hub", 2)).await.unwrap();
    let mut receiver = client.receiver("0", None).await;
    // One that ends when it would have ended as well, to know when that is.
    client.put_token("hub/Partitions/1", &everything("hub/Partitions/1", 2)).await.unwrap();
    client.put_token("hub", &everything("hub/ConsumerGroups", 60)).await.unwrap_err();
    client.put_token("hub", &everything("hub", 60)).await.unwrap();
    let mut other = self::client(&emulator).await;
    other.put_token("hub", &everything("hub", 2)).await.unwrap();
    let mut ended = other.receiver("1", None).await;
    receive(&mut ended).await.unwrap_err();
    send(&mut client.sender("hub/Partitions/0").await.unwrap(), "after").await.unwrap();
    assert_eq!(receive(&mut receiver).await.unwrap().body, b"after");
}

#[tokio::test]
async fn tokens_expire_and_are_refused_on_demand() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver("0", None).await;
    emulator.expire_tokens();
    let ended = receive(&mut receiver).await.unwrap_err();
    assert!(ended.contains("ExpiredToken"), "{ended}");
    client.put_token("hub", &everything("hub", 60)).await.unwrap();
    client.receiver("0", None).await;
    emulator.set_faults(Faults { refuse_tokens: true, ..Faults::default() });
    assert!(client.put_token("hub", &everything("hub", 60)).await.unwrap_err().contains("401"));
    emulator.set_faults(Faults { token_ms: Some(1), ..Faults::default() });
    client.put_token("hub/Partitions/0", &everything("hub", 60)).await.unwrap();
    let mut alone = self::client(&emulator).await;
    alone.put_token("hub", &everything("hub", 60)).await.unwrap();
    let refused = match alone.sender("hub").await {
        Ok(mut sender) => format!("{:?}", in_time("the end", sender.on_detach()).await),
        Err(refused) => format!("{refused:?}"),
    };
    assert!(refused.contains("ExpiredToken"), "{refused}");
}
