//! Calls to Discord's REST API over the one HTTP client.
//!
//! No call goes out that Discord would refuse for coming too soon. Whoever holds an interaction's token may speak in our name,
//! and it stands in the address, so errors name the route and never the address.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::errors;
use super::limits::{Lane, Limits};
use crate::chat::ReplyTo;
use crate::domain::{Error, Result};

/// However long Discord thinks; a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Far above the largest answer, which lists a server's roles.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Of a call that is refused for coming too soon, although we had waited as Discord told.
const TRIES: usize = 3;

/// Discord wants it in this form: <https://docs.discord.com/developers/reference#user-agent>
const AGENT: &str = concat!("DiscordBot (refward, ", env!("CARGO_PKG_VERSION"), ")");

pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    application: String,
    authorization: HeaderValue,
    limits: Limits,
}

/// What is called.
pub(super) enum Route<'a> {
    /// Our application, as the bot's token has it.
    Application,
    /// Its commands, in a server or everywhere.
    Commands(Option<&'a str>),
    Channel(&'a str),
    /// A channel's messages.
    Messages(&'a str),
    Message {
        channel: &'a str,
        message: &'a str,
    },
    /// The first answer to an interaction. Its token stands for the bot's.
    Original(&'a ReplyTo),
    /// The roles of a server.
    Roles(&'a str),
    Member {
        server: &'a str,
        user: &'a str,
    },
}

/// What came back.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Api {
    pub fn new(http: reqwest::Client, base: &Url, application: String, token: &SecretString) -> Result<Self> {
        let text = Zeroizing::new(format!("Bot {}", token.expose_secret()));
        let authorization = HeaderValue::from_str(&text);
        let mut authorization = authorization.map_err(|_| Error::bug("a token that cannot stand in a header"))?;
        authorization.set_sensitive(true);
        Ok(Self { http, base: base.clone(), application, authorization, limits: Limits::default() })
    }

    pub async fn get<T: DeserializeOwned>(&self, route: &Route<'_>) -> Result<T> {
        self.send(Method::GET, route, None).await?.read()
    }

    /// Does something that has to work. Waits a moment where Discord asks for that; what takes longer is an error that says when
    /// to come back.
    pub async fn send(&self, method: Method, route: &Route<'_>, body: Option<&Value>) -> Result<Answer> {
        let lane = route.lane(&method);
        let mut tries = 0;
        loop {
            self.limits.admit(&lane).await?;
            let answer = self.once(&method, route, body).await?;
            tries += 1;
            match self.limits.observed(&lane, &answer) {
                Some(wait) if !wait.is_short() || tries == TRIES => return Err(wait.error()),
                Some(_) => (),
                None => return errors::refusal(route, body, &answer).map_or(Ok(answer), Err),
            }
        }
    }

    async fn once(&self, method: &Method, route: &Route<'_>, body: Option<&Value>) -> Result<Answer> {
        let mut request =
            self.http.request(method.clone(), self.address(route)?).timeout(PATIENCE).header(USER_AGENT, AGENT);
        if !matches!(route, Route::Original(_)) {
            request = request.header(AUTHORIZATION, self.authorization.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| errors::silence(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Limited::new(reqwest::Body::from(response), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| errors::silence(&*error))?.to_bytes();
        Ok(Answer { status, headers, body })
    }

    fn address(&self, route: &Route<'_>) -> Result<Url> {
        let mut address = self.base.clone();
        let cannot = |()| Error::misconfigured("the setting `discord.api` is not a web address");
        address.path_segments_mut().map_err(cannot)?.pop_if_empty().extend(route.segments(&self.application));
        Ok(address)
    }
}

impl Route<'_> {
    fn segments<'a>(&'a self, application: &'a str) -> Vec<&'a str> {
        match self {
            Self::Application => vec!["applications", "@me"],
            Self::Commands(None) => vec!["applications", application, "commands"],
            Self::Commands(Some(server)) => vec!["applications", application, "guilds", server, "commands"],
            Self::Channel(channel) => vec!["channels", channel],
            Self::Messages(channel) => vec!["channels", channel, "messages"],
            Self::Message { channel, message } => vec!["channels", channel, "messages", message],
            Self::Original(ReplyTo(token)) => {
                vec!["webhooks", application, token.expose_secret(), "messages", "@original"]
            }
            Self::Roles(server) => vec!["guilds", server, "roles"],
            Self::Member { server, user } => vec!["guilds", server, "members", user],
        }
    }

    /// The channel that it is about, if it is about one.
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::Channel(channel) | Self::Messages(channel) | Self::Message { channel, .. } => Some(channel),
            _ => None,
        }
    }

    /// Limits hold for a route, for each channel, server or interaction apart:
    /// <https://docs.discord.com/developers/topics/rate-limits#rate-limits>
    fn lane(&self, method: &Method) -> Lane {
        let (route, of) = match self {
            Self::Application => ("application", String::new()),
            Self::Commands(None) => ("commands", String::new()),
            Self::Commands(Some(server)) => ("server commands", (*server).to_owned()),
            Self::Channel(channel) => ("channel", (*channel).to_owned()),
            Self::Messages(channel) => ("messages", (*channel).to_owned()),
            Self::Message { channel, .. } => ("message", (*channel).to_owned()),
            Self::Original(ReplyTo(token)) => ("answer", hex::encode(Sha256::digest(token.expose_secret()))),
            Self::Roles(server) => ("roles", (*server).to_owned()),
            Self::Member { server, .. } => ("member", (*server).to_owned()),
        };
        Lane { route: format!("{method} {route}"), of, is_ours: !matches!(self, Self::Original(_)) }
    }
}

impl Answer {
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::remote("Discord answers with something that it does not send").detail(error))
    }
}
