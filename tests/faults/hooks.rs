//! Deliveries that are too large, too slow, not JSON, not from the forge, or very many.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::faults::stage::{REPO, SECRET, Stage};
use crate::support::world::{Service, eventually};

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn post(service: &Service, id: &str, body: Vec<u8>, signature: &str) -> Response {
    let request = Client::new().post(service.url("hooks/github")).header("content-type", "application/json");
    let request = request.header("x-github-event", "push").header("x-github-delivery", id);
    request.header("x-hub-signature-256", signature).body(body).send().await.unwrap()
}

fn push_payload(stage: &Stage) -> Vec<u8> {
    let repository = json!({ "id": stage.repo.id, "full_name": REPO, "private": true });
    let zero = "0".repeat(40);
    let payload = json!({
        "ref": "refs/heads/main", "before": zero, "after": "1".repeat(40), "forced": false,
        "repository": repository, "sender": { "login": "mona" },
    });
    payload.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_harms_nobody() {
    let stage = Stage::with(&[("server.max_body", "1000000")]).await;
    let service = stage.running().await;
    let cases: [(&str, Vec<u8>); 6] = [
        ("nothing", vec![]),
        ("not JSON", b"\0\xff\xfe{{{".to_vec()),
        ("half of it", push_payload(&stage)[..50].to_vec()),
        ("no object", b"[1, 2, 3]".to_vec()),
        ("another shape", br#"{"ref": 7, "repository": "x", "commits": {}}"#.to_vec()),
        ("very deep", "[".repeat(500_000).into_bytes()),
    ];
    for (what, body) in cases {
        let refused = post(&service, what, body.clone(), "sha256=00").await.status();
        assert_eq!(refused, StatusCode::UNAUTHORIZED, "{what}, not signed");
        let status = post(&service, what, body.clone(), &signature(&body)).await.status();
        assert!([200, 202, 400].contains(&status.as_u16()), "{what}, signed: {status}");
    }
    let large = vec![b' '; 1_000_001];
    let status = post(&service, "large", large.clone(), &signature(&large)).await.status();
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    stage.push("two").await;
    stage.whole(Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_in_holds_nobody_up() {
    let stage = Stage::new().await;
    let service = stage.running().await;
    let address = service.url("").socket_addrs(|| None).unwrap()[0];
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let head =
            "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
        connection.write_all(head.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    stage.push("two").await;
    stage.settled(Some(2)).await;
    // In the end they are cut off.
    let first = slow.first_mut().unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_mins(1), first.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "it would wait forever");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_of_which_half_are_bad() {
    let stage = Stage::new().await;
    let service = stage.running().await;
    let body = push_payload(&stage);
    let right = signature(&body);
    let sent = (0..200).map(|number| {
        let (service, body, right) = (&service, body.clone(), &right);
        async move {
            let signature = if number % 2 == 0 { right } else { "sha256=bad" };
            (number, post(service, &format!("delivery-{number}"), body, signature).await.status())
        }
    });
    for (number, status) in futures_util::future::join_all(sent).await {
        let expected = if number % 2 == 0 { StatusCode::ACCEPTED } else { StatusCode::UNAUTHORIZED };
        assert_eq!(status, expected, "delivery {number}");
    }
    let again = post(&service, "delivery-0", body, &right).await.status();
    assert_eq!(again, StatusCode::OK, "a repeat");
    // None of them was true; all of them are answered.
    stage.whole(Some(1)).await;
    let answered = async || stage.status().await["lag_ms"].is_null().then_some(());
    eventually(answered, || "all are answered".to_owned()).await;
}
