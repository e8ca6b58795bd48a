//! Who somebody is on GitHub, and what they may do there now.
//!
//! People sign in by the device flow, with the client id of one of our Apps: no address of ours has to be reachable for it and
//! no client secret is needed. Their token answers one question, who they are, and is dropped.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app#using-the-device-flow-to-generate-a-user-access-token>

use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::StatusCode;
use http::header::ACCEPT;
use http_body_util::{BodyExt, Limited};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::api::{Answer, Api};
use super::apps::page;
use super::hosts::Host;
use super::tokens::{LOOK, REPLICA_LAG};
use super::{Github, errors, limits, repositories};
use crate::domain::{Error, Kind, Result};
use crate::forge::line::silence;
use crate::forge::quota::{Call, Domain, Effect, Resource, Urgency};
use crate::forge::{Access, Credential, DeviceCode, ForgeUser, OauthClient, People, Place, Polled, Rights};

/// The largest answer that is read; these have some 2 kB.
const MAX_ANSWER: usize = 1024 * 1024;

/// Between two questions whose a token is.
const PAUSE: Duration = Duration::from_millis(500);

/// What a host that names no pause wants. <https://www.rfc-editor.org/rfc/rfc8628#section-3.2>
const USUAL_INTERVAL: u64 = 5;

#[async_trait]
impl People for Github {
    fn no_client(&self, url: &Url) -> Error {
        let name = Host::at(url).map_or_else(|_| url.to_string(), |host| host.name());
        Error::misconfigured(format!("people cannot sign in on {name}: no App of ours is registered there"))
            .hint("an administrator can do that: `refward apps create`")
    }

    /// GitHub is its own authority.
    async fn begin(&self, client: &OauthClient) -> Result<DeviceCode> {
        #[derive(Deserialize)]
        struct Told {
            device_code: SecretString,
            user_code: String,
            verification_uri: Url,
            expires_in: u64,
            interval: Option<u64>,
        }
        let host = Host::at(&client.authority)?;
        let form = [("client_id", &client.client_id)];
        let answer =
            self.ask(&host, self.net.http.post(page(&host, &["login", "device", "code"])?).form(&form)).await?;
        if let Some(word) = complaint(&answer) {
            return Err(refused(&host, &answer, &word));
        }
        let code: Told = read(&host, &answer)?;
        Ok(DeviceCode {
            device_code: code.device_code,
            user_code: code.user_code,
            page: code.verification_uri,
            expires_in: Duration::from_secs(code.expires_in),
            interval: pause(code.interval.unwrap_or(USUAL_INTERVAL)),
        })
    }

    async fn poll(&self, client: &OauthClient, device_code: &SecretString) -> Result<Polled> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: SecretString,
        }
        #[derive(Deserialize)]
        struct SlowDown {
            interval: Option<u64>,
        }
        let host = Host::at(&client.authority)?;
        let form = [
            ("client_id", client.client_id.as_str()),
            ("device_code", device_code.expose_secret()),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ];
        let address = page(&host, &["login", "oauth", "access_token"])?;
        let answer = self.ask(&host, self.net.http.post(address).form(&form)).await?;
        match complaint(&answer).as_deref() {
            None => {
                let granted: Granted = read(&host, &answer)?;
                self.whose(&host, &granted.access_token).await.map(Polled::Done)
            }
            Some("authorization_pending") => Ok(Polled::Waiting { interval: None }),
            Some("slow_down") => {
                let told: SlowDown = read(&host, &answer)?;
                Ok(Polled::Waiting { interval: Some(pause(told.interval.unwrap_or(2 * USUAL_INTERVAL))) })
            }
            Some("access_denied") => Ok(Polled::Denied),
            // A code that was used up is one that the host does not know.
            Some("expired_token" | "incorrect_device_code") => Ok(Polled::Expired),
            Some(word) => Err(refused(&host, &answer, word)),
        }
    }

    async fn rights(&self, access: &Access, repository: Place<'_>, user: &ForgeUser) -> Result<Rights> {
        let first = self.choose(access, Resource::Rest)?;
        let others = access.credentials.iter().filter(|other| other.label != first.label);
        let mut trouble = None;
        for credential in std::iter::once(first).chain(others) {
            match self.rights_with(access, credential, repository, user).await {
                Err(error) if !error.kind().is_transient() => trouble = trouble.or(Some(error)),
                known => return known,
            }
        }
        Err(trouble.unwrap_or_else(|| Error::misconfigured("there is no credential to ask with")))
    }
}

impl Github {
    /// Asks what is not the API, or as somebody who is none of ours: what is left to them is not ours to count.
    async fn ask(&self, host: &Host, request: RequestBuilder) -> Result<Answer> {
        let call = Call {
            domain: Domain { host: host.name(), who: "nobody".to_owned() },
            resource: Resource::App,
            urgency: Urgency::Person,
            effect: Effect::SignsIn,
            rules: limits::rules(host),
        };
        let _permit = self.net.quotas.admit(call).await?;
        let silent = |error: &(dyn std::error::Error + 'static)| silence(&host.name(), error);
        let response = request.header(ACCEPT, "application/json").send().await.map_err(|error| silent(&error))?;
        let (parts, body) = http::Response::from(response).into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| silent(&*error))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Whose token this is. It cannot be had a second time, and some replicas do not know it yet.
    async fn whose(&self, host: &Host, token: &SecretString) -> Result<ForgeUser> {
        let (address, since) = (format!("{}{}/user", host.api(), host.version()), Instant::now());
        loop {
            let answer = self.ask(host, self.net.http.get(&address).bearer_auth(token.expose_secret())).await?;
            let Some(error) = errors::refusal(host, &answer) else {
                let user: User = read(host, &answer)?;
                return Ok(ForgeUser { id: user.id.to_string(), login: user.login });
            };
            let passes = answer.status == StatusCode::UNAUTHORIZED || answer.status.is_server_error();
            if !passes || since.elapsed() > REPLICA_LAG {
                return Err(error.while_doing("asking who has signed in"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Of all that gave it to them: teams, the organization, the enterprise; what is public gives everybody `read`.
    /// <https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user>
    async fn rights_with(
        &self,
        access: &Access,
        credential: &Credential,
        repository: Place<'_>,
        user: &ForgeUser,
    ) -> Result<Rights> {
        #[derive(Deserialize)]
        struct Told {
            permission: String,
            user: Option<User>,
        }
        let (id, user_id) = (number(repository.forge_id)?, number(&user.id)?);
        let api = self.api(access, credential, LOOK)?;
        let Some(login) = login_now(&api, user_id).await? else { return Ok(Rights::None) };
        // By its number, which renames keep: its former name may be another's by now.
        let answer = api.get(&format!("/repositories/{id}/collaborators/{login}/permission")).await?;
        if let Some(error) = errors::refusal(&api.host, &answer) {
            return Err(cannot_ask(credential, repository.full_name, &answer, error));
        }
        let told: Told = api.read(&answer)?;
        if told.user.is_none_or(|told| told.id != user_id) {
            return Err(Error::remote(format!("{} tells of somebody else than {login}", api.host.name())));
        }
        match told.permission.as_str() {
            "admin" => Ok(Rights::Admin),
            "write" => Ok(Rights::Write),
            "read" => Ok(Rights::Read),
            "none" => Ok(Rights::None),
            other => Err(Error::remote(format!(
                "{} tells of a permission that we do not know: `{}`",
                api.host.name(),
                other.escape_debug()
            ))),
        }
    }
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    /// On Enterprise Servers.
    suspended_at: Option<String>,
}

/// What a user is called by now. `None`: they are gone, or may not sign in any more.
/// <https://docs.github.com/en/rest/users/users#get-a-user-using-their-id>
async fn login_now(api: &Api, id: u64) -> Result<Option<String>> {
    let answer = api.get(&format!("/user/{id}")).await?;
    match errors::refusal(&api.host, &answer) {
        Some(error) if error.kind() == Kind::NotFound => return Ok(None),
        Some(error) => return Err(error),
        None => {}
    }
    let user: User = api.read(&answer)?;
    if user.id != id || !repositories::is_name(&user.login) {
        return Err(Error::remote(format!("{} tells of somebody else than user {id}", api.host.name())));
    }
    Ok(user.suspended_at.is_none().then_some(user.login))
}

/// Why a credential cannot find out what others may do.
fn cannot_ask(credential: &Credential, full_name: &str, answer: &Answer, error: Error) -> Error {
    let label = &credential.label;
    if answer.status == StatusCode::NOT_FOUND {
        return Error::misconfigured(format!("the credential `{label}` does not see {full_name}"))
            .hint("give it the repository on the forge, or use another: `refward credentials --help`");
    }
    // "Must have push access to view collaborator permission."
    if error.to_string().contains("push access") {
        return Error::misconfigured(format!(
            "the credential `{label}` may not ask who may do what in {full_name}: its user lacks the role Write there"
        ))
        .hint("give its user that role, or use an App, which needs none: `refward apps create`");
    }
    error.while_doing(format!("asking who may do what in {full_name}"))
}

/// GitHub's word for what is wrong with a sign-in; they come with 200 as well as with 400.
fn complaint(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Option<String>,
    }
    match serde_json::from_slice::<Body>(&answer.body) {
        Ok(Body { error: None }) | Err(_) if answer.status.is_success() => None,
        Ok(Body { error: Some(word) }) => Some(word),
        _ => Some(String::new()),
    }
}

/// A sign-in that cannot be.
fn refused(host: &Host, answer: &Answer, word: &str) -> Error {
    let name = host.name();
    match word {
        // The second is what servers say that know the flow and do not allow it.
        "device_flow_disabled" | "unauthorized_client" => {
            Error::misconfigured(format!("our App on {name} does not let people sign in with a code"))
                .hint("its owner has to tick “Enable Device Flow” in the App's settings, General, and save")
        }
        "incorrect_client_credentials" | "Not Found" => {
            Error::misconfigured(format!("{name} does not know our App")).hint("see `refward apps list`")
        }
        _ => {
            let word: String = word.chars().filter(char::is_ascii_graphic).take(60).collect();
            let error = errors::refusal(host, answer);
            error
                .unwrap_or_else(|| Error::remote(format!("{name} answers `{word}`")))
                .while_doing("signing somebody in")
        }
    }
}

fn read<'a, T: Deserialize<'a>>(host: &Host, answer: &'a Answer) -> Result<T> {
    // What is wrong with it is not told: a token may stand in it.
    serde_json::from_slice(&answer.body).map_err(|_| {
        let what = if errors::is_web_page(answer) { "a web page" } else { "something that GitHub does not send" };
        Error::remote(format!("{} answers a sign-in with {what}", host.name()))
    })
}

/// Whatever is said: neither without a pause nor never.
fn pause(seconds: u64) -> Duration {
    Duration::from_secs(seconds.clamp(1, 60))
}

fn number(id: &str) -> Result<u64> {
    id.parse().map_err(|_| Error::bug("what should be GitHub's number is none"))
}
