//! Adding an App that somebody has registered by hand.

use secrecy::SecretString;
use url::Url;

use super::{AppRow, MOST, Role, list, of_forge};
use crate::catalog::{AppFacts, AppSecret};
use crate::domain::{AppId, Error, Result};
use crate::forge::{AppIdentity, AppKey};
use crate::jobs;
use crate::ops::connect::check_secret;
use crate::services::Services;

/// An App that was registered by hand, and its secrets.
pub struct ByHand {
    /// The forge's slug.
    pub forge: String,
    /// The host's web address.
    pub url: Url,
    /// The account that it is registered with.
    pub owner: String,
    /// The forge's id.
    pub app_id: String,
    /// Its other id.
    pub client_id: String,
    /// Its private key, PEM.
    pub key: SecretString,
    /// What the forge signs its deliveries with. A backup App needs one.
    pub webhook_secret: Option<SecretString>,
    /// What it is for.
    pub role: Role,
    /// 1 is the main one, up to [`MOST`].
    pub number: u8,
}

/// Checks the key, keeps the App, and looks where it is installed. If the check fails, nothing is kept.
pub async fn add(services: &Services, wish: ByHand) -> Result<AppRow> {
    if let Some(secret) = &wish.webhook_secret {
        check_secret(secret)?;
    } else if wish.role == Role::Backup {
        return Err(Error::bad_request("a backup App needs a webhook secret"));
    }
    let url = services.forge(&wish.forge)?.settle_url(&wish.url)?;
    let place = Place { forge: &wish.forge, url: &url, owner: &wish.owner, role: wish.role, number: wish.number };
    place.must_be_free(services).await?;
    let key =
        AppKey { url: url.clone(), forge_id: wish.app_id.clone(), client_id: wish.client_id.clone(), key: wish.key };
    let identity = of_forge(services, &wish.forge)?.whoami(&key).await?;
    for (what, given, known) in [
        ("App ID", &wish.app_id, &identity.forge_id),
        ("client ID", &wish.client_id, &identity.client_id),
        ("owner", &wish.owner, &identity.owner),
    ] {
        if !given.eq_ignore_ascii_case(known) {
            return Err(Error::bad_request(format!("the {what} of {} is {known}, not {given}", identity.name)));
        }
    }
    let mut secrets = vec![(AppSecret::Key, key.key)];
    secrets.extend(wish.webhook_secret.map(|secret| (AppSecret::Webhook, secret)));
    let id = keep(services, &place, identity, &secrets).await?;
    // What goes wrong is kept beside the App, and the service looks again.
    let _ = jobs::follow_app(services, id).await;
    let row = list(services).await?.into_iter().find(|row| row.id == id);
    row.ok_or_else(|| Error::bug("an App vanished while it was added"))
}

/// What an App is to us.
pub(in crate::ops) struct Place<'a> {
    pub forge: &'a str,
    pub url: &'a Url,
    pub owner: &'a str,
    pub role: Role,
    pub number: u8,
}

impl Place<'_> {
    /// Refuses a number that is none or taken.
    pub async fn must_be_free(&self, services: &Services) -> Result<()> {
        if !(1..=MOST).contains(&self.number) {
            return Err(Error::bad_request(format!("Apps are numbered 1 to {MOST}")));
        }
        let taken = self.taken(services).await?;
        if !taken.contains(&self.number) {
            return Ok(());
        }
        let refused =
            Error::bad_request(format!("{} has a {} App #{} here already", self.owner, self.role.word(), self.number));
        Err(match (1..=MOST).find(|number| !taken.contains(number)) {
            Some(free) => refused.hint(format!("#{free} is free")),
            None => refused.hint(format!("all {MOST} are taken; `refward apps remove` makes room")),
        })
    }

    /// The numbers of this owner's Apps in this role.
    pub async fn taken(&self, services: &Services) -> Result<Vec<u8>> {
        let apps = services.catalog.apps().await?.into_iter().map(|app| app.facts).filter(|facts| {
            let here = facts.forge == self.forge && facts.url == self.url.as_str();
            here && facts.role == self.role.word() && facts.owner.eq_ignore_ascii_case(self.owner)
        });
        Ok(apps.filter_map(|facts| u8::try_from(facts.number).ok()).collect())
    }
}

/// Keeps an App, its secrets sealed.
pub(in crate::ops) async fn keep(
    services: &Services,
    place: &Place<'_>,
    identity: AppIdentity,
    secrets: &[(AppSecret, SecretString)],
) -> Result<AppId> {
    let facts = AppFacts {
        forge: place.forge.to_owned(),
        url: place.url.to_string(),
        owner: identity.owner,
        role: place.role.word().to_owned(),
        number: place.number.into(),
        forge_id: identity.forge_id,
        client_id: identity.client_id,
        slug: identity.slug,
        name: identity.name,
        permissions: identity.permissions,
        events: identity.events,
    };
    let seal = |(kind, secret): &(AppSecret, SecretString)| Ok((*kind, services.credentials.seal(secret)?));
    services.catalog.add_app(facts, secrets.iter().map(seal).collect::<Result<_>>()?).await
}
