//! GitHub: github.com, GitHub Enterprise Cloud with data residency, and GitHub Enterprise Server.

mod access;
mod api;
mod apps;
mod errors;
mod hosts;
mod jwt;
mod legible;
pub mod limits;
mod login;
mod manifest;
mod payload;
mod people;
mod reach;
mod refusals;
mod repositories;
mod survey;
mod target;
mod tokens;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use self::api::{Api, Bearer};
use self::hosts::Host;
use self::jwt::Clocks;
use self::login::PoolLogin;
use self::tokens::{FETCH, Purpose, Rights, SURVEY, Tokens};
use super::quota::{Domain, Resource, Urgency};
use super::{
    Access, AppKey, Apps, Credential, CredentialKind, Delivery, Forge, HookSecret, Inspection, Net, Page, People,
    Place, Posted, Reached, Refusal, Rejected, Survey, Takes, Verified,
};
use crate::domain::{Error, RemoteRepository, Result};
use crate::git::Remote;

/// The word for GitHub in paths, the database and the vault.
pub const SLUG: &str = "github";

/// <https://docs.github.com/en/get-started/using-git/troubleshooting-the-2-gb-push-limit>,
/// <https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/reviewing-changes-in-pull-requests/checking-out-pull-requests-locally>
const TAKES: Takes = Takes { largest_push: Some(2 << 30), sha256: false, reserved: &["refs/pull/"] };

/// GitHub, reached through `net`.
pub fn connect(net: Net) -> Box<dyn Forge> {
    let clocks = Arc::new(Clocks::default());
    let tokens = Arc::new(Tokens::new(net.clone(), Arc::clone(&clocks)));
    Box::new(Github { net, clocks, tokens })
}

struct Github {
    net: Net,
    clocks: Arc<Clocks>,
    tokens: Arc<Tokens>,
}

impl Github {
    fn api(&self, access: &Access, credential: &Credential, rights: Rights) -> Result<Api> {
        let bearer = match &credential.kind {
            CredentialKind::Token(token) => Bearer::Token(token.clone()),
            CredentialKind::Client { .. } | CredentialKind::Delegated { .. } => return Err(no_client()),
            CredentialKind::Installation { app, id, .. } => {
                let purpose = Purpose { installation: id.clone(), repository: None, rights, short: false };
                Bearer::Installation { app: app.clone(), tokens: Arc::clone(&self.tokens), purpose }
            }
        };
        Api::new(&self.net, Host::at(&access.url)?, &credential.who, bearer, access.urgency)
    }

    /// As one of our Apps, about itself.
    fn as_app(&self, app: &AppKey) -> Result<Api> {
        let bearer = Bearer::App { app: app.clone(), clocks: Arc::clone(&self.clocks) };
        Api::new(&self.net, Host::at(&app.url)?, format!("App {}", app.forge_id), bearer, Urgency::Event)
    }

    async fn survey_with(&self, access: &Access, credential: &Credential) -> Result<Survey> {
        let api = self.api(access, credential, SURVEY)?;
        // Beside what it was given, GraphQL lists to it what is public.
        let chosen_only = matches!(credential.kind, CredentialKind::Installation { all_repositories: false, .. });
        let told = if chosen_only { None } else { survey::by_graphql(&api, &access.owner).await? };
        let survey = match (told, &credential.kind) {
            (Some(survey), _) => survey,
            (None, CredentialKind::Installation { .. }) => survey::of_installation(&api).await?,
            (None, _) => survey::by_rest(&api, &access.owner).await?,
        };
        Ok(Survey { requests: api.requests(), ..survey })
    }

    /// The main credential while its limits last, then whichever has most left.
    fn choose<'a>(&self, access: &'a Access, resource: Resource) -> Result<&'a Credential> {
        let host = Host::at(&access.url)?;
        let domain = |credential: &Credential| Domain { host: host.name(), who: credential.who.clone() };
        let main = access.credentials.first().ok_or_else(|| Error::misconfigured("there is no credential to use"))?;
        let choose = |from: &[Domain]| self.net.quotas.choose(from, resource, access.urgency, limits::rules(&host));
        if choose(&[domain(main)]).is_ok() {
            return Ok(main);
        }
        let all: Vec<Domain> = access.credentials.iter().map(domain).collect();
        Ok(&access.credentials[choose(&all)?])
    }
}

#[async_trait]
impl Forge for Github {
    fn slug(&self) -> &'static str {
        SLUG
    }

    fn title(&self) -> &'static str {
        "GitHub"
    }

    fn verify(&self, posted: Posted<'_>, secrets: &[HookSecret]) -> Result<Verified, Rejected> {
        verify::verify(posted, secrets)
    }

    fn read(&self, verified: &Verified) -> Result<Delivery, Rejected> {
        payload::read(verified)
    }

    fn settle_url(&self, url: &Url) -> Result<Url> {
        Host::at(url).map(|host| host.web)
    }

    async fn inspect(&self, access: &Access) -> Result<Inspection> {
        let credential = access.credentials.first();
        let credential = credential.ok_or_else(|| Error::misconfigured("there is no credential to look at"))?;
        let api = self.api(access, credential, SURVEY)?;
        match &credential.kind {
            CredentialKind::Client { .. } | CredentialKind::Delegated { .. } => Err(no_client()),
            CredentialKind::Token(token) => access::inspect(&api, &access.owner, token).await,
            CredentialKind::Installation { app, id, .. } => {
                let missing = apps::missing_on(&self.as_app(app)?, id).await?;
                access::inspect_installation(&api, &access.owner, missing).await
            }
        }
    }

    async fn survey(&self, access: &Access) -> Result<Survey> {
        let main = access.credentials.first().map(|credential| credential.label.clone());
        let mut access = access.clone();
        loop {
            let credential = self.choose(&access, Resource::GraphQl)?.clone();
            let error = match self.survey_with(&access, &credential).await {
                Ok(survey) => return Ok(Survey { complete: Some(credential.label) == main, ..survey }),
                Err(error) => error,
            };
            let alone = Access { credentials: vec![credential.clone()], ..access.clone() };
            let spent = self.choose(&alone, Resource::GraphQl).is_err();
            access.credentials.retain(|other| other.label != credential.label);
            // Where the whole host is to be left alone, that goes for the others too.
            let others = !access.credentials.is_empty() && self.choose(&access, Resource::GraphQl).is_ok();
            if !others || !(spent || tokens::is_lost(&error)) {
                return Err(error);
            }
            tracing::warn!(credential = credential.label, "{}; going on with another credential", error.for_log());
        }
    }

    fn remote(&self, access: &Access, repository: Place<'_>) -> Result<Remote> {
        let url = git_address(&access.url, repository.full_name)?;
        let login = PoolLogin::new(&access.credentials, repository.forge_id, FETCH, Arc::clone(&self.tokens));
        Ok(Remote { url, credential: Some(Arc::new(login)) })
    }

    async fn target(&self, access: &Access, full_name: &str, forge_id: Option<&str>) -> Result<Remote> {
        self.find_target(access, full_name, forge_id).await
    }

    /// Backup Apps only read, and restore Apps write to what is there: neither may make repositories.
    async fn create(&self, access: &Access, full_name: &str) -> Result<RemoteRepository> {
        let page = reach::page(&Host::at(&access.url)?, Page::NewRepository(full_name))?;
        Err(Error::misconfigured(format!("{full_name} has to be made by a person"))
            .hint(format!("make it there, empty, and try again: {page}")))
    }

    fn name_at(&self, owner: &str, full_name: &str) -> String {
        repositories::name_at(owner, full_name)
    }

    fn takes(&self, _url: &Url) -> Takes {
        TAKES
    }

    async fn reach(&self, url: &Url) -> Result<Vec<Reached>> {
        reach::reach(&self.net, Host::at(url)?).await
    }

    fn page(&self, url: &Url, page: Page<'_>) -> Result<Url> {
        reach::page(&Host::at(url)?, page)
    }

    fn apps(&self) -> Option<&dyn Apps> {
        Some(self)
    }

    fn people(&self) -> Option<&dyn People> {
        Some(self)
    }

    fn refused(&self, why: &str) -> Option<Refusal> {
        refusals::explain(why)
    }
}

fn no_client() -> Error {
    Error::misconfigured("GitHub takes no clients of other authorities").hint("connect with a token or an App")
}

/// Where git finds a repository.
fn git_address(web: &Url, full_name: &str) -> Result<Url> {
    let mut url = Host::at(web)?.web;
    match full_name.split_once('/') {
        Some((owner, name)) if repositories::is_name(owner) && repositories::is_name(name) => {
            let mut path = url.path_segments_mut().map_err(|()| Error::bug("a host's address has no path"))?;
            path.pop_if_empty().push(owner).push(&format!("{name}.git"));
        }
        _ => return Err(Error::bad_request(format!("`{}` is not OWNER/NAME", full_name.escape_debug()))),
    }
    Ok(url)
}
