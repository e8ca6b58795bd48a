//! Fetches what an App's webhook could not deliver from the forge's log, and takes it in by the same door as any delivery.
//! Where the log does not reach back far enough, everything is looked at.

use chrono::{DateTime, Utc};

use super::route::{Incoming, Router};
use crate::catalog::{AppSecret, PackedBody, Priority, StoredApp, StoredDelivery, job_kind};
use crate::domain::{AppId, DeliveryId, Error, Result};
use crate::forge::{Content, Forge, HookSecret, Signer, Verified};
use crate::services::Services;

/// Catches up with one App's deliveries. Says how many were new to us.
pub async fn catch_up(services: &Services, id: AppId) -> Result<u64> {
    let Some(app) = services.catalog.app(id).await? else { return Ok(0) };
    let caught = run(services, &app).await;
    caught.map_err(|error| error.while_doing(format!("catching up with the deliveries of the App {}", app.facts.name)))
}

async fn run(services: &Services, app: &StoredApp) -> Result<u64> {
    let forge = services.forge(&app.facts.forge)?;
    let apps = forge.apps().ok_or_else(|| Error::bug("an App of a forge that has none"))?;
    let Some((_, sealed)) = services.catalog.app_secrets(AppSecret::Webhook, Some(app.id)).await?.into_iter().next()
    else {
        // It has no webhook.
        return Ok(0);
    };
    let signer = HookSecret { signer: Signer::App(app.id), secret: services.credentials.open(&sealed)? };
    let key = services.app_key(app).await?;
    let asked_at = Utc::now();
    let log = apps.deliveries(&key, app.deliveries_seen_at).await?;
    let mut router = Router::new(services.catalog.clone());
    let ids: Vec<DeliveryId> = log.failed.iter().map(|delivery| delivery.id.clone()).collect();
    // What is here already costs no request; so a run that a limit breaks off goes on from there.
    let stored = services.catalog.stored(forge.slug(), &ids).await?;
    let (mut new, mut complete) = (0, log.complete);
    for delivery in log.failed.iter().filter(|delivery| !stored.contains(&delivery.id)) {
        let Some(verified) = apps.delivered(&key, delivery, &signer).await? else {
            // It left the log while we read that.
            complete = false;
            continue;
        };
        if let Some(incoming) = read(forge, &delivery.id, delivery.at, &verified) {
            let stored = router.store(std::slice::from_ref(&incoming)).await?;
            new += stored.iter().filter(|outcome| **outcome == StoredDelivery::New).count() as u64;
        }
    }
    if new > 0 {
        metrics::counter!("refward_deliveries_caught_up_total", "forge" => forge.slug()).increment(new);
        tracing::info!(app = app.facts.name, new, "deliveries that had been lost are in");
    }
    if app.deliveries_seen_at.is_some() && !complete {
        everything(services, app).await?;
    }
    // Whatever comes after the newest entry is younger than it; an empty log has nothing before now.
    services.catalog.record_deliveries_seen(app.id, log.newest.unwrap_or(asked_at)).await?;
    Ok(new)
}

/// A delivery that a forge's own log tells of. `None`: nothing that a backup needs.
pub(super) fn read(forge: &dyn Forge, id: &DeliveryId, at: DateTime<Utc>, verified: &Verified) -> Option<Incoming> {
    let told = match forge.read(verified) {
        Ok(told) => told,
        Err(why) => {
            tracing::warn!(delivery = id.as_str(), "the forge's log holds what we cannot read: {why}");
            return None;
        }
    };
    let Content::Events(events) = told.content else { return None };
    Some(Incoming {
        forge: forge.slug(),
        signers: verified.signers().to_vec(),
        installation: told.installation,
        scope: told.scope,
        id: id.clone(),
        event: told.event,
        // When it should have come, so that the lag is told as it is.
        received_at: at.min(Utc::now()),
        body: PackedBody::new(verified.body()),
        events,
    })
}

/// More was lost than the log remembers.
async fn everything(services: &Services, app: &StoredApp) -> Result<()> {
    tracing::warn!(app = app.facts.name, "the forge's log of deliveries does not reach back to what we saw last");
    let catalog = &services.catalog;
    let mut connections = Vec::new();
    for installation in catalog.installations(Some(app.id)).await? {
        connections.extend(installation.connection);
    }
    let mut repositories = catalog.repositories().await?;
    repositories.retain(|known| known.selected && !known.gone && connections.contains(&known.connection_id));
    let subjects: Vec<String> = repositories.iter().map(|repository| repository.id.to_string()).collect();
    catalog.enqueue_all(job_kind::SYNC_REPO, &subjects, Priority::Sweep).await?;
    let connections: Vec<String> = connections.iter().map(ToString::to_string).collect();
    catalog.enqueue_all(job_kind::DISCOVER, &connections, Priority::Sweep).await
}
