//! What was wished for, and each App of it at the forge and back.

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Setup;
use super::door::{Session, hash, random};
use crate::catalog::{AppSecret, NewRecord, SetupKind, Verdict};
use crate::domain::{By, Error, Result};
use crate::forge::{ManifestForm, Registered, Registration, Role};
use crate::ops::apps::{MOST, Place, keep, of_forge};

/// The forge gives a browser this long. <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>
pub(super) const STATE_LASTS: TimeDelta = TimeDelta::hours(1);

/// What somebody wants to register.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The forge's slug.
    pub forge: String,
    /// The host's web address.
    pub url: Url,
    /// The account that is to own the Apps.
    pub owner: String,
    /// It is an organization, not the person at the browser.
    pub organization: bool,
    /// What they are for.
    pub role: Role,
    /// How many more there should be.
    pub count: u8,
}

/// What a session has still to register.
#[derive(Serialize, Deserialize)]
struct Plan {
    forge: String,
    url: Url,
    owner: String,
    organization: bool,
    role: Role,
    numbers: Vec<u8>,
}

/// A registration that the browser is away for.
#[derive(Serialize, Deserialize)]
struct Away {
    session: String,
    number: u8,
}

/// The next App of a session.
pub struct Next {
    /// What the browser has to post to the forge.
    pub form: ManifestForm,
    /// Who will own it.
    pub owner: String,
    /// Where.
    pub url: Url,
    /// What it is for.
    pub role: Role,
    /// Its number.
    pub number: u8,
    /// How many follow.
    pub more: usize,
}

impl Plan {
    fn of(session: &Session) -> Option<Self> {
        serde_json::from_value(session.draft.clone()).ok()
    }

    fn place(&self, number: u8) -> Place<'_> {
        Place { forge: &self.forge, url: &self.url, owner: &self.owner, role: self.role, number }
    }
}

pub(super) fn next_number(session: &Session) -> Option<u8> {
    Plan::of(session)?.numbers.first().copied()
}

impl Setup {
    /// Keeps what a session wants to register, as far as there are numbers for it.
    pub async fn wish(&self, session: &Session, wish: Wish) -> Result<()> {
        let owner = wish.owner.trim().to_owned();
        if owner.is_empty() {
            return Err(Error::bad_request("say which organization or account is to own the Apps"));
        }
        let url = self.services.forge(&wish.forge)?.settle_url(&wish.url)?;
        let Wish { forge, organization, role, .. } = wish;
        let mut plan = Plan { forge, url, owner, organization, role, numbers: Vec::new() };
        let taken = plan.place(1).taken(&self.services).await?;
        plan.numbers = (1..=MOST).filter(|number| !taken.contains(number)).take(wish.count.into()).collect();
        let Some(first) = plan.numbers.first() else {
            return Err(Error::bad_request(format!("{} has all {MOST} {} Apps already", plan.owner, role.word()))
                .hint("`refward apps remove` makes room"));
        };
        // Whether this can be registered at all is said now and not on the next page.
        self.form(&plan, *first, &random())?;
        self.keep_plan(session, &plan).await
    }

    /// What the session has to register next. `None`: nothing more.
    pub async fn next(&self, session: &Session) -> Result<Option<Next>> {
        let Some(plan) = Plan::of(session) else { return Ok(None) };
        let Some(number) = plan.numbers.first().copied() else { return Ok(None) };
        let state = random();
        let form = self.form(&plan, number, &state)?;
        let away = Away { session: hex::encode(&session.hash), number };
        self.keep_state(&state, &away).await?;
        let Plan { owner, url, role, .. } = plan;
        Ok(Some(Next { form, owner, url, role, number, more: plan.numbers.len() - 1 }))
    }

    /// The browser is back from the forge: exchanges its code and keeps the App before anybody hears of it.
    pub async fn registered(&self, session: &Session, state: &SecretString, code: &str) -> Result<()> {
        let (catalog, state_hash) = (&self.services.catalog, hash(state));
        // Looked at before it is used up: somebody else's browser must not spoil it for the one that it is for.
        let away = catalog.setup(SetupKind::State, &state_hash).await?;
        let away = away.and_then(|away| serde_json::from_value::<Away>(away).ok());
        let mine = |away: &Away| away.session == hex::encode(&session.hash);
        let (Some(away), Some(mut plan)) = (away.filter(mine), Plan::of(session)) else { return Err(no_answer()) };
        if catalog.take_setup(SetupKind::State, &state_hash).await?.is_none() {
            return Err(no_answer());
        }
        let registered = match of_forge(&self.services, &plan.forge)?.register(&plan.url, code).await {
            Ok(registered) => registered,
            Err(error) => {
                if error.kind().is_transient() {
                    // The code is still good: loading the page again tries again.
                    self.keep_state(state, &away).await?;
                }
                return Err(error);
            }
        };
        let name = registered.identity.name.clone();
        self.keep_registered(&plan, away.number, registered).await.map_err(|error| {
            Error::misconfigured(format!("{name} is registered, but its keys could not be stored: {error}"))
                .detail(error.for_log())
                .hint(format!(
                    "they cannot be had again: delete {name} in the settings of {}, then register it anew",
                    plan.owner
                ))
        })?;
        plan.numbers.retain(|number| *number != away.number);
        self.keep_plan(session, &plan).await?;
        catalog.record(NewRecord::new(&at_the_page(), "app.add", Verdict::Done).about(name)).await
    }

    async fn keep_registered(&self, plan: &Plan, number: u8, made: Registered) -> Result<()> {
        // Whoever was signed in owns it, whatever was said before.
        let mut place = Place { owner: &made.identity.owner.clone(), ..plan.place(number) };
        let taken = place.taken(&self.services).await?;
        if taken.contains(&number) {
            place.number = (1..=MOST).find(|number| !taken.contains(number)).unwrap_or(number);
        }
        let mut secrets = vec![(AppSecret::Key, made.key), (AppSecret::Client, made.client_secret)];
        secrets.extend(made.webhook_secret.map(|secret| (AppSecret::Webhook, secret)));
        keep(&self.services, &place, made.identity, &secrets).await.map(drop)
    }

    fn form(&self, plan: &Plan, number: u8, state: &SecretString) -> Result<ManifestForm> {
        of_forge(&self.services, &plan.forge)?.manifest(&Registration {
            url: plan.url.clone(),
            organization: plan.organization.then(|| plan.owner.clone()),
            role: plan.role,
            number,
            public_url: self.public_url()?,
            state: state.expose_secret().to_owned(),
        })
    }

    async fn keep_plan(&self, session: &Session, plan: &Plan) -> Result<()> {
        self.services.catalog.set_setup_draft(SetupKind::Session, &session.hash, json(plan)?).await
    }

    async fn keep_state(&self, state: &SecretString, away: &Away) -> Result<()> {
        self.services.catalog.put_setup(SetupKind::State, &hash(state), json(away)?, STATE_LASTS).await
    }
}

/// Whoever had the code: nobody knows more of them.
pub(super) fn at_the_page() -> By {
    By { who: "setup".to_owned(), whence: "setup".to_owned() }
}

fn no_answer() -> Error {
    Error::bad_request("this is no answer to a registration that began in this browser, or a repeated one")
        .hint("begin again at /setup; if an App was registered and is not listed there, delete it on the forge")
}

pub(super) fn json(value: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::bug("a wish becomes no JSON").detail(error))
}
