//! The guided tour's forge is one that the adapter can be connected to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use refward::cli::demo::forge::{DemoForge, Hook};
use refward::forge::Access;
use tempfile::TempDir;

use crate::support::shell::git;
use crate::{client, github, place, told};

#[tokio::test]
async fn the_tour_connects_pushes_and_is_told() {
    let (root, mine) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let forge = DemoForge::start(root.path(), "acme", "t0ken".into(), client()).unwrap();
    let url = forge.create_repository("hello").await.unwrap();
    let access = Access::with_token(forge.url().clone(), "acme", "t0ken".into());

    let inspection = github().inspect(&access).await.unwrap();
    assert_eq!((inspection.login.as_deref(), &inspection.missing[..]), (Some("you"), &[][..]));
    assert_eq!(github().survey(&access).await.unwrap().repositories[0].repository.full_name, "acme/hello");
    assert_eq!(github().remote(&access, place("acme/hello")).unwrap().url, url);
    let stranger = Access::with_token(access.url, "acme", "wrong".into());
    assert!(told(&github().inspect(&stranger).await.unwrap_err()).starts_with("Misconfigured"));

    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = events.clone();
    let take = move |request: HttpRequest| {
        let event = request.headers().get("x-github-event").unwrap().to_str().unwrap().to_owned();
        kept.lock().unwrap().push(event);
        std::future::ready(HttpResponse::Accepted().finish())
    };
    let server = HttpServer::new(move || App::new().default_service(web::to(take.clone())));
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let receiver = format!("http://{}/", server.addrs()[0]).parse().unwrap();
    tokio::spawn(server.run());
    forge.deliver_to(Hook { url: receiver, secret: "s3cret".into() });

    let mut push_to = url;
    push_to.set_username("you").unwrap();
    push_to.set_password(Some("t0ken")).unwrap();
    git(mine.path(), &["init", "-q", "-b", "main"]).await;
    git(mine.path(), &["commit", "-q", "--allow-empty", "-m", "one"]).await;
    git(mine.path(), &["push", "-q", push_to.as_str(), "main"]).await;
    let patience = Instant::now();
    while events.lock().unwrap().is_empty() {
        assert!(patience.elapsed() < Duration::from_secs(10), "no webhook came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*events.lock().unwrap(), ["push"]);
}
