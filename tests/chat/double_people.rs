//! The double lets people do what Discord lets them do, and takes answers as long as Discord does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use serenity::model::application::{CommandDataOptionValue, Interaction};

use crate::bot::{Bot, application};
use crate::support::fake_discord::{Channel, FakeDiscord, Member};
use crate::support::world::eventually;

/// A server with a command, and an application that answers with `first` whatever it is asked.
async fn asked(first: Value) -> (FakeDiscord, Member, Channel, Arc<Mutex<Vec<Value>>>) {
    let discord = FakeDiscord::start().await;
    let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
    let keep = heard.clone();
    let answer = move |interaction: &Value| {
        keep.lock().unwrap().push(interaction.clone());
        if interaction["type"] == 1 { json!({ "type": 1 }) } else { first.clone() }
    };
    application(&discord, answer).await;
    let text = |name: &str, required: bool| json!({ "type": 3, "name": name, "description": "x", "required": required, "autocomplete": true });
    let command = json!([{ "name": "refward", "description": "backups", "options": [
        { "type": 1, "name": "status", "description": "x" },
        { "type": 1, "name": "restore", "description": "x", "options": [
            text("repo", true), text("at", false), { "type": 5, "name": "now", "description": "x" },
            { "type": 3, "name": "to", "description": "x", "choices": [{ "name": "same", "value": "same-ref" }] },
        ]},
        { "type": 2, "name": "policy", "description": "x", "options": [
            { "type": 1, "name": "show", "description": "x", "options": [text("repo", true)] },
        ]},
    ]}]);
    let route = format!("/applications/{}/guilds/{}/commands", discord.application_id(), discord.server());
    assert_eq!(Bot::of(&discord).put(&route, &command).await.status, 200);
    let (mona, channel) = (discord.member("mona").roles(&["crew"]), discord.channel("ops"));
    (discord, mona, channel, heard)
}

fn later(private: bool) -> Value {
    json!({ "type": 5, "data": { "flags": if private { 64 } else { 0 } } })
}

fn now(text: &str) -> Value {
    let go = json!({ "type": 2, "style": 1, "label": "Go", "custom_id": "go" });
    json!({ "type": 4, "data": { "content": text, "components": [{ "type": 1, "components": [go] }] } })
}

/// Where the answer to the newest interaction is changed.
fn original(discord: &FakeDiscord, interaction: &Value) -> String {
    format!("/webhooks/{}/{}/messages/@original", discord.application_id(), interaction["token"].as_str().unwrap())
}

#[tokio::test]
async fn what_is_typed_becomes_options_as_they_were_registered() {
    let (discord, mona, channel, heard) = asked(later(true)).await;
    mona.says(&channel, "/refward restore repo:acme/api at:2 days ago now:true to:same").await;
    mona.says(&channel, "/refward policy show repo:https://example.com/a:b").await;
    let heard = heard.lock().unwrap();
    let Interaction::Command(command) = serde_json::from_value(heard[0].clone()).unwrap() else {
        panic!("no command: {}", heard[0])
    };
    assert_eq!(command.member.unwrap().roles[0].to_string(), discord.role("crew"));
    assert_eq!((command.user.name.as_str(), command.locale.as_str()), ("mona", "en-US"));
    let CommandDataOptionValue::SubCommand(options) = &command.data.options[0].value else {
        panic!("no subcommand: {:?}", command.data)
    };
    let told: Vec<_> = options.iter().map(|option| (option.name.as_str(), &option.value)).collect();
    let text = |text: &str| CommandDataOptionValue::String(text.to_owned());
    let expected = [
        ("repo", &text("acme/api")),
        ("at", &text("2 days ago")),
        ("now", &CommandDataOptionValue::Boolean(true)),
        ("to", &text("same-ref")),
    ];
    assert_eq!(told, expected);
    let inner = &heard[1]["data"]["options"][0]["options"][0];
    assert_eq!((&inner["name"], &inner["options"][0]["value"]), (&json!("show"), &json!("https://example.com/a:b")));
}

#[tokio::test]
async fn what_discord_would_not_send_cannot_be_said() {
    let (discord, ..) = asked(later(true)).await;
    let why = |text: &str, typing: bool| discord.state().typed(text, typing).unwrap_err();
    assert!(why("/backup now", false).contains("no command /backup is registered"));
    assert!(why("/refward", false).contains("has to follow"));
    assert!(why("/refward policy", false).contains("has to follow"));
    assert!(why("/refward restore", false).contains("lacks `repo`"));
    assert!(why("/refward restore repo:a rfe:main", false).contains("no option for `rfe:main`"));
    assert!(why("/refward restore repo:a repo:b", false).contains("given already"));
    assert!(why("/refward restore repo:a to:elsewhere", false).contains("none of the choices"));
    assert!(why("/refward restore repo:a now:yes", false).contains("is nothing for `now`"));
    assert!(why("/refward restore repo:a now:tr", true).contains("nothing"));
}

#[tokio::test]
async fn suggestions_come_for_what_is_typed_last() {
    let choices = json!({ "type": 8, "data": { "choices": [{ "name": "acme/api (private)", "value": "acme/api" }] } });
    let (_discord, mona, channel, heard) = asked(choices).await;
    let suggested = mona.types(&channel, "/refward restore repo:ac|").await;
    assert_eq!((suggested[0].name.as_str(), suggested[0].value.as_str()), ("acme/api (private)", "acme/api"));
    let heard = heard.lock().unwrap();
    let Interaction::Autocomplete(typing) = serde_json::from_value(heard[0].clone()).unwrap() else {
        panic!("nobody types: {}", heard[0])
    };
    let focused = typing.data.autocomplete().unwrap();
    assert_eq!((focused.name, focused.value), ("repo", "ac"));
}

#[tokio::test]
async fn an_answer_that_follows_is_waited_for() {
    let (discord, mona, channel, heard) = asked(later(true)).await;
    let told = mona.says(&channel, "/refward status").await;
    assert!(told.private());
    let original = original(&discord, &heard.lock().unwrap()[0]);
    let bot = Bot::of(&discord).with_token("none is needed");
    let shown = bot.get(&original).await.body;
    assert_eq!((&shown["flags"], &shown["content"]), (&json!(64 | 128), &json!("")), "{shown}");
    let (answer, edited) = tokio::join!(told.answer(), async {
        bot.patch(&original, &json!({ "content": "all is well", "flags": 4 })).await
    });
    assert_eq!((edited.status, answer.text().as_str()), (200, "all is well"));
    assert!(answer.private(), "who sees it was settled before");
    assert!(channel.messages().is_empty(), "nobody else sees it");
    let by_id = format!("/channels/{}/messages/{}", channel.id, answer.id);
    assert_eq!(Bot::of(&discord).patch(&by_id, &json!({ "content": "x" })).await.code(), (404, 10008));

    let follow_up = original.trim_end_matches("/messages/@original");
    assert_eq!(bot.post(follow_up, &json!({ "content": "and for all" })).await.status, 200);
    assert_eq!(channel.messages()[0].text(), "and for all");
    assert_eq!(bot.delete(&original).await.status, 204);
    assert_eq!(bot.patch(&original, &json!({ "content": "x" })).await.code(), (404, 10008));
}

#[tokio::test]
async fn a_token_is_worth_nothing_before_the_first_answer_after_a_late_one_and_after_15_minutes() {
    let (discord, mona, channel, heard) = asked(later(true)).await;
    let bot = Bot::of(&discord);
    let edit = json!({ "content": "x" });
    let unsent = mona.writes(&channel, "/refward status");
    let before = serde_json::from_slice(&unsent.body).unwrap();
    assert_eq!(bot.patch(&original(&discord, &before), &edit).await.code(), (404, 10015));
    unsent.send().await;
    assert_eq!(bot.patch(&original(&discord, &before), &edit).await.status, 200);

    discord.late();
    mona.says(&channel, "/refward status").await;
    let late = original(&discord, &heard.lock().unwrap()[1]);
    assert_eq!(bot.patch(&late, &edit).await.code(), (404, 10015));

    discord.by_the_clock(Duration::ZERO);
    mona.says(&channel, "/refward status").await;
    let measured = original(&discord, &heard.lock().unwrap()[2]);
    assert_eq!(bot.patch(&measured, &edit).await.code(), (404, 10015));
    discord.by_the_clock(Duration::MAX);

    discord.expire_tokens();
    assert_eq!(bot.patch(&original(&discord, &before), &edit).await.code(), (401, 50027));
    mona.says(&channel, "/refward status").await;
    discord.move_clock(15 * 60);
    let old = original(&discord, &heard.lock().unwrap()[3]);
    assert_eq!(bot.patch(&old, &edit).await.code(), (401, 50027));
    let invented = format!("/webhooks/{}/invented/messages/@original", discord.application_id());
    assert_eq!(bot.patch(&invented, &edit).await.code(), (401, 50027));
}

#[tokio::test]
async fn a_first_answer_keeps_the_rules_of_messages() {
    for (first, wrong) in [
        (json!({ "type": 4, "data": { "content": "x".repeat(2001) } }), "/data/content"),
        (json!({ "type": 4, "data": { "content": "" } }), "empty"),
        (json!({ "type": 1 }), "cannot be answered with type 1"),
        (json!({ "type": 6 }), "cannot be answered with type 6"),
        (json!({ "hello": "world" }), "required"),
        (json!("ok"), "not of type"),
    ] {
        let (discord, mona, channel, heard) = asked(first.clone()).await;
        assert_eq!(mona.says(&channel, "/refward status").await.status, 200);
        let broken = discord.forgive_violations().join("\n");
        assert!(broken.contains("the first answer to an interaction"), "{first}: {broken}");
        assert!(broken.contains(wrong), "{broken}");
        let dead = original(&discord, &heard.lock().unwrap()[0]);
        assert_eq!(Bot::of(&discord).patch(&dead, &json!({ "content": "x" })).await.code(), (404, 10015));
    }
}

#[tokio::test]
async fn choices_have_limits() {
    let choice = |n: usize| json!({ "name": n.to_string(), "value": n.to_string() });
    let choices = |all: Vec<Value>| json!({ "type": 8, "data": { "choices": all } });
    let (_discord, mona, channel, _) = asked(choices((0..25).map(choice).collect())).await;
    assert_eq!(mona.types(&channel, "/refward restore repo:|").await.len(), 25);
    for many in [(0..26).map(choice).collect(), vec![json!({ "name": "n".repeat(101), "value": "x" })]] {
        let (discord, mona, channel, _) = asked(choices(many)).await;
        mona.types(&channel, "/refward restore repo:|").await;
        assert_eq!(discord.forgive_violations().len(), 1);
    }
}

#[tokio::test]
async fn buttons_are_pressed_by_those_who_see_them() {
    let (discord, mona, channel, heard) = asked(now("shall I?")).await;
    let question = mona.says(&channel, "/refward status").await.answer().await;
    assert_eq!((question.text().as_str(), question.private()), ("shall I?", false));
    discord.member("lisa").presses(&question, "Go").await;
    let heard = heard.lock().unwrap();
    let Interaction::Component(press) = serde_json::from_value(heard[1].clone()).unwrap() else {
        panic!("nothing was pressed: {}", heard[1])
    };
    assert_eq!((press.data.custom_id.as_str(), press.user.name.as_str()), ("go", "lisa"));
    assert_eq!(press.message.id.to_string(), question.id);
}

#[tokio::test]
#[should_panic(expected = "lisa does not see this message")]
async fn nobody_presses_what_only_somebody_else_sees() {
    let mut private = now("shall I?");
    private["data"]["flags"] = json!(64);
    let (discord, mona, channel, _) = asked(private).await;
    let question = mona.says(&channel, "/refward status").await.answer().await;
    discord.member("lisa").presses(&question, "Go").await;
}

#[tokio::test]
async fn a_press_can_change_the_message() {
    let discord = FakeDiscord::start().await;
    let (mona, channel, bot) = (discord.member("mona"), discord.channel("ops"), Bot::of(&discord));
    let route = format!("/channels/{}/messages", channel.id);
    bot.post(&route, &now("shall I?")["data"]).await;
    let question = channel.says("shall I?").await;
    let id = question.button("Go");

    application(&discord, |_| json!({ "type": 7, "data": { "content": "done", "components": [] } })).await;
    let told = mona.presses(&question, "Go").await;
    assert_eq!(told.answer().await.id, question.id);
    assert_eq!((question.text().as_str(), question.buttons().len(), told.private()), ("done", 0, false));

    let heard: Arc<Mutex<Value>> = Arc::default();
    let keep = heard.clone();
    let change_later = move |interaction: &Value| {
        *keep.lock().unwrap() = interaction.clone();
        json!({ "type": 6 })
    };
    application(&discord, change_later).await;
    let told = mona.presses_id(&question, &id).await;
    let original = original(&discord, &heard.lock().unwrap());
    bot.patch(&original, &json!({ "content": "it was done before" })).await;
    assert_eq!(told.answer().await.text(), "it was done before");
}

#[tokio::test]
async fn letters_can_be_forged_aged_tampered_with_and_sent_twice() {
    let (discord, mona, channel, heard) = asked(later(false)).await;
    let letter = || mona.writes(&channel, "/refward status");
    assert_eq!(letter().forged().send().await.status, 401);
    assert_eq!(letter().tampered("status", "doctor").send().await.status, 401);
    let old = letter().signed_at(Utc::now() - TimeDelta::hours(1)).send().await;
    assert_eq!(old.status, 200, "this application looks at no clock");
    let elsewhere = letter().but("/guild_id", "1").send().await;
    assert_eq!((elsewhere.status, &heard.lock().unwrap().last().unwrap()["guild_id"]), (200, &json!("1")));
    let (told, again) = (letter().send().await, heard.lock().unwrap().len());
    assert_eq!(discord.replay(&told).await.status, 200);
    let heard = heard.lock().unwrap();
    assert_eq!((heard.len(), &heard[again]), (again + 1, &heard[again - 1]), "the same bytes");
    assert_eq!(channel.messages().len(), 3, "a replay makes no message");
}

#[tokio::test]
async fn an_endpoint_is_probed_before_it_is_taken() {
    let (discord, ..) = asked(later(false)).await;
    discord.probe().await.unwrap();
    discord.hook_to(&"http://127.0.0.1:1/hooks/discord".parse().unwrap());
    assert!(discord.probe().await.unwrap_err().contains("a sign of life"));
}

#[tokio::test]
async fn a_first_answer_can_be_overtaken() {
    let (discord, mona, channel, heard) = asked(later(true)).await;
    discord.overtake();
    let bot = Bot::of(&discord);
    let too_soon = async {
        let interaction = eventually(async || heard.lock().unwrap().first().cloned(), || "a question".to_owned()).await;
        let original = original(&discord, &interaction);
        (bot.patch(&original, &json!({ "content": "quick" })).await.code(), original)
    };
    let (told, (refused, original)) = tokio::join!(mona.says(&channel, "/refward status"), too_soon);
    assert_eq!(refused, (404, 10015));
    assert_eq!(bot.patch(&original, &json!({ "content": "again" })).await.status, 200);
    assert_eq!(told.answer().await.text(), "again");
}
