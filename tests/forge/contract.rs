//! What every forge promises about webhooks, whatever its dialect.

#[path = "contract/people.rs"]
mod people;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use refward::domain::{Change, ConnectionId};
use refward::forge::{Content, Delivery, Forge, Rejected, Signer};
use serde_json::{Value, json};

use crate::support::fake_github::hooks::signature;
use crate::{github, headers, posted, secret};

/// How a forge's deliveries look.
trait Dialect {
    fn forge(&self) -> Box<dyn Forge>;
    /// A delivery of `event` with `payload`, in one of the forge's encodings.
    fn deliver(&self, encoding: &str, id: &str, event: &str, payload: &Value, secret: &str) -> (HeaderMap, Bytes);
    /// The header that proves the sender.
    fn proof(&self) -> &'static str;
    /// Event and payload of: a push, a rename to `acme/new`, something unheard of.
    fn push(&self) -> (&'static str, Value);
    fn rename(&self) -> (&'static str, Value);
    fn unknown(&self) -> (&'static str, Value);
}

struct GithubDialect;

impl Dialect for GithubDialect {
    fn forge(&self) -> Box<dyn Forge> {
        github()
    }

    fn deliver(&self, encoding: &str, id: &str, event: &str, payload: &Value, secret: &str) -> (HeaderMap, Bytes) {
        let json = payload.to_string();
        let body = match encoding {
            "form" => url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish(),
            _ => json,
        };
        let kind =
            if encoding == "form" { "application/x-www-form-urlencoded" } else { "application/json; charset=utf-8" };
        let headers = headers(&[
            ("content-type", kind),
            ("x-github-event", event),
            ("x-github-delivery", id),
            ("x-hub-signature-256", &signature(secret, body.as_bytes())),
        ]);
        (headers, Bytes::from(body))
    }

    fn proof(&self) -> &'static str {
        "x-hub-signature-256"
    }

    fn push(&self) -> (&'static str, Value) {
        let payload = json!({
            "ref": "refs/heads/main",
            "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            "after": "0000000000000000000000000000000000000000",
            "forced": false,
            "repository": { "id": 42, "full_name": "acme/api", "private": true, "pushed_at": 1_557_933_591 },
            "sender": { "login": "mona" },
        });
        ("push", payload)
    }

    fn rename(&self) -> (&'static str, Value) {
        let repository = json!({ "id": "42", "full_name": "acme/new", "archived": false });
        ("repository", json!({ "action": "renamed", "repository": repository }))
    }

    fn unknown(&self) -> (&'static str, Value) {
        ("teleported", json!({ "action": "twice", "repository": { "id": 42, "full_name": "acme/api" } }))
    }
}

fn read(dialect: &dyn Dialect, encoding: &str, event: &(&str, Value), id: &str) -> Result<Delivery, Rejected> {
    let (headers, body) = dialect.deliver(encoding, id, event.0, &event.1, "s3cret");
    let forge = dialect.forge();
    forge.read(&forge.verify(posted(&headers, body), &[secret(1, "s3cret")])?)
}

fn keeps_the_contract(dialect: &dyn Dialect) {
    only_who_knows_a_secret_gets_in(dialect);
    secrets_can_be_rotated_and_shared(dialect);
    a_redelivery_has_the_same_id(dialect);
    every_encoding_says_the_same(dialect);
    what_it_reads(dialect);
}

fn only_who_knows_a_secret_gets_in(dialect: &dyn Dialect) {
    let forge = dialect.forge();
    let (event, payload) = dialect.push();
    let (good, body) = dialect.deliver("json", "d1", event, &payload, "s3cret");
    let refused = |headers: &HeaderMap, body: &Bytes, secrets: &[(i64, &str)]| {
        let secrets: Vec<_> = secrets.iter().map(|(id, text)| secret(*id, text)).collect();
        let outcome = forge.verify(posted(headers, body.clone()), &secrets);
        assert_eq!(outcome.err(), Some(Rejected::Unauthenticated));
    };
    refused(&good, &body, &[(1, "other")]);
    refused(&good, &body, &[]);
    let (unkeyed, _) = dialect.deliver("json", "d1", event, &payload, "");
    refused(&unkeyed, &body, &[(1, "")]);
    let mut tampered = body.to_vec();
    tampered[0] ^= 1;
    refused(&good, &tampered.into(), &[(1, "s3cret")]);
    for proof in ["", "sha256=", "sha256=zz", "sha1=00", "sha256=00"] {
        let mut bad = good.clone();
        bad.insert(dialect.proof(), proof.parse().unwrap());
        refused(&bad, &body, &[(1, "s3cret")]);
    }
    let mut missing = good.clone();
    missing.remove(dialect.proof());
    // Nothing else that is wrong with a request is told to a stranger.
    missing.remove(CONTENT_TYPE);
    refused(&missing, &body, &[(1, "s3cret")]);
}

fn secrets_can_be_rotated_and_shared(dialect: &dyn Dialect) {
    let forge = dialect.forge();
    let (event, payload) = dialect.push();
    for signed_with in ["old", "new"] {
        let (headers, body) = dialect.deliver("json", "d1", event, &payload, signed_with);
        let secrets = [secret(1, "old"), secret(1, "new"), secret(2, signed_with), secret(3, "else")];
        let Ok(verified) = forge.verify(posted(&headers, body.clone()), &secrets) else {
            panic!("{signed_with} is refused")
        };
        assert_eq!(verified.signers(), [1, 2].map(|id| Signer::Connection(ConnectionId(id))));
        assert_eq!(verified.body(), &body);
    }
}

fn a_redelivery_has_the_same_id(dialect: &dyn Dialect) {
    let once = read(dialect, "json", &dialect.push(), "72d3162e-cc78-11e3-81ab-4c9367dc0958").unwrap();
    let again = read(dialect, "json", &dialect.push(), "72d3162e-cc78-11e3-81ab-4c9367dc0958").unwrap();
    assert_eq!(once, again);
    assert_eq!(once.id.as_str(), "72d3162e-cc78-11e3-81ab-4c9367dc0958");
}

fn every_encoding_says_the_same(dialect: &dyn Dialect) {
    let json = read(dialect, "json", &dialect.push(), "d1").unwrap();
    assert_eq!(read(dialect, "form", &dialect.push(), "d1").unwrap(), json);
}

fn what_it_reads(dialect: &dyn Dialect) {
    let Content::Events(events) = read(dialect, "json", &dialect.push(), "d1").unwrap().content else { panic!() };
    let [event] = &events[..] else { panic!("{events:?}") };
    assert!(matches!(&event.change, Change::Push { name, old: Some(_), new: None, forced: false } if name.is_branch()));
    assert_eq!(event.repository.as_ref().unwrap().forge_id, "42");
    assert_eq!(event.actor.as_ref().unwrap().0, "mona");
    assert_eq!(event.at.unwrap().to_rfc3339(), "2019-05-15T15:19:51+00:00");

    let renamed = read(dialect, "json", &dialect.rename(), "d2").unwrap();
    assert_eq!(renamed.event, "repository.renamed");
    let Content::Events(events) = renamed.content else { panic!() };
    let repository = events[0].repository.clone().unwrap();
    assert_eq!((repository.forge_id.as_str(), repository.full_name.as_str()), ("42", "acme/new"));
    assert!(repository.private, "what is not told is not taken for public");

    let unknown = read(dialect, "json", &dialect.unknown(), "d3").unwrap();
    assert_eq!((unknown.event.as_str(), unknown.content), ("teleported.twice", Content::Ignored));
}

#[test]
fn github_keeps_the_contract() {
    keeps_the_contract(&GithubDialect);
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
