//! What we say to Discord arrives once, at the pace that Discord wants, and what goes wrong is told in words.

use std::time::Duration;

use refward::chat::{Look, Platform, Reply, ReplyTo, Tone};
use refward::domain::{Error, Kind};

use crate::support::fake_discord::{Channel, FakeDiscord, Fault};
use crate::{platform, told};

async fn server() -> (FakeDiscord, Box<dyn Platform>, Channel) {
    let discord = FakeDiscord::start().await;
    let (platform, channel) = (platform(&discord), discord.channel("backups"));
    (discord, platform, channel)
}

fn reply(text: &str) -> Reply {
    Reply::new(Tone::Plain, text)
}

fn calls(discord: &FakeDiscord, method: &str) -> usize {
    discord.seen().iter().filter(|seen| seen.method == method).count()
}

#[tokio::test]
async fn a_message_is_posted_once_and_changes_as_a_whole() {
    let (_discord, platform, channel) = server().await;
    let first =
        platform.post(&channel.id, &reply("waits").button(Look::Main, "Show", "show:12"), "restore 12").await.unwrap();
    let again = platform.post(&channel.id, &reply("waits"), "restore 12").await.unwrap();
    assert_eq!(first, again);
    let other = platform.post(&channel.id, &reply("waits"), "restore 13").await.unwrap();
    assert_ne!(first, other);
    let message = channel.messages().into_iter().find(|message| message.id == first).unwrap();
    assert_eq!(message.buttons(), ["Show"]);

    platform.edit(&channel.id, &first, &reply("done")).await.unwrap();
    assert_eq!((message.text(), message.buttons().len()), ("**done**".to_owned(), 0));
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_not_posted_twice() {
    let (discord, platform, channel) = server().await;
    discord.fail(1, Fault::Lost);
    let error = platform.post(&channel.id, &reply("waits"), "restore 12").await.unwrap_err();
    assert!(error.kind().is_transient(), "{error:?}");
    platform.post(&channel.id, &reply("waits"), "restore 12").await.unwrap();
    assert_eq!(channel.messages().len(), 1);
}

#[tokio::test]
async fn discord_is_asked_no_sooner_than_it_wants() {
    let (discord, platform, channel) = server().await;
    discord.limit(2, Duration::from_millis(600));
    for n in 0..5 {
        platform.post(&channel.id, &reply("a"), &format!("{n}")).await.unwrap();
    }
    assert_eq!((channel.messages().len(), discord.invalid_requests()), (5, 0));
}

#[tokio::test]
async fn what_would_take_long_comes_back_later_without_a_call() {
    let (discord, platform, channel) = server().await;
    discord.limit(1, Duration::from_secs(30));
    platform.post(&channel.id, &reply("a"), "1").await.unwrap();
    let error = platform.post(&channel.id, &reply("a"), "2").await.unwrap_err();
    let Kind::Throttled { retry_after } = error.kind() else { panic!("{error:?}") };
    assert!(retry_after > Duration::from_secs(20), "{retry_after:?}");
    assert_eq!((calls(&discord, "POST"), discord.invalid_requests()), (1, 0));
    // Another channel has a bucket of its own.
    platform.post(&discord.channel("general").id, &reply("a"), "3").await.unwrap();
}

#[tokio::test]
async fn a_refusal_for_coming_too_soon_is_waited_out() {
    let (discord, platform, channel) = server().await;
    for limited in [Fault::Shared { retry_after: 0.2 }, Fault::Limited { retry_after: 0.2, global: true }] {
        discord.fail(1, limited);
        platform.post(&channel.id, &reply("a"), &format!("{limited:?}")).await.unwrap();
    }
    discord.fail(1, Fault::Limited { retry_after: 40.0, global: false });
    let error = platform.post(&channel.id, &reply("a"), "long").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Remote { retry_after: Some(Duration::from_secs(40)) });
    // Discord that refuses for ever is left alone.
    let general = discord.channel("general").id;
    discord.fail(9, Fault::Shared { retry_after: 0.1 });
    let before = calls(&discord, "POST");
    platform.post(&general, &reply("a"), "never").await.unwrap_err();
    assert_eq!(calls(&discord, "POST") - before, 3);
}

/// What a person is told.
async fn error_of(platform: &dyn Platform, channel: &Channel) -> Error {
    platform.post(&channel.id, &reply("a"), "x").await.unwrap_err()
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_words() {
    let (discord, platform, channel) = server().await;
    channel.silence();
    insta::assert_snapshot!(hidden(&channel, &error_of(&*platform, &channel).await), @"
    Misconfigured: the bot may not write in the channel CHANNEL
    → in Discord: Edit Channel, Permissions, Advanced Permissions: add the bot's role and allow Send Messages
    ");
    channel.hide();
    insta::assert_snapshot!(hidden(&channel, &error_of(&*platform, &channel).await), @"
    Misconfigured: the bot may not see the channel CHANNEL
    → in Discord: Edit Channel, Permissions, Advanced Permissions: add the bot's role and allow View Channel and Send Messages
    ");
    channel.delete();
    insta::assert_snapshot!(hidden(&channel, &error_of(&*platform, &channel).await), @"
    NotFound: the channel CHANNEL is gone
    → if the settings name it, name another one there
    ");

    let channel = discord.channel("general");
    let gone = platform.edit(&channel.id, "1", &reply("a")).await.unwrap_err();
    insta::assert_snapshot!(told(&gone), @"
    NotFound: the message is gone
    → -
    ");
    discord.fail(1, Fault::Status(503));
    insta::assert_snapshot!(told(&error_of(&*platform, &channel).await), @"
    Remote { retry_after: None }: Discord is in trouble: it answers 503 Service Unavailable
    → -
    ");
    discord.fail(1, Fault::Closed);
    insta::assert_snapshot!(told(&error_of(&*platform, &channel).await), @"
    Remote { retry_after: None }: Discord breaks the connection off
    → -
    ");
    discord.reset_token();
    insta::assert_snapshot!(told(&error_of(&*platform, &channel).await), @"
    Misconfigured: Discord refuses the bot's token: 401: Unauthorized
    → Developer Portal, your application, Bot, Reset Token; put the new one into the file that the setting `discord.token_file` names, and restart
    ");
}

fn hidden(channel: &Channel, error: &Error) -> String {
    told(error).replace(&channel.id, "CHANNEL")
}

#[tokio::test]
async fn an_answer_that_is_too_late_is_told_apart_and_betrays_no_token() {
    let (discord, platform, _) = server().await;
    let to = ReplyTo("s3cret-t0ken".to_owned().into());
    let late = platform.reply(&to, &reply("a")).await.unwrap_err();
    assert_eq!(late.kind(), Kind::NotFound);
    insta::assert_snapshot!(late, @"it is too late to answer: Discord takes answers for 15 minutes");
    discord.down();
    let silent = platform.reply(&to, &reply("a")).await.unwrap_err();
    for error in [late, silent] {
        let everything = format!("{error:?} {}", error.for_log());
        assert!(!everything.contains("s3cret"), "{everything}");
    }
}
