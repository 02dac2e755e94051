use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn authority() -> Authority {
    let config = "
keys:
  root: { key: secret }
  sender: { key: other, rights: [send] }
jwt: { secret: shared }
";
    Authority::new(&Config::parse(config).unwrap())
}

fn signed(key: &str, text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), text.as_bytes())
}

fn sas(name: &str, key: &str, resource: &str, expiry: i64) -> String {
    let resource = utf8_percent_encode(resource, NON_ALPHANUMERIC).to_string();
    let signature = STANDARD.encode(signed(key, &format!("{resource}\n{expiry}")));
    let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC).to_string();
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={name}")
}

fn jwt(secret: &str, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed(secret, &text)))
}

fn refused(kind: &str, token: &str, audience: &str) -> String {
    authority().check(kind, token, audience, now()).unwrap_err().to_string()
}

#[test]
fn a_signature_grants_what_its_key_may_until_it_expires() {
    let token = sas("sender", "other", "sb://host/eh", NOW + 60);
    let grant = authority().check(SAS, &token, "sb://host/EH/ConsumerGroups/g/Partitions/0", now()).unwrap();
    assert_eq!(grant.path, "eh/consumergroups/g/partitions/0");
    assert_eq!(grant.rights, BTreeSet::from([Right::Send]));
    assert_eq!(grant.expires, Timestamp::from_second(NOW + 60).unwrap());
}

#[test]
fn a_signature_of_a_known_value_is_good() {
    // Made by `generate_sas_token` of azure-eventhub 5.15.1.
    let token = "SharedAccessSignature sr=sb%3A%2F%2Fmyns.servicebus.windows.net%2Feh1&sig=P9NcIkSww%2FcIyZ59Hn0glenSZIgaSWbNApqNEC1rOhY%3D&se=1900000000&skn=RootManageSharedAccessKey";
    let config = Config::parse("keys: { RootManageSharedAccessKey: { key: SAS_KEY_VALUE } }").unwrap();
    let checked = Authority::new(&config).check(SAS, token, "sb://myns.servicebus.windows.net/eh1", now());
    assert_eq!(checked.map(|grant| grant.expires.as_second()), Ok(1_900_000_000));
}

#[test]
fn what_is_signed_otherwise_is_refused() {
    let good = sas("root", "secret", "sb://host/eh", NOW + 60);
    let table = [
        (sas("root", "wrong", "sb://host/eh", NOW + 60), "InvalidSignature"),
        (sas("nobody", "secret", "sb://host/eh", NOW + 60), "InvalidSignature"),
        (good.replace(&format!("se={}", NOW + 60), &format!("se={}", NOW + 99)), "InvalidSignature"),
        (sas("root", "secret", "sb://host/eh", NOW), "ExpiredToken"),
        (sas("root", "secret", "sb://host/eh2", NOW + 60), "InvalidAudience"),
        (sas("root", "secret", "sb://host/eh/partitions/0", NOW + 60), "InvalidAudience"),
        ("SharedAccessSignature sr=x".to_owned(), "MalformedToken"),
        ("nonsense".to_owned(), "MalformedToken"),
    ];
    for (token, error) in table {
        let refused = refused(SAS, &token, "sb://host/eh");
        assert!(refused.starts_with(error), "{token}: {refused}");
    }
}

#[test]
fn a_web_token_grants_everything_until_it_expires() {
    for aud in [json!("https://eventhubs.azure.net"), json!(["x", "https://eventhubs.azure.net/"])] {
        let token = jwt("shared", &json!({ "alg": "HS256" }), &json!({ "aud": aud, "exp": NOW + 5 }));
        let grant = authority().check(JWTS[0], &token, "sb://host/eh", now()).unwrap();
        assert_eq!((grant.expires.as_second(), grant.rights.len()), (NOW + 5, 3));
    }
}

#[test]
fn a_web_token_that_is_forged_or_meant_for_others_is_refused() {
    let (hs256, aud) = (json!({ "alg": "HS256" }), "https://eventhubs.azure.net");
    let table = [
        (jwt("wrong", &hs256, &json!({ "aud": aud, "exp": NOW + 5 })), "InvalidSignature"),
        (jwt("shared", &json!({ "alg": "none" }), &json!({ "aud": aud, "exp": NOW + 5 })), "InvalidSignature"),
        (jwt("shared", &hs256, &json!({ "aud": aud, "exp": NOW - 5 })), "ExpiredToken"),
        (jwt("shared", &hs256, &json!({ "aud": "https://storage.azure.com", "exp": NOW + 5 })), "InvalidAudience"),
        (jwt("shared", &hs256, &json!({ "aud": aud, "exp": NOW + 5, "nbf": NOW + 1 })), "MalformedToken"),
        (jwt("shared", &hs256, &json!({ "aud": aud })), "MalformedToken"),
        ("a.b".to_owned(), "MalformedToken"),
    ];
    for (token, error) in table {
        let refused = refused(JWTS[0], &token, "sb://host/eh");
        assert!(refused.starts_with(error), "{token}: {refused}");
    }
    let token = jwt("shared", &hs256, &json!({ "aud": aud, "exp": NOW + 5 }));
    let without = Authority::new(&Config::default());
    assert_eq!(without.check(JWTS[0], &token, "sb://host/eh", now()), Err(TokenError::Signature));
}

fn grant(path: &str, rights: &[Right], expires: i64) -> Grant {
    let expires = Timestamp::from_second(expires).unwrap();
    Grant { path: path.to_owned(), rights: rights.iter().copied().collect(), expires }
}

#[test]
fn a_grant_covers_what_lies_below_it_with_its_rights_and_no_longer_than_it_lasts() {
    let mut grants = Grants::default();
    grants.put(grant("eh", &[Right::Send], NOW + 10));
    grants.put(grant("eh2", &[Right::Manage], NOW + 20));
    let until = |grants: &Grants, right, path: &str, second| {
        let until = grants.until(right, path, "sb://host/x", Timestamp::from_second(second).unwrap());
        until.map(Timestamp::as_second).map_err(|refusal| refusal.description)
    };
    assert_eq!(until(&grants, Right::Send, "eh/partitions/0", NOW), Ok(NOW + 10));
    assert_eq!(until(&grants, Right::Listen, "eh2/consumergroups/g/partitions/0", NOW), Ok(NOW + 20));
    let refused = until(&grants, Right::Listen, "eh/partitions/0", NOW).unwrap_err();
    assert_eq!(
        refused,
        "Unauthorized access. 'Listen' claim(s) are required to perform this operation. Resource: 'sb://host/x'."
    );
    assert!(until(&grants, Right::Send, "eh", NOW + 10).unwrap_err().starts_with("ExpiredToken"));
    grants.put(grant("eh", &[Right::Send], NOW + 30));
    assert_eq!(until(&grants, Right::Send, "eh", NOW + 10), Ok(NOW + 30));
    grants.expire(now());
    assert!(until(&grants, Right::Send, "eh", NOW + 1).is_err());
}
