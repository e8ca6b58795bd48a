//! What somebody asked is answered in the place of "an answer follows", for as long as Discord lets us.

use std::sync::mpsc::{Receiver, channel};

use refward::chat::{First, Look, Platform, Reply, ReplyTo, Tone};
use refward::domain::Kind;
use serde_json::Value;

use crate::bot::application;
use crate::support::fake_discord::{Channel, FakeDiscord, Fault, Member};
use crate::support::world::eventually;
use crate::{grammar, platform};

/// A server whose application says `first` to everything, and passes on with what it may answer.
async fn asked(first: First) -> (FakeDiscord, Box<dyn Platform>, Member, Channel, Receiver<ReplyTo>) {
    let discord = FakeDiscord::start().await;
    let platform = platform(&discord);
    platform.register(&grammar()).await.unwrap();
    let said: Value = serde_json::from_slice(&platform.first(&first).unwrap()).unwrap();
    let (tell, told) = channel();
    let tell = std::sync::Mutex::new(tell);
    let answer = move |interaction: &Value| {
        let token = interaction["token"].as_str().unwrap().to_owned();
        tell.lock().unwrap().send(ReplyTo(token.into())).unwrap();
        said.clone()
    };
    application(&discord, answer).await;
    let (mona, channel) = (discord.member("mona"), discord.channel("ops"));
    (discord, platform, mona, channel, told)
}

fn done() -> Reply {
    Reply::new(Tone::Good, "Done").button(Look::Main, "Undo", "undo:12")
}

#[tokio::test]
async fn an_answer_takes_the_place_of_the_first() {
    let (_discord, platform, mona, channel, told) = asked(First::Later { private: true }).await;
    let question = mona.says(&channel, "/refward status").await;
    platform.reply(&told.recv().unwrap(), &done()).await.unwrap();
    let answer = question.answer().await;
    assert_eq!((answer.text().as_str(), answer.buttons()), ("✅ **Done**", vec!["Undo".to_owned()]));
    assert!(answer.private() && channel.messages().is_empty());
}

#[tokio::test]
async fn an_answer_that_overtakes_the_first_comes_back() {
    let (discord, platform, mona, channel, told) = asked(First::Later { private: true }).await;
    discord.overtake();
    let quick = async {
        let to = eventually(async || told.try_recv().ok(), || "a question".to_owned()).await;
        platform.reply(&to, &done()).await
    };
    let (question, answered) = tokio::join!(mona.says(&channel, "/refward status"), quick);
    answered.unwrap();
    assert_eq!(question.answer().await.text(), "✅ **Done**");
}

#[tokio::test]
async fn a_message_changes_whose_button_was_pressed() {
    let (discord, platform, mona, channel, told) = asked(First::Change).await;
    let reply = Reply::new(Tone::Plain, "Restore?").button(Look::Main, "Confirm", "confirm:12");
    let id = platform.post(&channel.id, &reply, "restore 12").await.unwrap();
    let message = channel.messages().into_iter().find(|message| message.id == id).unwrap();
    mona.presses(&message, "Confirm").await;
    platform.reply(&told.recv().unwrap(), &done()).await.unwrap();
    assert_eq!((message.text().as_str(), message.buttons()), ("✅ **Done**", vec!["Undo".to_owned()]));
    drop(discord);
}

#[tokio::test]
async fn after_a_quarter_of_an_hour_it_is_too_late() {
    let (discord, platform, mona, channel, told) = asked(First::Later { private: true }).await;
    mona.says(&channel, "/refward status").await;
    let to = told.recv().unwrap();
    discord.expire_tokens();
    let late = platform.reply(&to, &done()).await.unwrap_err();
    assert_eq!(late.kind(), Kind::NotFound);
    assert_eq!(late.to_string(), "it is too late to answer: Discord takes answers for 15 minutes");
}

#[tokio::test]
async fn discord_in_trouble_is_tried_again_by_whoever_asked() {
    let (discord, platform, mona, channel, told) = asked(First::Later { private: true }).await;
    let question = mona.says(&channel, "/refward status").await;
    let to = told.recv().unwrap();
    for trouble in [Fault::Status(500), Fault::Closed, Fault::Lost] {
        discord.fail(1, trouble);
        let failed = platform.reply(&to, &done()).await.unwrap_err();
        assert!(failed.kind().is_transient(), "{trouble:?}: {failed:?}");
    }
    platform.reply(&to, &done()).await.unwrap();
    assert_eq!(question.answer().await.text(), "✅ **Done**");
}
