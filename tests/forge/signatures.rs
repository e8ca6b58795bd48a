//! How GitHub signs deliveries, and what is said of those that are signed and make no sense.

use bytes::Bytes;
use refward::forge::Rejected;

use crate::support::fake_github::hooks::signature;
use crate::{github, headers, posted, secret};

#[test]
fn a_form_says_the_same_as_json() {
    let json = r#"{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","after":"0000000000000000000000000000000000000000","repository":{"id":42,"full_name":"acme/api"}}"#;
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", json).finish();
    let read = |kind: &str, body: &str| {
        let headers = headers(&[
            ("content-type", kind),
            ("x-github-event", "push"),
            ("x-github-delivery", "d1"),
            ("x-hub-signature-256", &signature("s3cret", body.as_bytes())),
        ]);
        let forge = github();
        let Ok(verified) = forge.verify(posted(&headers, body.to_owned()), &[secret(1, "s3cret")]) else { panic!() };
        forge.read(&verified).unwrap()
    };
    assert_eq!(read("application/x-www-form-urlencoded", &form), read("application/json; charset=utf-8", json));
}

#[test]
fn what_is_no_signature_opens_nothing() {
    for proof in ["", "sha256=", "sha256=zz", "sha1=00", "sha256=00"] {
        let headers = headers(&[("content-type", "application/json"), ("x-hub-signature-256", proof)]);
        let refused = github().verify(posted(&headers, "{}"), &[secret(1, "s3cret")]);
        assert_eq!(refused.err(), Some(Rejected::Unauthenticated), "{proof}");
    }
}

#[test]
fn githubs_own_test_vector() {
    let digest = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = headers(&[("x-hub-signature-256", digest)]);
    let body = Bytes::from_static(b"Hello, World!");
    assert!(github().verify(posted(&headers, body), &[secret(1, "It's a Secret to Everybody")]).is_ok());
}

#[test]
fn a_signed_request_that_makes_no_sense_is_told_why() {
    let form = "application/x-www-form-urlencoded";
    for (kind, event, delivery, body, why) in [
        ("application/json", "", "d1", "{}", Rejected::Malformed("X-GitHub-Event is missing")),
        ("application/json", "push", "", "{}", Rejected::Malformed("X-GitHub-Delivery is missing or malformed")),
        ("application/json", "push", "d 1", "{}", Rejected::Malformed("X-GitHub-Delivery is missing or malformed")),
        ("application/json", "push", "d1", "{", Rejected::Malformed("the payload is not JSON")),
        ("application/json", "push", "d1", "[]", Rejected::Malformed("the payload is not a JSON object")),
        ("application/json", "push", "d1", "{}", Rejected::Malformed("the payload names no repository")),
        (form, "push", "d1", "x=1", Rejected::Malformed("the form has no field `payload`")),
        (form, "push", "d1", "payload=%7B", Rejected::Malformed("the payload is not JSON")),
        ("text/plain", "push", "d1", "{}", Rejected::UnsupportedType),
        ("", "push", "d1", "{}", Rejected::UnsupportedType),
    ] {
        let proof = signature("s3cret", body.as_bytes());
        let headers = headers(&[
            ("content-type", kind),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &proof),
        ]);
        let forge = github();
        let Ok(verified) = forge.verify(posted(&headers, body), &[secret(1, "s3cret")]) else { panic!("{why}") };
        assert_eq!(forge.read(&verified), Err(why));
    }
}

#[test]
fn a_payload_of_a_thousand_levels_is_refused_not_a_crash() {
    let body = format!("{}{}", "{\"a\":".repeat(1000), "1".to_owned() + &"}".repeat(1000));
    let headers = headers(&[
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "d1"),
        ("x-hub-signature-256", &signature("s3cret", body.as_bytes())),
    ]);
    let forge = github();
    let Ok(verified) = forge.verify(posted(&headers, body), &[secret(1, "s3cret")]) else { panic!() };
    assert_eq!(forge.read(&verified), Err(Rejected::Malformed("the payload is not JSON")));
}
