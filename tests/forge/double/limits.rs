//! Limits, and answers that cost nothing.

use serde_json::{Value, json};

use super::{call_with, get, token};
use crate::support::fake_github::{Covers, FakeGithub, Token};
use secrecy::ExposeSecret;

#[tokio::test]
async fn all_tokens_of_an_installation_share_one_limit() {
    let host = FakeGithub::start().await;
    host.org("acme").repo("api").await;
    let app = host.app("acme");
    let installation = host.install(&app.slug(), "acme", Covers::All, None).id();
    let one = token(&host, &app, installation, Value::Null).await;
    let two = token(&host, &app, installation, Value::Null).await;
    let person = host.token(Token::classic("mona"));
    let ask = async |token: &str| get(&host, "repos/acme/api", token).await;
    assert_eq!(ask(&one).await.header("x-ratelimit-limit"), "");
    host.limit(Some(2));
    for (token, left) in [(&one, "1"), (&two, "0")] {
        let answer = ask(token).await;
        assert_eq!(answer.header("x-ratelimit-remaining"), left);
        assert_eq!(answer.header("x-ratelimit-limit"), "5000");
        assert_eq!(answer.header("x-ratelimit-resource"), "core");
    }
    let refused = ask(&one).await;
    assert_eq!(refused.told(), (403, &*format!("API rate limit exceeded for installation ID {installation}.")));
    assert_eq!((refused.header("x-ratelimit-remaining"), refused.header("x-ratelimit-used")), ("0", "5000"));
    assert_eq!(ask(person.expose_secret()).await.header("x-ratelimit-remaining"), "1");
    host.limits_answer(429);
    assert_eq!(ask(&one).await.status, 429);
    // Half an hour later everything begins anew.
    host.move_clock(1801);
    assert_eq!(ask(&one).await.header("x-ratelimit-remaining"), "4999");
}

#[tokio::test]
async fn the_same_answer_again_costs_nothing_for_the_same_token() {
    let host = FakeGithub::start().await;
    host.org("acme").repo("api").await;
    let (mine, other) = (host.token(Token::classic("mona")), host.token(Token::classic("mona")));
    host.limit(Some(100));
    let first = get(&host, "repos/acme/api", mine.expose_secret()).await;
    let known = ("if-none-match", first.header("etag"));
    let again = call_with(&host, "GET", "repos/acme/api", mine.expose_secret(), Value::Null, known).await;
    assert_eq!((again.status, again.header("x-ratelimit-remaining")), (304, "99"));
    let again = call_with(&host, "GET", "repos/acme/api", other.expose_secret(), Value::Null, known).await;
    assert_eq!((again.status, again.header("x-ratelimit-remaining")), (200, "98"));
}

#[tokio::test]
async fn whoever_asks_too_much_is_told_to_wait() {
    let host = FakeGithub::start().await;
    host.org("acme").repo("api").await;
    let token = host.token(Token::classic("mona"));
    let ask = async || get(&host, "repos/acme/api", token.expose_secret()).await;
    host.secondary(1, Some(17));
    host.secondary(1, None);
    for retry_after in ["17", ""] {
        let refused = ask().await;
        assert!(refused.status == 403 && refused.told().1.contains("secondary rate limit"), "{}", refused.body);
        assert_eq!(refused.header("retry-after"), retry_after);
    }
    host.points_per_minute(2);
    assert_eq!((ask().await.status, ask().await.status, ask().await.status), (200, 200, 403));
    assert!(host.forgive_violations()[0].contains("3 points in a minute"));

    host.points_per_minute(1000);
    host.at_most_at_once(1);
    host.hold_calls();
    let second = async {
        host.call_is_held().await;
        let refused = ask().await;
        host.let_calls_go();
        refused
    };
    let (first, second) = tokio::join!(ask(), second);
    assert_eq!((first.status, second.status), (200, 403));
    assert_eq!(host.forgive_violations(), ["2 calls at once; 1 are allowed"]);
}

#[tokio::test]
async fn what_single_sign_on_hides_is_told_in_a_header() {
    let host = FakeGithub::start().await;
    host.org("strict").repo("api").await;
    let hidden = host.token(Token::classic("mona").sso_hides("strict"));
    let answer = get(&host, "user/repos", hidden.expose_secret()).await;
    assert_eq!((answer.status, &answer.body), (200, &json!([])));
    assert!(answer.header("x-github-sso").starts_with("partial-results; organizations="));
    let refused = host.token(Token::classic("mona").sso_required());
    let answer = get(&host, "repos/strict/api", refused.expose_secret()).await;
    assert_eq!(answer.status, 403);
    assert!(answer.header("x-github-sso").starts_with("required; url="));
}
