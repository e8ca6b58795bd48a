//! Plain calls of Discord's API, and an application that answers as it is told: what the double is held against.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use secrecy::ExposeSecret;
use serde_json::Value;
use serenity::interactions_endpoint::Verifier;

use crate::support::fake_discord::FakeDiscord;

/// A client without any sense.
pub struct Bot {
    http: reqwest::Client,
    url: String,
    authorization: String,
    agent: String,
}

/// What it is answered.
pub struct Heard {
    pub status: u16,
    /// Null if it is no JSON.
    pub body: Value,
    headers: HashMap<String, String>,
}

impl Bot {
    pub fn of(discord: &FakeDiscord) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let authorization = format!("Bot {}", discord.token().expose_secret());
        let agent = "DiscordBot (https://example.com, 1)".to_owned();
        Self { http, url: discord.url().to_string(), authorization, agent }
    }

    pub fn with_token(self, authorization: &str) -> Self {
        Self { authorization: authorization.to_owned(), ..self }
    }

    pub fn introduced_as(self, agent: &str) -> Self {
        Self { agent: agent.to_owned(), ..self }
    }

    pub async fn get(&self, path: &str) -> Heard {
        self.try_get(path).await.unwrap()
    }

    pub async fn post(&self, path: &str, form: &Value) -> Heard {
        self.try_post(path, form).await.unwrap()
    }

    pub async fn patch(&self, path: &str, form: &Value) -> Heard {
        self.call("PATCH", path, Some(form)).await.unwrap()
    }

    pub async fn put(&self, path: &str, form: &Value) -> Heard {
        self.call("PUT", path, Some(form)).await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Heard {
        self.call("DELETE", path, None).await.unwrap()
    }

    pub async fn try_get(&self, path: &str) -> reqwest::Result<Heard> {
        self.call("GET", path, None).await
    }

    pub async fn try_post(&self, path: &str, form: &Value) -> reqwest::Result<Heard> {
        self.call("POST", path, Some(form)).await
    }

    async fn call(&self, method: &str, path: &str, form: Option<&Value>) -> reqwest::Result<Heard> {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        let request = request.header("authorization", &self.authorization).header("user-agent", &self.agent);
        let request = if let Some(form) = form { request.json(form) } else { request };
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
        };
        let headers = answer.headers().iter().map(header).collect();
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(Heard { status, body, headers })
    }
}

impl Heard {
    /// The status and Discord's own code.
    pub fn code(&self) -> (u16, u64) {
        (self.status, self.body["code"].as_u64().unwrap_or_default())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The body of an answer that went well.
pub fn answer_of(heard: &Heard) -> Value {
    assert_eq!(heard.status, 200, "{}", heard.body);
    heard.body.clone()
}

/// An application whose endpoint verifies signatures, and answers as `first` says.
pub async fn application(discord: &FakeDiscord, first: impl Fn(&Value) -> Value + Send + Sync + 'static) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/discord", listener.local_addr().unwrap()).parse().unwrap();
    let (key, first) = (discord.public_key(), Arc::new(first));
    let server = HttpServer::new(move || {
        let (key, first) = (key.clone(), first.clone());
        let answer = move |request: HttpRequest, body: Bytes| {
            let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
            let (signature, time) = (header("x-signature-ed25519"), header("x-signature-timestamp"));
            let known = Verifier::new(&key).verify(&signature, &time, &body).is_ok();
            let told = known.then(|| first(&serde_json::from_slice(&body).unwrap()));
            async move { told.map_or_else(|| HttpResponse::Unauthorized().finish(), |told| HttpResponse::Ok().json(told)) }
        };
        App::new().default_service(web::to(answer))
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(0).listen(listener).unwrap();
    tokio::spawn(server.run());
    discord.hook_to(&url);
}
