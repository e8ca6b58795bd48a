//! Interactions: what the application is told, what may be answered, and until when.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::messages::{EPHEMERAL, LOADING, Post, check, fits, stamp};
use super::openapi;
use super::people;
use super::reply::{Misfit, Reply, done, error, misfit, no_such_path, ok};
use super::state::{State, rights};

/// After this long, an interaction's token is worth nothing.
/// <https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-callback>
pub const TOKENS_LAST: TimeDelta = TimeDelta::minutes(15);

/// How many choices an answer may have, and how long each may be.
const CHOICES: usize = 25;
const CHOICE: usize = 100;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ping = 1,
    Command = 2,
    Press = 3,
    Complete = 4,
}

/// An interaction, and what became of it.
pub struct Asked {
    pub id: String,
    pub token: String,
    pub kind: Kind,
    pub by: String,
    pub channel: String,
    /// The message whose button was pressed.
    pub pressed: Option<String>,
    pub at: DateTime<Utc>,
    pub stage: Stage,
    /// How often somebody used its token before there was a first answer.
    pub too_soon: usize,
}

/// How far an interaction is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// There is no answer yet.
    Waiting,
    /// There is one; `edits`: how often its message had been changed before.
    Answered { message: Option<String>, edits: usize },
    /// Nobody answered well, or in time.
    Dead,
}

impl State {
    /// A new interaction, as the application gets it.
    pub fn ask(&mut self, kind: Kind, by: &str, channel: &str, data: &Value, pressed: Option<&str>) -> Value {
        let asked = Asked {
            id: self.new_id(),
            token: format!("interaction-{}", uuid::Uuid::new_v4().simple()),
            kind,
            by: by.to_owned(),
            channel: channel.to_owned(),
            pressed: pressed.map(str::to_owned),
            at: self.now(),
            stage: Stage::Waiting,
            too_soon: 0,
        };
        let member = self.member(by).unwrap();
        let room = self.channel(channel).unwrap_or_else(|| panic!("there is no channel {channel}"));
        let mut told_member = people::member(member);
        told_member["permissions"] = json!(rights::EVERYBODY.to_string());
        let mut told_room = self.channel_json(room);
        told_room["permissions"] = json!(rights::EVERYBODY.to_string());
        let mut interaction = json!({
            "id": asked.id, "application_id": self.application, "type": kind as u8, "token": asked.token, "version": 1,
            "data": data, "guild_id": self.guild, "guild": { "id": self.guild, "features": [], "locale": "en-US" },
            "channel_id": channel, "channel": told_room, "member": told_member, "locale": "en-US",
            "guild_locale": "en-US", "app_permissions": self.rights_in(room).to_string(), "entitlements": [],
            "authorizing_integration_owners": { "0": self.guild }, "context": 0, "attachment_size_limit": 10_485_760,
        });
        if let Some(message) = pressed.and_then(|id| self.post(id)) {
            interaction["message"] = message.json(self);
        }
        self.asked.push(asked);
        interaction
    }

    /// Takes the first answer to an interaction; later ones (somebody replays it) mean nothing.
    pub fn answered(&mut self, id: &str, status: u16, first: &Value, took: Duration) {
        let late = std::mem::take(&mut self.late) || self.first_answer_within.is_some_and(|within| took > within);
        let Some(place) = self.asked.iter().position(|asked| asked.id == id) else { return };
        if !matches!(self.asked[place].stage, Stage::Waiting) {
            return;
        }
        let stage = if status == 200 && !late {
            self.callback(place, first).unwrap_or_else(|why| {
                let told: String = first.to_string().chars().take(300).collect();
                self.violated(format!("the first answer to an interaction: {why}: {told}"));
                Stage::Dead
            })
        } else {
            Stage::Dead
        };
        self.asked[place].stage = stage;
    }

    /// <https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response-object-interaction-callback-type>
    fn callback(&mut self, place: usize, first: &Value) -> Result<Stage, String> {
        if let Some(described) = openapi::description() {
            described.check_callback(first)?;
        }
        let data = &first["data"];
        let (kind, pressed) = (self.asked[place].kind, self.asked[place].pressed.clone());
        let private = data["flags"].as_u64().unwrap_or_default() & EPHEMERAL != 0;
        match (first["type"].as_u64().unwrap_or_default(), kind, pressed) {
            (4, Kind::Command | Kind::Press, _) => {
                check(data, true).map_err(|refused| refused.body.unwrap_or_default().to_string())?;
                let mut post = self.reply_post(place, private);
                post.fill(self, data);
                Ok(self.keep(post))
            }
            (5, Kind::Command | Kind::Press, _) => {
                let mut post = self.reply_post(place, private);
                post.flags |= LOADING;
                Ok(self.keep(post))
            }
            (6, Kind::Press, Some(message)) => {
                let edits = self.post(&message).unwrap().edits;
                Ok(Stage::Answered { message: Some(message), edits })
            }
            (7, Kind::Press, Some(message)) => {
                check(data, false).map_err(|refused| refused.body.unwrap_or_default().to_string())?;
                let edits = self.post(&message).unwrap().edits;
                self.edit(&message, data);
                Ok(Stage::Answered { message: Some(message), edits })
            }
            (8, Kind::Complete, _) => {
                choices_fit(&data["choices"]).map_err(|wrong| format!("{wrong:?}"))?;
                Ok(Stage::Answered { message: None, edits: 0 })
            }
            (kind, asked, _) => Err(format!("{asked:?} cannot be answered with type {kind}")),
        }
    }

    /// A message that answers an interaction, in its channel.
    fn reply_post(&mut self, place: usize, private: bool) -> Post {
        let Asked { channel, by, kind, .. } = &self.asked[place];
        let (channel, by, kind) = (channel.clone(), by.clone(), if *kind == Kind::Command { 20 } else { 19 });
        let bot = self.bot.clone();
        let mut post = Post::new(self, &channel, &bot, kind);
        if private {
            post.flags |= EPHEMERAL;
            post.owner = Some(by);
        }
        post
    }

    fn keep(&mut self, post: Post) -> Stage {
        let (message, edits) = (Some(post.id.clone()), post.edits);
        self.posts.push(post);
        Stage::Answered { message, edits }
    }

    /// What somebody does who holds an interaction's token.
    pub fn by_token(
        &mut self,
        method: &str,
        application: &str,
        token: &str,
        rest: &[&str],
        form: &Value,
    ) -> Result<Reply, Reply> {
        let now = self.now();
        let place = self.asked.iter().position(|asked| asked.token == token && application == self.application);
        let place = place.ok_or_else(|| error(50027))?;
        if now - self.asked[place].at >= TOKENS_LAST {
            return Err(error(50027));
        }
        // Before the first answer has arrived, and when it never does, Discord knows nothing under this token.
        let Stage::Answered { message: Some(message), .. } = self.asked[place].stage.clone() else {
            self.asked[place].too_soon += 1;
            return Err(error(10015));
        };
        if matches!((method, rest), ("POST", [])) {
            return self.follow_up(place, &message, form);
        }
        let ["messages", "@original"] = rest else { return Err(no_such_path()) };
        let post = self.post(&message).filter(|post| !post.deleted).ok_or_else(|| error(10008))?;
        match method {
            "GET" => Ok(ok(post.json(self))),
            "PATCH" => {
                check(form, post.loading())?;
                Ok(ok(self.edit(&message, form)))
            }
            "DELETE" => {
                self.post_mut(&message).unwrap().deleted = true;
                Ok(done())
            }
            _ => Err(no_such_path()),
        }
    }

    /// A further message. The first one after "an answer follows" is that answer.
    fn follow_up(&mut self, place: usize, message: &str, form: &Value) -> Result<Reply, Reply> {
        check(form, true)?;
        if self.post(message).is_some_and(Post::loading) {
            return Ok(ok(self.edit(message, form)));
        }
        let private = form["flags"].as_u64().unwrap_or_default() & EPHEMERAL != 0;
        let mut post = self.reply_post(place, private);
        post.fill(self, form);
        let json = post.json(self);
        self.posts.push(post);
        Ok(ok(json))
    }

    /// A first answer that comes by a call. Who is asked over HTTP answers there.
    pub fn called_back(&mut self, id: &str, token: &str) -> Result<Reply, Reply> {
        let asked = self.asked.iter().find(|asked| asked.id == id && asked.token == token);
        let what = asked.map_or_else(|| "nothing".to_owned(), |asked| format!("{:?}", asked.stage));
        self.violated(format!("a callback was called, of an interaction that stands at: {what}"));
        Err(error(10062))
    }
}

fn choices_fit(choices: &Value) -> Result<(), Misfit> {
    let choices = choices.as_array().map_or(&[][..], Vec::as_slice);
    if choices.len() > CHOICES {
        return Err(Misfit::too_long("choices", CHOICES));
    }
    for (place, choice) in choices.iter().enumerate() {
        for field in ["name", "value"] {
            let length = choice[field].as_str().map_or(1, |text| text.chars().count());
            if !(1..=CHOICE).contains(&length) {
                let text = "Must be between 1 and 100 in length.";
                return Err(Misfit::new(format!("choices.{place}.{field}"), "BASE_TYPE_BAD_LENGTH", text));
            }
        }
    }
    Ok(())
}
