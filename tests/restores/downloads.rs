//! A file for whoever asked: looked at by anybody, fetched by who has the address, for a while.

use insta::assert_snapshot;
use refward::config::Settings;
use refward::domain::Kind;
use refward::ops::restores::{Destination, Proposal, State};
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;

use super::office::{Office, Somebody, told};
use crate::support::shell::git;
use crate::support::world::Service;

const PUBLIC: &str = "https://backup.example.com/refward";

struct Counter {
    office: Office,
    service: Service,
    mona: Somebody,
    http: reqwest::Client,
}

impl Counter {
    async fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let office = Office::with(|settings| {
            PUBLIC.clone_into(&mut settings.server.public_url);
            change(settings);
        })
        .await;
        let service = office.world.serve().await;
        let mona = office.restorer("1", "mona").await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { office, service, mona, http }
    }

    /// Asks for a download and confirms it: gives the path of its address.
    async fn address(&self) -> (Proposal, String) {
        let planned = self.office.asks_for(&self.mona, &[], Destination::Download).await.unwrap();
        let confirmed = self.office.confirms(&self.mona, &planned).await.unwrap();
        let path = path(&confirmed);
        (confirmed, path)
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(self.service.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn post(&self, path: &str) -> reqwest::Response {
        self.http.post(self.service.url(path)).send().await.unwrap()
    }
}

fn path(confirmed: &Proposal) -> String {
    let url = confirmed.link.as_ref().unwrap().url.expose_secret().to_owned();
    url.strip_prefix(PUBLIC).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_a_bundle_that_git_clones() {
    let counter = Counter::new(|_| ()).await;
    let (confirmed, path) = counter.address().await;
    assert_eq!((confirmed.state, confirmed.needs_approval), (State::Done, false));

    // Chat platforms look at addresses: nothing is fetched by that, and no name is told.
    for _ in 0..2 {
        let (status, page) = counter.get(&path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("<form method=\"post\">") && !page.contains("acme") && !page.contains("api"), "{page}");
    }
    assert!(!counter.office.record().await.iter().any(|line| line.contains("download")));

    let answer = counter.post(&path).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_snapshot!(answer.headers()["content-disposition"].to_str().unwrap(), @r#"attachment; filename="api-at-1.bundle""#);
    let folder = std::path::PathBuf::from(counter.office.world.path("download"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("api.bundle"), answer.bytes().await.unwrap()).unwrap();
    git(&folder, &["clone", "--quiet", "api.bundle", "api"]).await;
    assert_eq!(
        git(&folder.join("api"), &["rev-parse", "HEAD", "origin/topic"]).await,
        [counter.office.good.as_str(), &counter.office.topic].join("\n")
    );

    // A broken connection costs nothing: it can be fetched again.
    assert_eq!(counter.post(&path).await.status(), StatusCode::OK);
    assert_eq!(counter.office.record().await.last().unwrap(), "restore.download done by discord:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_leads_nowhere_looks_the_same() {
    let counter = Counter::new(|_| ()).await;
    let (confirmed, path) = counter.address().await;
    let unknown = counter.get(&format!("/downloads/{}", "0".repeat(64))).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
    for path in ["/downloads/x", "/downloads/..%2f..%2fetc%2fpasswd", "/downloads/%00", &path[..path.len() - 1]] {
        assert_eq!(counter.get(path).await, unknown, "{path}");
        assert_eq!(counter.post(path).await.text().await.unwrap(), unknown.1, "{path}");
    }
    // Neither does it to whoever may not any more.
    counter.office.api.collaborator("mona", "none");
    let refused = counter.post(&path).await;
    assert_eq!((refused.status(), refused.text().await.unwrap()), unknown);
    assert_eq!(counter.office.record().await.last().unwrap(), "restore.download refused by discord:1");
    assert_eq!(counter.office.get(&confirmed).await.state, State::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_ends_and_another_cannot_make_it_last_longer() {
    let counter = Counter::new(|settings| settings.people.download_lasts = std::time::Duration::from_secs(2)).await;
    let (confirmed, first) = counter.address().await;
    let again = counter.office.confirms(&counter.mona, &confirmed).await;
    if let Ok(again) = again {
        assert_ne!(path(&again), first);
        assert_eq!(again.expires_at, confirmed.expires_at);
    }
    super::office::until(async || Some(()).filter(|()| chrono::Utc::now() > confirmed.expires_at)).await;
    assert_eq!(counter.get(&first).await.0, StatusCode::NOT_FOUND);
    assert_eq!(counter.post(&first).await.status(), StatusCode::NOT_FOUND);
    assert_snapshot!(told(&counter.office.confirms(&counter.mona, &confirmed).await.unwrap_err()), @"restore 1 has expired; ask for it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_of_ours_there_is_no_download() {
    let office = Office::new().await;
    let mona = office.restorer("1", "mona").await;
    let refused = office.asks(&mona, Destination::Download).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::BadRequest);
    assert_snapshot!(told(&refused), @"downloads need an address: the setting `server.public_url` is not set; set it to the address at which browsers and the forge reach this service, e.g. https://backup.example.com");
}
