//! What Discord sends is believed if Discord signed it, lately, and comes out in our words.

use chrono::{TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use refward::chat::{First, Incoming, Platform, Rejected, Reply, Tone, What, Words};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::fake_discord::{Channel, FakeDiscord, Letter, Member};
use crate::{grammar, open, platform, settings_for};

/// A server with our commands, somebody with a role, and a channel.
async fn server() -> (FakeDiscord, Box<dyn Platform>, Member, Channel) {
    let discord = FakeDiscord::start().await;
    let platform = platform(&discord);
    platform.register(&grammar()).await.unwrap();
    let (mona, channel) = (discord.member("mona").roles(&["ops"]), discord.channel("backups"));
    (discord, platform, mona, channel)
}

fn headers(letter: &Letter) -> HeaderMap {
    let pairs = [("x-signature-ed25519", &letter.signature), ("x-signature-timestamp", &letter.timestamp)];
    let pairs =
        pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    pairs.collect()
}

/// Other words, signed by Discord as well.
fn saying(mut letter: Letter, body: impl Into<bytes::Bytes>) -> Letter {
    letter.body = body.into();
    letter.signed_at(Utc::now())
}

fn received(platform: &dyn Platform, letter: &Letter) -> Result<Incoming, Rejected> {
    platform.read(&platform.verify(&headers(letter), letter.body.clone())?)
}

#[tokio::test]
async fn only_what_discord_signed_is_taken() {
    let (_discord, platform, mona, channel) = server().await;
    let letter = mona.writes(&channel, "/refward status");
    assert!(received(&*platform, &letter).is_ok());
    let mut older = letter.clone();
    older.timestamp = (Utc::now() - TimeDelta::seconds(1)).timestamp().to_string();
    for refused in [letter.clone().forged(), letter.clone().tampered("status", "policy"), older] {
        assert_eq!(received(&*platform, &refused).err(), Some(Rejected::Unauthenticated));
    }
    for missing in ["x-signature-ed25519", "x-signature-timestamp"] {
        let mut headers = headers(&letter);
        headers.remove(missing);
        assert_eq!(platform.verify(&headers, letter.body.clone()).err(), Some(Rejected::Unauthenticated), "{missing}");
    }
}

#[tokio::test]
async fn what_was_signed_long_ago_is_not_taken_again() {
    let (_discord, platform, mona, channel) = server().await;
    let letter = mona.writes(&channel, "/refward status");
    for (minutes, taken) in [(-6, false), (-4, true), (4, true), (6, false)] {
        let letter = letter.clone().signed_at(Utc::now() + TimeDelta::minutes(minutes));
        assert_eq!(received(&*platform, &letter).is_ok(), taken, "{minutes} minutes away");
    }
}

#[tokio::test]
async fn a_command_comes_with_its_words_and_who_says_them() {
    let (discord, platform, mona, channel) = server().await;
    let asked =
        received(&*platform, &mona.writes(&channel, "/refward restore repo:acme/api to:same hold:true")).unwrap();
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let options = vec![option("repo", "acme/api"), option("to", "same"), option("hold", "true")];
    assert_eq!(asked.what, What::Command(Words { path: vec!["restore".to_owned()], options }));
    assert_eq!(asked.from.person.to_string(), format!("discord:{}", mona.id));
    // The server itself stands for everybody in it.
    assert_eq!(asked.from.roles, [discord.role("ops"), discord.server()]);
    assert_eq!((asked.place, asked.channel), (Some(discord.server()), Some(channel.id.clone())));
    assert!((Utc::now() - asked.at).abs() < TimeDelta::minutes(1), "{}", asked.at);
    assert!(asked.reply_to.unwrap().0.expose_secret().starts_with("interaction-"));

    let asked = received(&*platform, &mona.writes(&channel, "/refward policy show")).unwrap();
    let path = vec!["policy".to_owned(), "show".to_owned()];
    assert_eq!(asked.what, What::Command(Words { path, options: Vec::new() }));
}

#[tokio::test]
async fn what_is_being_typed_is_told_apart_from_what_is_there() {
    let (discord, platform, mona, channel) = server().await;
    let data = json!({ "id": "1", "name": "refward", "type": 1, "options": [
        { "name": "restore", "type": 1, "options": [
            { "name": "at", "type": 3, "value": "3" },
            { "name": "repo", "type": 3, "value": "acme/", "focused": true },
        ] },
    ] });
    let letter = mona.writes(&channel, "/refward status");
    let mut body: serde_json::Value = serde_json::from_slice(&letter.body).unwrap();
    (body["type"], body["data"]) = (json!(4), data);
    let letter = saying(letter, body.to_string());
    let words = Words { path: vec!["restore".to_owned()], options: vec![("at".to_owned(), "3".to_owned())] };
    let (option, typed) = ("repo".to_owned(), "acme/".to_owned());
    assert_eq!(received(&*platform, &letter).unwrap().what, What::Complete { words, option, typed });
    drop(discord);
}

#[tokio::test]
async fn a_press_tells_which_button_and_who_sees_it() {
    let (discord, platform, mona, channel) = server().await;
    let reply = Reply::new(Tone::Plain, "Restore?").button(refward::chat::Look::Main, "Confirm", "confirm:12");
    let public = platform.post(&channel.id, &reply, "restore 12").await.unwrap();
    let public = channel.messages().into_iter().find(|message| message.id == public).unwrap();
    let asked = received(&*platform, &mona.aims(&public, &public.button("Confirm"))).unwrap();
    assert_eq!(asked.what, What::Press { button: "confirm:12".to_owned(), private: false });

    // The same on an answer that only one person sees.
    let letter = mona.aims(&public, "confirm:12");
    let mut body: serde_json::Value = serde_json::from_slice(&letter.body).unwrap();
    body["message"]["flags"] = json!(64);
    let letter = saying(letter, body.to_string());
    let asked = received(&*platform, &letter).unwrap();
    assert_eq!(asked.what, What::Press { button: "confirm:12".to_owned(), private: true });
    drop(discord);
}

#[tokio::test]
async fn other_servers_and_other_applications_are_not_served() {
    let (discord, platform, mona, channel) = server().await;
    let letter = mona.writes(&channel, "/refward status");
    let signed = |letter: Letter| letter.signed_at(Utc::now());
    let elsewhere = signed(letter.clone().tampered(&discord.server(), "111111111111111111"));
    assert_eq!(received(&*platform, &elsewhere).err(), Some(Rejected::Malformed("this server is not served")));
    let mut settings = settings_for(&discord);
    settings.discord.server = String::new();
    let everywhere = open(&settings).unwrap().unwrap();
    assert!(received(&*everywhere, &elsewhere).is_ok());

    let another = signed(letter.tampered(&discord.application_id(), "222222222222222222"));
    assert_eq!(received(&*platform, &another).err(), Some(Rejected::Malformed("it is for another application")));
}

#[tokio::test]
async fn what_is_signed_and_makes_no_sense_is_refused_in_words() {
    let (_discord, platform, mona, channel) = server().await;
    let letter = mona.writes(&channel, "/refward status");
    for (body, why) in [("{}", "this is no interaction"), ("no json", "this is no interaction")] {
        let letter = saying(letter.clone(), body);
        assert_eq!(received(&*platform, &letter).err(), Some(Rejected::Malformed(why)));
    }
}

#[tokio::test]
async fn a_sign_of_life_is_answered_as_discord_wants_it() {
    let (discord, platform, mona, channel) = server().await;
    let letter = mona.writes(&channel, "/refward status");
    let ping =
        json!({ "id": letter.id, "application_id": discord.application_id(), "type": 1, "token": "t", "version": 1 });
    let ping = saying(letter, ping.to_string());
    let asked = received(&*platform, &ping).unwrap();
    assert_eq!((asked.what, asked.reply_to.is_none()), (What::Ping, true));
    assert_eq!(platform.first(&First::Pong).unwrap(), r#"{"type":1}"#);
}
