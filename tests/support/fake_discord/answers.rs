//! What people see: the answers to what they asked, and messages in channels.

use std::time::Duration;

use serde_json::Value;

use super::FakeDiscord;
use super::interactions::Stage;
use super::letters::Letter;
use super::messages::{EPHEMERAL, Post};
use super::state::rights;
use crate::support::world::eventually;

/// Something that somebody asked, with its first answer.
pub struct Told {
    pub(super) discord: FakeDiscord,
    /// What was sent, to be sent again.
    pub sent: Letter,
    /// How the application answered; 0: not at all.
    pub status: u16,
    /// The callback; null if there is none.
    pub first: Value,
    /// How long that took.
    pub took: Duration,
}

/// A channel.
#[derive(Clone)]
pub struct Channel {
    pub(super) discord: FakeDiscord,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A message as it stands now.
#[derive(Clone)]
pub struct Message {
    pub(super) discord: FakeDiscord,
    /// Its id.
    pub id: String,
}

/// A way in which something that is typed may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What is shown.
    pub name: String,
    /// What is meant.
    pub value: String,
}

impl Told {
    /// The message that answers, as soon as it says more than that an answer follows.
    pub async fn answer(&self) -> Message {
        let look = async || {
            let state = self.discord.state();
            let asked = state.asked.iter().find(|asked| asked.id == self.sent.id).unwrap();
            let Stage::Answered { message: Some(id), edits } = &asked.stage else {
                panic!("the application did not respond: {} {} to {}", self.status, self.first, self.asked());
            };
            let post = state.post(id).unwrap();
            let answered = if self.first["type"] == 4 { !post.loading() } else { post.edits > *edits };
            answered.then(|| id.clone())
        };
        let id = eventually(look, || format!("an answer to {}", self.asked())).await;
        Message { discord: self.discord.clone(), id }
    }

    /// Only who asked sees the answer.
    pub fn private(&self) -> bool {
        match self.first["type"].as_u64() {
            // The message that was pressed changes.
            Some(6 | 7) => {
                let state = self.discord.state();
                let asked = state.asked.iter().find(|asked| asked.id == self.sent.id).unwrap();
                asked.pressed.as_ref().and_then(|id| state.post(id)).is_some_and(Post::private)
            }
            _ => self.first["data"]["flags"].as_u64().unwrap_or_default() & EPHEMERAL != 0,
        }
    }

    /// How what was typed may go on.
    pub fn suggestions(&self) -> Vec<Suggestion> {
        let choices = self.first["data"]["choices"].as_array();
        let choices = choices.unwrap_or_else(|| panic!("nothing was suggested: {} {}", self.status, self.first));
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        choices.iter().map(|one| Suggestion { name: text(&one["name"]), value: text(&one["value"]) }).collect()
    }

    fn asked(&self) -> String {
        let interaction: Value = serde_json::from_slice(&self.sent.body).unwrap_or_default();
        interaction["data"].to_string()
    }
}

impl Channel {
    /// All that stands in it for everybody to see, the oldest first.
    pub fn messages(&self) -> Vec<Message> {
        let state = self.discord.state();
        let shown = state.posts.iter().filter(|post| post.channel == self.id && !post.deleted && !post.private());
        shown.map(|post| Message { discord: self.discord.clone(), id: post.id.clone() }).collect()
    }

    /// The newest message that has these words, as soon as there is one.
    pub async fn says(&self, words: &str) -> Message {
        let look = async || self.messages().into_iter().rfind(|message| message.text().contains(words));
        let told = || self.messages().iter().map(Message::text).collect::<Vec<_>>().join("\n---\n");
        eventually(look, || format!("`{words}` in #{}, where this stands:\n{}", self.name, told())).await
    }

    /// The bot may not see it any more.
    pub fn hide(&self) {
        self.deny(rights::VIEW_CHANNEL);
    }

    /// The bot may see it and say nothing.
    pub fn silence(&self) {
        self.deny(rights::SEND_MESSAGES);
    }

    /// The bot may do here what it may do anywhere.
    pub fn allow(&self) {
        self.deny(0);
    }

    fn deny(&self, rights: u64) {
        self.discord.state().channels.iter_mut().find(|known| known.id == self.id).unwrap().denied = rights;
    }

    /// Somebody deletes it, with all that is in it.
    pub fn delete(&self) {
        self.discord.state().channels.retain(|known| known.id != self.id);
    }
}

impl Message {
    fn read<T>(&self, read: impl FnOnce(&Post) -> T) -> T {
        let state = self.discord.state();
        read(state.post(&self.id).unwrap())
    }

    /// What it says.
    pub fn text(&self) -> String {
        self.read(|post| post.content.clone())
    }

    /// What its buttons say, without those that cannot be pressed.
    pub fn buttons(&self) -> Vec<String> {
        let label = |button: &Value| button["label"].as_str().unwrap_or_default().to_owned();
        self.read(|post| post.buttons().filter(|button| button["disabled"] != true).map(label).collect())
    }

    /// What a button's press tells the application.
    pub fn button(&self, label: &str) -> String {
        let found = self.read(|post| {
            let mut usable = post.buttons().filter(|button| button["disabled"] != true);
            let button = usable.find(|button| button["label"] == label)?;
            Some(button["custom_id"].as_str()?.to_owned())
        });
        found.unwrap_or_else(|| panic!("no `{label}` to press, but {:?} at: {}", self.buttons(), self.text()))
    }

    /// Everybody whom it notified: names, `@role`, `@everyone`.
    pub fn pings(&self) -> Vec<String> {
        self.read(|post| post.pings.iter().cloned().collect())
    }

    /// Everybody whom it mentions, notified or not.
    pub fn mentions(&self) -> Vec<String> {
        self.read(|post| post.mentions.iter().cloned().collect())
    }

    /// Only one person sees it.
    pub fn private(&self) -> bool {
        self.read(Post::private)
    }

    /// How often it was changed.
    pub fn edits(&self) -> usize {
        self.read(|post| post.edits)
    }

    /// It is gone.
    pub fn deleted(&self) -> bool {
        self.read(|post| post.deleted)
    }

    /// Somebody deletes it.
    pub fn delete(&self) {
        self.discord.state().post_mut(&self.id).unwrap().deleted = true;
    }

    /// As the API tells it.
    pub fn json(&self) -> Value {
        let state = self.discord.state();
        state.post(&self.id).unwrap().json(&state)
    }

    /// Waits until it has these words.
    pub async fn says(&self, words: &str) -> &Self {
        let look = async || self.text().contains(words).then_some(());
        eventually(look, || format!("`{words}` in a message that says:\n{}", self.text())).await;
        self
    }
}
