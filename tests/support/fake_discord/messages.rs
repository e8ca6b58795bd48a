//! Messages: what fits, who they would ping, and how they are told.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::people;
use super::pings::{allows, called};
use super::reply::{Misfit, Reply, error, misfit, without_nulls};
use super::state::State;

const CHARACTERS: usize = 2000;
const ROWS: usize = 5;
const BUTTONS_IN_A_ROW: usize = 5;
const LABEL: usize = 80;
const CUSTOM_ID: usize = 100;

pub const SUPPRESS_EMBEDS: u64 = 1 << 2;
pub const EPHEMERAL: u64 = 1 << 6;
pub const LOADING: u64 = 1 << 7;

/// How long a nonce makes sure that there is one message.
const NONCES_LAST: TimeDelta = TimeDelta::minutes(5);

/// What `Button`s are that lead to a page; those tell nobody that they were pressed.
const LINK: u64 = 5;

/// A message.
#[derive(Clone)]
pub struct Post {
    pub id: String,
    pub channel: String,
    /// Its author's id.
    pub author: String,
    pub kind: u64,
    pub content: String,
    pub embeds: Value,
    /// Numbered, as answers have them.
    pub components: Value,
    pub flags: u64,
    pub nonce: Option<String>,
    pub created: DateTime<Utc>,
    pub edited: Option<DateTime<Utc>>,
    pub edits: usize,
    /// The only one who sees it.
    pub owner: Option<String>,
    pub deleted: bool,
    /// Names of those who were notified; by their roles, `@role`.
    pub pings: BTreeSet<String>,
    /// The names of those who are shown in it as mentioned.
    pub mentions: BTreeSet<String>,
}

impl Post {
    pub fn new(state: &mut State, channel: &str, author: &str, kind: u64) -> Self {
        Self {
            id: state.new_id(),
            channel: channel.to_owned(),
            author: author.to_owned(),
            kind,
            content: String::new(),
            embeds: json!([]),
            components: json!([]),
            flags: 0,
            nonce: None,
            created: state.now(),
            edited: None,
            edits: 0,
            owner: None,
            deleted: false,
            pings: BTreeSet::new(),
            mentions: BTreeSet::new(),
        }
    }

    /// Takes over what a form has; what it does not mention stays.
    pub fn fill(&mut self, state: &State, form: &Value) {
        if let Some(content) = form.get("content") {
            content.as_str().unwrap_or_default().clone_into(&mut self.content);
        }
        if let Some(embeds) = form.get("embeds") {
            self.embeds = if embeds.is_null() { json!([]) } else { embeds.clone() };
        }
        if let Some(components) = form.get("components") {
            self.components = numbered(components, &mut 0);
        }
        if let Some(flags) = form["flags"].as_u64() {
            // Who sees a message is settled when it is made.
            self.flags = (self.flags & EPHEMERAL) | (flags & !(EPHEMERAL | LOADING));
        }
        let called = called(state, &self.content);
        self.mentions = called.iter().map(|(name, _)| name.clone()).collect();
        let allowed = |(name, id): (String, String)| allows(&form["allowed_mentions"], &name, &id).then_some(name);
        self.pings.extend(called.into_iter().filter_map(allowed));
    }

    /// The same, later.
    pub fn edit(&mut self, state: &State, form: &Value) {
        // An edit notifies nobody.
        let pings = if self.flags & LOADING == 0 { Some(self.pings.clone()) } else { None };
        self.flags &= !LOADING;
        self.fill(state, form);
        self.pings = pings.unwrap_or_else(|| std::mem::take(&mut self.pings));
        self.edits += 1;
        self.edited = Some(state.now());
    }

    pub fn private(&self) -> bool {
        self.flags & EPHEMERAL != 0
    }

    pub fn loading(&self) -> bool {
        self.flags & LOADING != 0
    }

    /// All buttons, row by row.
    pub fn buttons(&self) -> impl Iterator<Item = &Value> {
        let rows = self.components.as_array().into_iter().flatten();
        rows.flat_map(|row| row["components"].as_array().into_iter().flatten()).filter(|one| one["type"] == 2)
    }

    /// As answers have it.
    pub fn json(&self, state: &State) -> Value {
        let author = state.member(&self.author).unwrap();
        let known = |name: &&String| state.members.iter().find(|known| known.name == **name);
        let mentions: Vec<Value> = self.mentions.iter().filter_map(|name| known(&name)).map(people::user).collect();
        let mut json = json!({
            "id": self.id, "channel_id": self.channel, "type": self.kind, "author": people::user(author),
            "content": self.content, "embeds": self.embeds, "components": self.components, "attachments": [],
            "mentions": mentions, "mention_roles": [], "mention_everyone": self.pings.contains("@everyone"),
            "timestamp": stamp(self.created), "edited_timestamp": self.edited.map(stamp), "flags": self.flags,
            "pinned": false, "tts": false,
        });
        if let Some(nonce) = &self.nonce {
            json["nonce"] = json!(nonce);
        }
        if self.kind != 0 {
            json["application_id"] = json!(state.application);
            json["webhook_id"] = json!(state.application);
        }
        json
    }
}

/// As Discord writes moments.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// Refuses a form that does not fit, or that says nothing.
pub fn check(form: &Value, new: bool) -> Result<(), Reply> {
    fits(form).map_err(|wrong| misfit(&wrong))?;
    let nothing = |field: &str| match &form[field] {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => true,
    };
    if new && ["content", "embeds", "components"].into_iter().all(nothing) {
        return Err(error(50006));
    }
    Ok(())
}

/// What Discord checks beside its description.
pub fn fits(form: &Value) -> Result<(), Misfit> {
    if form["content"].as_str().is_some_and(|content| content.chars().count() > CHARACTERS) {
        return Err(Misfit::too_long("content", CHARACTERS));
    }
    let rows = form["components"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.len() > ROWS {
        return Err(Misfit::new("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length."));
    }
    let mut ids = BTreeSet::new();
    for (r, row) in rows.iter().enumerate() {
        let buttons = row["components"].as_array().map_or(&[][..], Vec::as_slice);
        let at = format!("components.{r}.components");
        if !(1..=BUTTONS_IN_A_ROW).contains(&buttons.len()) {
            return Err(Misfit::new(at, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length."));
        }
        for (b, button) in buttons.iter().enumerate() {
            button_fits(button, &format!("{at}.{b}"))?;
            if let Some(id) = button["custom_id"].as_str()
                && !ids.insert(id)
            {
                let (at, text) = (format!("{at}.{b}.custom_id"), "Component custom id cannot be duplicated");
                return Err(Misfit::new(at, "COMPONENT_CUSTOM_ID_DUPLICATED", text));
            }
        }
    }
    Ok(())
}

fn button_fits(button: &Value, at: &str) -> Result<(), Misfit> {
    let text = |field: &str| button[field].as_str().unwrap_or_default();
    let required = |field: &str| Misfit::new(format!("{at}.{field}"), "BASE_TYPE_REQUIRED", "This field is required");
    for (field, most) in [("label", LABEL), ("custom_id", CUSTOM_ID)] {
        if text(field).chars().count() > most {
            return Err(Misfit::too_long(format!("{at}.{field}"), most));
        }
    }
    let link = button["style"].as_u64() == Some(LINK);
    match (link, text("custom_id").is_empty(), text("url").is_empty()) {
        _ if text("label").is_empty() && button["emoji"].is_null() => Err(required("label")),
        (true, _, true) => Err(required("url")),
        (false, true, _) => Err(required("custom_id")),
        (true, false, _) | (false, _, false) => {
            let text = "A custom id and url cannot both be specified";
            Err(Misfit::new(at, "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", text))
        }
        _ => Ok(()),
    }
}

/// Components with the numbers that Discord gives them, and without what is null.
fn numbered(components: &Value, count: &mut u64) -> Value {
    let number = |component: &Value, count: &mut u64| {
        let mut made = without_nulls(component);
        let fields = made.as_object_mut().unwrap();
        *count += 1;
        fields.insert("id".to_owned(), json!(count));
        if let Some(below) = component.get("components") {
            fields.insert("components".to_owned(), numbered(below, count));
        }
        made
    };
    components.as_array().into_iter().flatten().map(|component| number(component, count)).collect()
}

impl State {
    /// Posts in a channel as the bot, once for each nonce that is to be enforced.
    pub fn publish(&mut self, channel: &str, form: &Value) -> Value {
        let nonce = match &form["nonce"] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let now = self.now();
        if form["enforce_nonce"] == true && nonce.is_some() {
            let same = |known: &&Post| known.channel == channel && known.nonce == nonce && known.author == self.bot;
            let fresh = |known: &&Post| now - known.created < NONCES_LAST;
            if let Some(known) = self.posts.iter().filter(same).find(fresh) {
                return known.json(self);
            }
        }
        let bot = self.bot.clone();
        let mut post = Post { nonce, ..Post::new(self, channel, &bot, 0) };
        post.fill(self, form);
        let json = post.json(self);
        self.posts.push(post);
        json
    }

    /// Changes a message.
    pub fn edit(&mut self, id: &str, form: &Value) -> Value {
        let mut post = self.post(id).unwrap().clone();
        post.edit(self, form);
        let json = post.json(self);
        *self.post_mut(id).unwrap() = post;
        json
    }
}
