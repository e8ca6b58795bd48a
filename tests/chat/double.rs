//! The double refuses what Discord refuses: calls that a bot makes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bot::{Bot, answer_of};
use crate::support::fake_discord::{FakeDiscord, Fault};

/// A button, and a row of them.
fn button(id: &str) -> Value {
    json!({ "type": 2, "style": 1, "label": id, "custom_id": id })
}

fn row(buttons: &[Value]) -> Value {
    json!({ "type": 1, "components": buttons })
}

#[tokio::test]
async fn everything_a_bot_reads_is_as_discord_describes_it() {
    let discord = FakeDiscord::start().await;
    let (bot, channel, mona) = (Bot::of(&discord), discord.channel("ops"), discord.member("mona").roles(&["crew"]));
    let server = format!("/guilds/{}", discord.server());

    assert_eq!(bot.get("/users/@me").await.body["bot"], true);
    let application = bot.get("/applications/@me").await.body;
    assert_eq!(application["id"], discord.application_id());
    assert_eq!(application["verify_key"], discord.public_key());
    assert_eq!(bot.get("/oauth2/applications/@me").await.body, application);
    assert_eq!(bot.get(&server).await.body["id"], discord.server());
    let roles = bot.get(&format!("{server}/roles")).await.body;
    assert!(roles.as_array().unwrap().iter().any(|role| role["name"] == "crew"), "{roles}");
    let member = bot.get(&format!("{server}/members/{}", mona.id)).await.body;
    assert_eq!(member["roles"], json!([discord.role("crew")]));
    assert_eq!(bot.get(&format!("/channels/{}", channel.id)).await.body["name"], "ops");
    // The answers were held against the description: what does not fit would be here.
    assert_eq!(discord.violations(), [""; 0]);
}

#[tokio::test]
async fn who_is_not_the_bot_gets_nothing() {
    let discord = FakeDiscord::start().await;
    let stranger = Bot::of(&discord).with_token("Bot of another time");
    let refused = stranger.get("/users/@me").await;
    assert_eq!((refused.status, &refused.body["message"]), (401, &json!("401: Unauthorized")));

    let old = Bot::of(&discord);
    discord.reset_token();
    assert_eq!(old.get("/users/@me").await.status, 401);
    assert_eq!(Bot::of(&discord).get("/users/@me").await.status, 200);
}

#[tokio::test]
async fn a_client_that_does_not_introduce_itself_breaks_a_rule() {
    let discord = FakeDiscord::start().await;
    Bot::of(&discord).introduced_as("curl/8").get("/users/@me").await;
    let broken = discord.forgive_violations();
    assert!(broken[0].contains("the user agent is `curl/8`"), "{broken:?}");
}

#[tokio::test]
async fn what_is_not_there_and_what_may_not_be_done_have_their_codes() {
    let discord = FakeDiscord::start().await;
    let (bot, channel) = (Bot::of(&discord), discord.channel("ops"));
    let messages = format!("/channels/{}/messages", channel.id);
    let hello = json!({ "content": "hello" });

    assert_eq!(bot.get("/channels/1").await.code(), (404, 10003));
    assert_eq!(bot.get("/guilds/1").await.code(), (404, 10004));
    assert_eq!(bot.get(&format!("/guilds/{}/members/1", discord.server())).await.code(), (404, 10007));
    assert_eq!(bot.patch(&format!("{messages}/1"), &hello).await.code(), (404, 10008));
    assert_eq!(bot.get(&format!("/users/@me/guilds/{}/member", discord.server())).await.code(), (403, 20001));
    assert_eq!(bot.put("/applications/1/commands", &json!([])).await.code(), (403, 20012));
    let elsewhere = format!("/applications/{}/guilds/1/commands", discord.application_id());
    assert_eq!(bot.put(&elsewhere, &json!([])).await.code(), (403, 50001));

    channel.silence();
    assert_eq!(bot.post(&messages, &hello).await.code(), (403, 50013));
    channel.hide();
    assert_eq!(bot.post(&messages, &hello).await.code(), (403, 50001));
    assert_eq!(bot.get(&format!("/channels/{}", channel.id)).await.code(), (403, 50001));
    channel.allow();
    assert_eq!(bot.post(&messages, &hello).await.status, 200);
    channel.delete();
    assert_eq!(bot.post(&messages, &hello).await.code(), (404, 10003));
}

#[tokio::test]
async fn a_message_can_be_changed_until_somebody_deletes_it() {
    let discord = FakeDiscord::start().await;
    let (bot, channel) = (Bot::of(&discord), discord.channel("ops"));
    let messages = format!("/channels/{}/messages", channel.id);
    let form = json!({ "content": "one", "components": [row(&[button("go")])], "flags": 4 });
    let id = bot.post(&messages, &form).await.body["id"].as_str().unwrap().to_owned();
    let message = channel.says("one").await;
    assert_eq!((message.buttons(), message.button("go")), (vec!["go".to_owned()], "go".to_owned()));

    let told = bot.patch(&format!("{messages}/{id}"), &json!({ "content": "two", "components": [] })).await;
    assert_eq!((told.status, &told.body["content"], &told.body["flags"]), (200, &json!("two"), &json!(4)));
    assert_eq!((message.text(), message.buttons(), message.edits()), ("two".to_owned(), vec![], 1));
    assert_eq!(bot.get(&messages).await.body[0]["id"], json!(id));

    message.delete();
    assert_eq!(bot.patch(&format!("{messages}/{id}"), &json!({ "content": "three" })).await.code(), (404, 10008));
    assert!(channel.messages().is_empty());
}

#[tokio::test]
async fn a_nonce_makes_one_message_of_two_calls() {
    let discord = FakeDiscord::start().await;
    let (bot, channel) = (Bot::of(&discord), discord.channel("ops"));
    let messages = format!("/channels/{}/messages", channel.id);
    let form = json!({ "content": "once", "nonce": "restore-12", "enforce_nonce": true });

    discord.fail(1, Fault::Lost);
    assert!(bot.try_post(&messages, &form).await.is_err(), "the answer was lost");
    assert_eq!(bot.post(&messages, &form).await.status, 200);
    assert_eq!(channel.messages().len(), 1);

    discord.move_clock(301);
    bot.post(&messages, &form).await;
    assert_eq!(channel.messages().len(), 2, "nonces last some minutes");
    bot.post(&messages, &json!({ "content": "once", "nonce": "restore-12" })).await;
    assert_eq!(channel.messages().len(), 3, "a nonce that is not enforced is for display");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_breaks_a_rule() {
    let discord = FakeDiscord::start().await;
    discord.limit(1000, Duration::from_secs(1));
    let (bot, channel) = (Bot::of(&discord), discord.channel("ops"));
    let messages = format!("/channels/{}/messages", channel.id);
    let rows = |count: usize| (0..count).map(|n| row(&[button(&n.to_string())])).collect::<Vec<_>>();
    let many: Vec<Value> = (0..6).map(|n| button(&n.to_string())).collect();
    let labelled = |label: &str| json!({ "type": 2, "style": 1, "label": label, "custom_id": "x" });

    let fine = [
        json!({ "content": "ü".repeat(2000) }),
        json!({ "content": "x", "components": rows(5) }),
        json!({ "content": "x", "components": [row(&many[..5])] }),
        json!({ "content": "x", "components": [row(&[button(&"b".repeat(80))])] }),
        json!({ "content": "x", "components": [row(&[json!({ "type": 2, "style": 5, "label": "x", "url": "https://example.com" })])] }),
    ];
    for form in fine {
        assert_eq!(bot.post(&messages, &form).await.status, 200, "{form}");
    }
    assert_eq!(discord.violations(), [""; 0]);

    let misfits = [
        (json!({ "content": "x".repeat(2001) }), "content"),
        (json!({ "content": "x", "components": rows(6) }), "components"),
        (json!({ "content": "x", "components": [row(&many)] }), "_"),
        (json!({ "content": "x", "components": [row(&[button("a"), button("a")])] }), "components"),
        (json!({ "content": "x", "components": [row(&[labelled(&"l".repeat(81))])] }), "_"),
        (json!({ "content": "x", "components": [row(&[labelled("")])] }), "components"),
        (
            json!({ "content": "x", "components": [row(&[json!({ "type": 2, "style": 1, "label": "x" })])] }),
            "components",
        ),
        (json!({ "content": "x", "components": [button("bare")] }), "_"),
        (json!({ "content": ["no", "text"] }), "_"),
        (json!({ "content": "x", "nonce": "n".repeat(26) }), "_"),
    ];
    for (form, place) in misfits {
        let refused = bot.post(&messages, &form).await;
        assert_eq!(refused.code(), (400, 50035), "{form}");
        assert!(refused.body["errors"].get(place).is_some(), "{form}: {}", refused.body);
        assert_eq!(discord.forgive_violations()[1..], [""; 0], "{form}");
    }
    assert_eq!(bot.post(&messages, &json!({ "content": " " })).await.code(), (400, 50006));
    assert_eq!(bot.get(&format!("{messages}?before_the=war")).await.code(), (400, 50035));
    assert_eq!(discord.forgive_violations().len(), 2);
}

#[tokio::test]
async fn everybody_who_would_be_notified_is_known() {
    let discord = FakeDiscord::start().await;
    let (bot, channel) = (Bot::of(&discord), discord.channel("ops"));
    let (mona, role) = (discord.member("mona").id, discord.role("crew"));
    let messages = format!("/channels/{}/messages", channel.id);
    let all = format!("@everyone <@{mona}> <@&{role}>");
    let pings = async |form: Value| {
        bot.post(&messages, &form).await;
        channel.messages().pop().unwrap().pings()
    };

    assert_eq!(pings(json!({ "content": all })).await, ["@crew", "@everyone", "mona"]);
    assert_eq!(pings(json!({ "content": all, "allowed_mentions": { "parse": ["roles"] } })).await, ["@crew"]);
    assert_eq!(pings(json!({ "content": all, "allowed_mentions": { "users": [mona] } })).await, ["mona"]);
    assert_eq!(pings(json!({ "content": all, "allowed_mentions": { "parse": [] } })).await, [""; 0]);
    let shown = channel.messages().pop().unwrap();
    assert_eq!(shown.mentions(), ["@crew", "@everyone", "mona"], "shown and not notified");
    let hidden = json!({ "content": format!("`<@{mona}>` ```\n@everyone ` <@&{role}>``` and ` @here") });
    discord.limit(5, Duration::from_secs(5));
    assert_eq!(pings(hidden).await, ["@here"], "code notifies nobody, if it is closed");
}

#[tokio::test]
async fn calls_are_counted_and_too_many_refused() {
    let discord = FakeDiscord::start().await;
    discord.limit(2, Duration::from_mins(1));
    let (bot, one, other) = (Bot::of(&discord), discord.channel("one"), discord.channel("other"));
    let [one, other] = [one, other].map(|channel| format!("/channels/{}/messages", channel.id));
    let hello = json!({ "content": "hello" });

    let first = bot.post(&one, &hello).await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("2", "1"));
    assert!(first.header("x-ratelimit-reset-after").parse::<f64>().unwrap() > 50.0);
    assert_eq!(bot.post(&one, &hello).await.header("x-ratelimit-remaining"), "0");
    let refused = bot.post(&one, &hello).await;
    assert_eq!((refused.status, &refused.body["global"]), (429, &json!(false)));
    assert_eq!((refused.header("x-ratelimit-scope"), refused.header("x-ratelimit-remaining")), ("user", "0"));
    assert!(refused.body["retry_after"].as_f64().unwrap() > 50.0);

    // Channels have buckets of their own, of one name.
    let elsewhere = bot.post(&other, &hello).await;
    assert_eq!(elsewhere.header("x-ratelimit-bucket"), first.header("x-ratelimit-bucket"));
    assert_eq!(elsewhere.header("x-ratelimit-remaining"), "1");
    assert_eq!(discord.invalid_requests(), 1);
}

#[tokio::test]
async fn all_routes_together_have_a_limit() {
    let discord = FakeDiscord::start().await;
    discord.limit_global(0);
    let refused = Bot::of(&discord).get("/users/@me").await;
    assert_eq!((refused.status, &refused.body["global"]), (429, &json!(true)));
    assert_eq!((refused.header("x-ratelimit-scope"), refused.header("x-ratelimit-global")), ("global", "true"));
}

#[tokio::test]
async fn whoever_is_refused_too_often_is_banned() {
    let discord = FakeDiscord::start().await;
    discord.ban_after(2);
    let (bot, stranger) = (Bot::of(&discord), Bot::of(&discord).with_token("nobody"));
    discord.fail(3, Fault::Shared { retry_after: 0.1 });
    for _ in 0..3 {
        assert_eq!(bot.get("/users/@me").await.header("x-ratelimit-scope"), "shared");
    }
    assert_eq!(discord.invalid_requests(), 0, "what others use up is nobody's fault");
    stranger.get("/users/@me").await;
    stranger.get("/users/@me").await;
    let banned = bot.get("/users/@me").await;
    assert_eq!((banned.status, &banned.body), (429, &Value::Null), "no JSON");
}

#[tokio::test]
async fn it_fails_as_it_is_told_to() {
    let discord = FakeDiscord::start().await;
    let bot = Bot::of(&discord);
    discord.fail(1, Fault::Status(502));
    discord.fail(1, Fault::Limited { retry_after: 2.5, global: true });
    discord.fail(1, Fault::Closed);
    assert_eq!(bot.get("/users/@me").await.status, 502);
    let limited = bot.get("/users/@me").await;
    assert_eq!((limited.status, limited.header("retry-after"), &limited.body["retry_after"]), (429, "3", &json!(2.5)));
    assert!(bot.try_get("/users/@me").await.is_err());
    assert_eq!(bot.get("/users/@me").await.status, 200);

    discord.down();
    assert!(bot.try_get("/users/@me").await.is_err());
    assert!(bot.try_get("/users/@me").await.is_err());
    discord.up();
    assert_eq!(bot.get("/users/@me").await.status, 200);
    let heard: Vec<u16> = discord.seen().iter().map(|seen| seen.status).collect();
    assert_eq!(heard, [502, 429, 0, 200, 0, 0, 200]);
}

#[tokio::test]
async fn commands_have_to_be_well_made() {
    let discord = FakeDiscord::start().await;
    let bot = Bot::of(&discord);
    let route = format!("/applications/{}/guilds/{}/commands", discord.application_id(), discord.server());
    let with = |options: Value| json!([{ "name": "refward", "description": "backups", "options": options }]);
    let text =
        |name: &str, required: bool| json!({ "type": 3, "name": name, "description": "x", "required": required });

    let fine = with(json!([{ "type": 2, "name": "policy", "description": "rules", "options": [
        { "type": 1, "name": "show", "description": "x", "options": [text("repo", true), text("at", false)] },
    ]}]));
    let told = bot.put(&route, &fine).await;
    assert_eq!((told.status, &told.body[0]["guild_id"]), (200, &json!(discord.server())), "{}", told.body);
    assert_eq!(bot.get(&route).await.body, told.body);
    assert_eq!(discord.commands().len(), 1);

    let long = "d".repeat(101);
    let many: Vec<Value> = (0..26).map(|n| text(&format!("o{n}"), false)).collect();
    let group = json!({ "type": 2, "name": "g", "description": "x", "options": [] });
    let misfits = [
        with(json!([text("Repo", true)])),
        with(json!([text("at", false), text("repo", true)])),
        with(json!([text("repo", true), text("repo", true)])),
        with(json!([{ "type": 1, "name": "show", "description": "x" }, text("repo", false)])),
        with(json!([{ "type": 2, "name": "g", "description": "x", "options": [group] }])),
        with(json!([{ "type": 3, "name": "x", "description": long }])),
        with(json!([{ "type": 3, "name": "x", "description": "" }])),
        with(json!([{ "type": 3, "name": "x", "description": "x", "autocomplete": true,
                      "choices": [{ "name": "a", "value": "a" }] }])),
        with(json!(many)),
    ];
    for form in misfits {
        let refused = bot.put(&route, &form).await;
        assert_eq!(refused.code(), (400, 50035), "{form}: {}", refused.body);
        assert_eq!(discord.forgive_violations()[1..], [""; 0], "{form}");
    }
    assert_eq!(answer_of(&bot.get(&route).await), told.body, "what is refused changes nothing");
}
