//! Discord, through its HTTP interactions endpoint: <https://docs.discord.com/developers/interactions/overview>
//!
//! There is no gateway connection: Discord posts what people ask to us, any replica may answer, and nothing has to be
//! reconnected. What we say ourselves goes out through [`api`].

mod api;
mod application;
mod errors;
mod inspect;
mod limits;
mod markdown;
mod permissions;
mod read;
mod register;
mod render;
mod verify;

use std::time::Duration;

use async_trait::async_trait;
use backon::{ConstantBuilder, Retryable as _};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use self::api::{Api, Route};
use self::application::Application;
use crate::chat::{Daily, Finding, First, Incoming, Platform, Rejected, Reply, ReplyTo, Spec, Verified};
use crate::config::{ChatChannel, Settings};
use crate::domain::{Kind, Result};

/// As paths, the database and people's ids have it.
pub const SLUG: &str = "discord";

/// We may be done before Discord has taken in the first answer; until then there is nothing to replace.
const FIRST_ANSWER_ARRIVES: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_millis(300)).with_max_times(4);

struct Discord {
    application: Application,
    verifier: verify::Verifier,
    api: Api,
}

/// Opens it if `discord.application_id` is set.
pub fn open(settings: &Settings, http: reqwest::Client) -> Result<Option<Box<dyn Platform>>> {
    let Some((application, token)) = Application::from(settings)? else { return Ok(None) };
    let verifier = verify::Verifier::new(&application.public_key)?;
    let api = Api::new(http, &settings.discord.api, application.id.clone(), &token)?;
    Ok(Some(Box::new(Discord { application, verifier, api })))
}

#[async_trait]
impl Platform for Discord {
    fn slug(&self) -> &'static str {
        SLUG
    }

    fn verify(&self, headers: &HeaderMap, body: Bytes) -> Result<Verified, Rejected> {
        self.verifier.verify(headers, body)
    }

    fn read(&self, verified: &Verified) -> Result<Incoming, Rejected> {
        read::read(&self.application, verified)
    }

    fn first(&self, answer: &First) -> Result<Bytes> {
        Ok(render::first(answer))
    }

    async fn reply(&self, to: &ReplyTo, reply: &Reply) -> Result<()> {
        let message = json!(render::message(reply));
        let route = Route::Original(to);
        let send = || self.api.send(Method::PATCH, &route, Some(&message));
        send.retry(FIRST_ANSWER_ARRIVES).when(|error| error.kind() == Kind::NotFound).await.map(drop)
    }

    async fn post(&self, channel: &str, reply: &Reply, once: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Posted {
            id: String,
        }
        let mut message = json!(render::message(reply));
        message["nonce"] = json!(nonce(once));
        message["enforce_nonce"] = json!(true);
        let answer = self.api.send(Method::POST, &Route::Messages(channel), Some(&message)).await?;
        Ok(answer.read::<Posted>()?.id)
    }

    async fn edit(&self, channel: &str, message: &str, reply: &Reply) -> Result<()> {
        let route = Route::Message { channel, message };
        self.api.send(Method::PATCH, &route, Some(&json!(render::message(reply)))).await.map(drop)
    }

    async fn register(&self, commands: &Spec) -> Result<String> {
        register::register(&self.api, &self.application, commands).await
    }

    async fn inspect(&self) -> Vec<Finding> {
        inspect::inspect(&self.api, &self.application).await
    }

    fn channels(&self) -> &[ChatChannel] {
        &self.application.channels
    }

    fn digest(&self) -> Option<Daily> {
        self.application.digest
    }

    fn answers_in(&self, channel: Option<&str>) -> bool {
        let allowed = &self.application.commands_in;
        allowed.is_empty() || channel.is_some_and(|channel| allowed.iter().any(|id| id == channel))
    }
}

/// What Discord tells repetitions by. It takes 25 characters: <https://docs.discord.com/developers/resources/message#create-message>
fn nonce(once: &str) -> String {
    hex::encode(&Sha256::digest(once)[..12])
}
