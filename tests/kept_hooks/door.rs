//! `POST /hooks/azure-devops/KEY`: thanks, come back, or wrong credentials; nothing else.

use refward::catalog::job_kind;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::house::House;
use crate::support::fake_azure_devops::FakeAzureDevops;

struct Door {
    azure: FakeAzureDevops,
    house: House,
    http: reqwest::Client,
}

impl Door {
    async fn new() -> Self {
        let azure = FakeAzureDevops::start().await;
        let api = azure.org("acme").project("Web").repo("api").await;
        let house = House::new(&azure, &api).await;
        house.keeps().await;
        Self { azure, house, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// As Azure DevOps sends it, with all three secrets of the hook for pushes.
    async fn delivery(&self, body: Vec<u8>) -> RequestBuilder {
        let (url, password, header) = self.secrets().await;
        self.http.post(url).basic_auth("refward", Some(password)).header("x-refward-hook", header).body(body)
    }

    async fn secrets(&self) -> (String, String, String) {
        let id = self.house.hook("git.push").await.forge_id;
        let seen = self.azure.seen().into_iter().rev();
        let made = seen.filter(|call| call.method == "POST" && call.path.contains("hooks/subscriptions"));
        let url = self.azure.subscriptions().into_iter().find(|hook| hook.id.to_string() == id).unwrap().url;
        let inputs =
            made.map(|call| call.body["consumerInputs"].clone()).find(|inputs| inputs["url"] == url.as_str()).unwrap();
        let text = |name: &str| inputs[name].as_str().unwrap().to_owned();
        let header = text("httpHeaders").split_once(':').unwrap().1.to_owned();
        (url, text("basicAuthPassword"), header)
    }

    async fn asked_for(&self) -> Vec<String> {
        self.house.services.catalog.jobs().await.unwrap().into_iter().map(|job| job.kind).collect()
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/azure-devops/payloads");
    std::fs::read(format!("{folder}/{name}.json")).ok()
}

#[tokio::test]
async fn everything_authentic_is_thanked_for() {
    let door = Door::new().await;
    for body in [&b"not json"[..], b"", b"{}", b"[]", br#"{"eventType":"surprise","id":"1"}"#] {
        let (status, _) = answer(door.delivery(body.to_vec()).await).await;
        assert_eq!(status, 200, "{body:?}");
    }
    let large = vec![b'x'; (64 << 10) + 1];
    assert_eq!(answer(door.delivery(large).await).await.0, 200);
    assert!(door.asked_for().await.contains(&job_kind::DISCOVER.to_owned()), "what cannot be read makes us look");
    if let Some(test) = fixture("TEST-notification.git.push") {
        let (status, body) = answer(door.delivery(test).await).await;
        assert_eq!((status.as_u16(), body["status"].as_str()), (200, Some("pong")));
    }
}

#[tokio::test]
async fn nobody_gets_in_without_all_three_secrets() {
    let door = Door::new().await;
    let (url, password, header) = door.secrets().await;
    let with = |url: &str, user: &str, password: &str, header: &str| {
        door.http.post(url).basic_auth(user, Some(password)).header("x-refward-hook", header).body("{}")
    };
    let other = url.replace(url.rsplit('/').next().unwrap(), &"0".repeat(32));
    for wrong in [
        with(&other, "refward", &password, &header),
        with(&url, "somebody", &password, &header),
        with(&url, "refward", &header, &header),
        with(&url, "refward", &password, &password),
        with(&url, "refward", "", ""),
        door.http.post(&url).header("x-refward-hook", &header).body("{}"),
        door.http.post(&url).basic_auth("refward", Some(&password)).body("{}"),
        door.http.post(format!("{}/hooks/azure-devops", door.house.url)).body("{}"),
    ] {
        assert_eq!(answer(wrong).await.0, 401);
    }
    assert_eq!(answer(with(&url, "refward", &password, &header)).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_stored_is_asked_for_again_and_comes_once() {
    let door = Door::new().await;
    let request = door.delivery(b"anything".to_vec()).await;
    door.house.services.catalog.close().await.unwrap();
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
}
