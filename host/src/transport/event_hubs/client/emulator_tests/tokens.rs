//! Tokens of all kinds, their renewal and their end.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eventhubs_emulator::Faults;

use super::*;
use crate::model::Timestamp;
use crate::transport::event_hubs::config::{Auth, SharedKey};

/// Credentials other than a connection string's go with TLS.
fn config(scene: &Scene, auth: Auth) -> Config {
    Config {
        connection_string: None,
        namespace: Some("name.servicebus.windows.net".into()),
        auth: Some(auth),
        endpoint: Some(format!("localhost:{}", scene.emulator.address().port())),
        ca: Some(scene.folder.path().join("ca.pem")),
        ..scene.config()
    }
}

/// A web token that ends so many seconds from now.
fn jwt(seconds: u64) -> String {
    let expires = Clock::system().wall().0 / 1000 + seconds;
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let head = encode(r#"{"alg":"HS256","typ":"JWT"}"#.to_owned());
    let claims = encode(format!(r#"{{"aud":"https://eventhubs.azure.net","exp":{expires}}}"#));
    let key = hmac::Key::new(hmac::HMAC_SHA256, JWT.as_bytes());
    let signature = hmac::sign(&key, format!("{head}.{claims}").as_bytes());
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn works(client: &Client) {
    assert_eq!(in_time("a hub", client.hub("orders")).await, Ok(Hub { partitions: 2 }));
    send(client, 0, 0..1).await;
    let mut receiver = in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap();
    receive(&mut receiver, 1).await;
}

#[tokio::test]
async fn keys_signatures_and_token_files_sign_in() {
    let scene = Scene::new().await;
    let key = Auth::Key(SharedKey { name: DEFAULT_KEY.into(), key: SecretRef("hubs".into()) });
    works(&scene.client_of(&config(&scene, key), KEY)).await;
    let signing = sas::Signing::key(DEFAULT_KEY, KEY).unwrap();
    let signature = signing.token("sb://name.servicebus.windows.net", Clock::system().wall());
    works(&scene.client_of(&config(&scene, Auth::Sas(SecretRef("hubs".into()))), signature.text())).await;
    let file = scene.folder.path().join("token");
    for token in [jwt(600), signature.text().to_owned()] {
        std::fs::write(&file, token).unwrap();
        works(&scene.client_of(&config(&scene, Auth::TokenFile(file.clone())), "")).await;
    }
}

#[tokio::test]
async fn a_ready_signature_in_a_connection_string_signs_in() {
    let scene = Scene::new().await;
    let signing = sas::Signing::key(DEFAULT_KEY, KEY).unwrap();
    let signature = signing.token("sb://localhost/orders", Clock::system().wall());
    let port = scene.emulator.address().port();
    let string = format!(
        "Endpoint=sb://localhost:{port};SharedAccessSignature={};EntityPath=orders;UseDevelopmentEmulator=true",
        signature.text()
    );
    let client = scene.client_of(&scene.config(), &string);
    works(&client).await;
    let failure = client.hub("other").await.unwrap_err();
    assert!(matches!(failure, Failure::NotAllowed(_)), "{failure}");
}

#[tokio::test]
async fn a_signature_that_has_ended_is_told() {
    let scene = Scene::new().await;
    let signing = sas::Signing::key(DEFAULT_KEY, KEY).unwrap();
    let signature = signing.token("sb://name.servicebus.windows.net", Timestamp(0));
    let client = scene.client_of(&config(&scene, Auth::Sas(SecretRef("hubs".into()))), signature.text());
    let failure = in_time("a hub", client.hub("orders")).await.unwrap_err();
    assert!(matches!(failure, Failure::Unauthorized(_)) && !failure.to_string().contains("sig="), "{failure}");
}

#[tokio::test]
async fn a_token_is_renewed_while_links_live() {
    let scene = Scene::new().await;
    let file = scene.folder.path().join("token");
    std::fs::write(&file, jwt(4)).unwrap();
    let ends = Clock::system().wall().after(Duration::from_secs(4));
    let client = scene.client_of(&config(&scene, Auth::TokenFile(file.clone())), "");
    let mut receiver = in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap();
    let sender = in_time("a sender", client.sender("orders", Some(0))).await.unwrap();
    std::fs::write(&file, jwt(600)).unwrap();
    let mut count = 0;
    while Clock::system().wall() <= ends.after(Duration::from_millis(500)) {
        in_time("an outcome", sender.send(vec![encoded(count.to_string())], None)).await.unwrap();
        assert_eq!(payloads(receive(&mut receiver, 1).await), [count.to_string()]);
        count += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(count > 1);
}

#[tokio::test]
async fn a_link_whose_token_ended_is_attached_again_with_another() {
    let scene = Scene::new().await;
    let client = scene.client();
    let mut receiver = in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap();
    let sender = in_time("a sender", client.sender("orders", Some(0))).await.unwrap();
    scene.emulator.expire_tokens();
    let failure = in_time("an end", receiver.next(1, 1)).await.unwrap_err();
    assert!(failure.is_transient(), "{failure}");
    in_time("an outcome", async { while sender.send(vec![encoded("0")], None).await.is_err() {} }).await;
    let mut receiver = in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap();
    receive(&mut receiver, 1).await;
}

#[tokio::test]
async fn tokens_that_are_not_taken_for_a_while_are_told() {
    let scene = Scene::new().await;
    let client = scene.client();
    scene.emulator.set_faults(Faults { refuse_tokens: true, ..Faults::default() });
    let failure = in_time("a hub", client.hub("orders")).await.unwrap_err();
    assert!(matches!(failure, Failure::Unauthorized(_)), "{failure}");
    scene.emulator.set_faults(Faults::default());
    in_time("a hub", client.hub("orders")).await.unwrap();
}
