//! People on the server, and what they do.

use serde_json::{Value, json};

use super::FakeDiscord;
use super::answers::{Channel, Message, Suggestion, Told};
use super::interactions::Kind;
use super::letters::Letter;
use super::state::Somebody;

/// Somebody on the server.
#[derive(Clone)]
pub struct Member {
    discord: FakeDiscord,
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: String,
}

impl FakeDiscord {
    /// A member; joins when first asked for.
    pub fn member(&self, name: &str) -> Member {
        let mut state = self.state();
        let known = state.members.iter().find(|known| known.name == name).map(|known| known.id.clone());
        let id = known.unwrap_or_else(|| {
            let id = state.new_id();
            let member = Somebody { id: id.clone(), name: name.to_owned(), roles: Vec::new(), bot: false };
            state.members.push(member);
            id
        });
        Member { discord: self.clone(), id, name: name.to_owned() }
    }
}

impl Member {
    /// Gives them these roles and no others; a role is made when it is first asked for.
    pub fn roles(self, names: &[&str]) -> Self {
        let mut state = self.discord.state();
        let roles = names.iter().map(|name| state.role(name)).collect();
        state.members.iter_mut().find(|known| known.id == self.id).unwrap().roles = roles;
        drop(state);
        self
    }

    /// Sends a command: `/refward restore repo:acme/api at:3`. It panics where Discord would not let them send it.
    pub async fn says(&self, channel: &Channel, text: &str) -> Told {
        self.writes(channel, text).send().await
    }

    /// The same, not sent yet.
    pub fn writes(&self, channel: &Channel, text: &str) -> Letter {
        self.discord.letter(Kind::Command, &self.id, &channel.id, &self.typed(text, false), None)
    }

    /// Types a command up to the `|` and looks at what is suggested.
    pub async fn types(&self, channel: &Channel, text: &str) -> Vec<Suggestion> {
        let text = text.strip_suffix('|').unwrap_or_else(|| panic!("`{text}` does not end with |"));
        let data = self.typed(text, true);
        self.discord.letter(Kind::Complete, &self.id, &channel.id, &data, None).send().await.suggestions()
    }

    fn typed(&self, text: &str, typing: bool) -> Value {
        let data = self.discord.state().typed(text, typing);
        data.unwrap_or_else(|why| panic!("{} cannot say `{text}`: {why}", self.name))
    }

    /// Presses a button that is there. What only one person sees, nobody else can press.
    pub async fn presses(&self, message: &Message, label: &str) -> Told {
        self.presses_id(message, &message.button(label)).await
    }

    /// Presses what was there when they looked ([`Message::button`]), whatever the message has become since.
    pub async fn presses_id(&self, message: &Message, id: &str) -> Told {
        self.aims(message, id).send().await
    }

    /// The same, not sent yet.
    pub fn aims(&self, message: &Message, id: &str) -> Letter {
        let (channel, owner) = {
            let state = self.discord.state();
            let post = state.post(&message.id).unwrap();
            (post.channel.clone(), post.owner.clone())
        };
        let sees = owner.as_ref().is_none_or(|owner| *owner == self.id);
        assert!(sees, "{} does not see this message: {}", self.name, message.text());
        let data = json!({ "custom_id": id, "component_type": 2, "id": 2 });
        self.discord.letter(Kind::Press, &self.id, &channel, &data, Some(&message.id))
    }
}
