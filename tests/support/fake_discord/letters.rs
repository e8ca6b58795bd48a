//! What is sent to the application, signed: rightly, or as somebody might who is not Discord.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use super::FakeDiscord;
use super::answers::Told;
use super::interactions::{Kind, TOKENS_LAST};
use crate::support::world::PATIENCE;

/// Signed bytes for the application.
#[derive(Clone)]
pub struct Letter {
    discord: FakeDiscord,
    /// The interaction's id.
    pub id: String,
    /// What is signed, beside the time.
    pub body: Bytes,
    /// When it says that it was signed: seconds.
    pub timestamp: String,
    /// In hex.
    pub signature: String,
}

impl Letter {
    fn new(discord: &FakeDiscord, interaction: &Value) -> Self {
        let id = interaction["id"].as_str().unwrap().to_owned();
        let body = interaction.to_string().into();
        let letter = Self { discord: discord.clone(), id, body, timestamp: String::new(), signature: String::new() };
        let now = discord.state().now();
        letter.signed_at(now)
    }

    /// Signed at another time.
    pub fn signed_at(self, at: DateTime<Utc>) -> Self {
        let key = self.discord.state().key.clone();
        self.signed(&key, at.timestamp().to_string())
    }

    /// Signed by somebody else.
    pub fn forged(self) -> Self {
        let time = self.timestamp.clone();
        self.signed(&SigningKey::generate(&mut rand_core::OsRng), time)
    }

    /// As Discord would send it if this were so: `but("/guild_id", "1")`.
    pub fn but(mut self, place: &str, value: impl Into<Value>) -> Self {
        let mut interaction: Value = serde_json::from_slice(&self.body).unwrap();
        assert!(interaction.pointer(place).is_some(), "there is no {place} in {interaction}");
        *interaction.pointer_mut(place).unwrap() = value.into();
        self.body = interaction.to_string().into();
        let (key, time) = (self.discord.state().key.clone(), self.timestamp.clone());
        self.signed(&key, time)
    }

    /// With other words than were signed.
    pub fn tampered(mut self, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.body.to_vec()).unwrap();
        assert!(text.contains(from), "there is no `{from}` in {text}");
        self.body = text.replace(from, to).into();
        self
    }

    fn signed(mut self, key: &SigningKey, timestamp: String) -> Self {
        self.signature = hex::encode(key.sign(&[timestamp.as_bytes(), &self.body].concat()).to_bytes());
        Self { timestamp, ..self }
    }

    fn is_overtaken(&self) -> bool {
        self.discord.state().asked.iter().any(|asked| asked.id == self.id && asked.too_soon > 0)
    }

    /// Sends it to the application, and takes its answer if it is the first.
    pub async fn send(&self) -> Told {
        let (endpoint, http) = (self.discord.endpoint(), &self.discord.inner.http);
        let since = Instant::now();
        let sent = http
            .post(endpoint)
            .header("content-type", "application/json")
            .header("user-agent", "Discord-Interactions/1.0 (+https://discord.com)")
            .header("x-signature-ed25519", &self.signature)
            .header("x-signature-timestamp", &self.timestamp)
            .body(self.body.clone())
            .send()
            .await;
        let (status, first) = match sent {
            Ok(response) => {
                let status = response.status().as_u16();
                (status, response.json().await.unwrap_or_default())
            }
            Err(_) => (0, Value::Null),
        };
        let took = since.elapsed();
        let overtaken = std::mem::take(&mut self.discord.state().overtaken);
        while overtaken && !self.is_overtaken() {
            assert!(since.elapsed() < PATIENCE, "nobody edits too soon");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.discord.state().answered(&self.id, status, &first, took);
        Told { discord: self.discord.clone(), sent: self.clone(), status, first, took }
    }
}

impl FakeDiscord {
    /// The next first answer comes too late, however soon it comes.
    pub fn late(&self) {
        self.state().late = true;
    }

    /// From now on the time counts that first answers really take. Discord gives them 3 seconds.
    pub fn by_the_clock(&self, within: Duration) {
        self.state().first_answer_within = Some(within);
    }

    /// The next first answer is on its way until an answer that should come after it has come, and was refused.
    pub fn overtake(&self) {
        self.state().overtaken = true;
    }

    /// All interactions so far are 15 minutes old.
    pub fn expire_tokens(&self) {
        let mut state = self.state();
        let long_ago = state.now() - TOKENS_LAST;
        state.asked.iter_mut().for_each(|asked| asked.at = asked.at.min(long_ago));
    }

    /// Moves Discord's clock.
    pub fn move_clock(&self, seconds: i64) {
        self.state().ahead += TimeDelta::seconds(seconds);
    }

    /// The same bytes once more.
    pub async fn replay(&self, told: &Told) -> Told {
        told.sent.send().await
    }

    /// What Discord does when somebody saves an endpoint's address: it sends a sign of life, and one with a wrong signature.
    pub async fn probe(&self) -> Result<(), String> {
        let ping = || {
            let mut state = self.state();
            json!({ "id": state.new_id(), "application_id": state.application, "type": 1, "token": "ping", "version": 1 })
        };
        let (good, bad) = (Letter::new(self, &ping()), Letter::new(self, &ping()).forged());
        let (good, bad) = (good.send().await, bad.send().await);
        if (good.status, &good.first) != (200, &json!({ "type": 1 })) {
            return Err(format!("a sign of life was answered with {} {}", good.status, good.first));
        }
        if bad.status != 401 {
            return Err(format!("a wrong signature was answered with {}, not 401", bad.status));
        }
        Ok(())
    }

    pub(super) fn letter(&self, kind: Kind, by: &str, channel: &str, data: &Value, pressed: Option<&str>) -> Letter {
        let mut state = self.state();
        let interaction = state.ask(kind, by, channel, data, pressed);
        drop(state);
        Letter::new(self, &interaction)
    }
}
