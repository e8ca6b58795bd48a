//! Looks after the hooks that we have set up for a connection: there are those that there should be, as we make them, switched
//! on; and what they could not deliver is fetched from the forge's history, or found by a look at everything they are for.
//!
//! What is wrong with a hook is written down before it is mended, and stands until a later look finds nothing wrong. So whoever
//! is killed in between does not forget the gap, and what fell into the moment of mending is looked for, too.

mod plan;
mod scopes;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

use self::plan::{Kept, Plan};
use super::catch_up::read;
use super::quotas;
use super::route::{Incoming, Router};
use crate::catalog::{Connection, Priority, StoredDelivery, StoredHook, job_kind};
use crate::domain::{ConnectionId, Error, Kind, Result};
use crate::forge::quota::Urgency;
use crate::forge::{Access, Door, Forge, FoundHook, Hooks, Surveyed, WantedHook};
use crate::services::Services;

/// A delivery is tried for some minutes before it counts as failed, and its entry in the history is as old as the event.
const STILL_TRIED: TimeDelta = TimeDelta::minutes(15);

/// What `status` says where nothing can be set up.
const NO_ADDRESS: &str = "this service has no public address that hooks could lead to (`server.public_url`): what is pushed is \
                          found by surveys alone";

/// Deliveries that are stored at once.
const BATCH: usize = 100;

/// Looks after one connection's hooks.
pub async fn keep_hooks(services: &Services, id: ConnectionId) -> Result<()> {
    let Some(connection) = services.catalog.connection_by_id(id).await? else { return Ok(()) };
    let forge = services.forge(&connection.forge)?;
    let Some(hooks) = forge.hooks() else { return Ok(()) };
    let Some(door) = door(services, &connection, forge).await? else {
        // Some want it so: surveys find what is pushed.
        return services.catalog.record_hooks_failure(id, NO_ADDRESS).await;
    };
    let access = services.access(&connection, Urgency::Sweep).await?;
    let care = Care { services, connection: &connection, forge, hooks, door, access, started: Utc::now() };
    let kept = quotas::sharing(services, Box::pin(care.run())).await?;
    match &kept {
        Ok(()) => services.catalog.record_hooks_kept(id).await?,
        // Nothing is wrong: it is put off, by us or by the forge.
        Err(error) if is_put_off(error) => {}
        Err(error) => services.catalog.record_hooks_failure(id, &error.to_string()).await?,
    }
    kept.map_err(|error| error.while_doing(format!("looking after the hooks of {}", connection.name)))
}

fn is_put_off(error: &Error) -> bool {
    matches!(error.kind(), Kind::Throttled { .. } | Kind::Remote { retry_after: Some(_) })
}

/// Switches on what a person has switched off, and says how many that were.
pub async fn switch_on_hooks(services: &Services, connection: &Connection) -> Result<usize> {
    let forge = services.forge(&connection.forge)?;
    let Some((hooks, door)) = forge.hooks().zip(door(services, connection, forge).await?) else { return Ok(0) };
    let access = services.access(connection, Urgency::Person).await?;
    let care = Care { services, connection, forge, hooks, door, access, started: Utc::now() };
    let plan = care.plan().await?;
    let off: Vec<&Kept> = plan.kept.iter().filter(|kept| kept.is_left_alone()).collect();
    care.note_troubles(off.iter().copied()).await?;
    for kept in &off {
        care.put_right(kept).await?;
    }
    Ok(off.len())
}

/// Takes away all hooks of a connection; says how many, and what could not be.
pub async fn remove_hooks(services: &Services, connection: &Connection) -> Result<usize> {
    let forge = services.forge(&connection.forge)?;
    let Some(hooks) = forge.hooks() else { return Ok(0) };
    let access = services.access(connection, Urgency::Person).await?;
    let ours: Vec<(String, String, String)> = if let Some(door) = door(services, connection, forge).await? {
        let found = hooks.found(&access, &door).await?.into_iter();
        found.map(|hook| (hook.id, hook.scope, hook.event)).collect()
    } else {
        // There was an address when these were made.
        let known = services.catalog.hooks(Some(connection.id)).await?.into_iter();
        known.map(|hook| (hook.forge_id, hook.scope, hook.event)).collect()
    };
    for (id, scope, event) in &ours {
        hooks.remove(&access, id).await?;
        services.catalog.forget_hook(connection.id, scope, event).await?;
    }
    Ok(ours.len())
}

/// After a survey: what belongs to a scope that has no hook yet is a reason to look.
pub(super) async fn after_survey<'a>(
    services: &Services,
    connection: &Connection,
    seen: impl Iterator<Item = &'a Surveyed>,
) -> Result<()> {
    let forge = services.forge(&connection.forge)?;
    if forge.hooks().is_none() || services.settings.server.public_url.is_empty() {
        return Ok(());
    }
    let hooked: BTreeSet<String> =
        services.catalog.hooks(Some(connection.id)).await?.into_iter().map(|hook| hook.scope).collect();
    let mut scopes = seen.filter_map(|surveyed| surveyed.scope.as_ref());
    if scopes.any(|scope| !hooked.contains(&scope.id)) {
        services.catalog.enqueue(job_kind::KEEP_HOOKS, &connection.id.to_string(), Priority::Event).await?;
    }
    Ok(())
}

/// Where a connection's hooks come in. `None`: this service has no public address.
async fn door(services: &Services, connection: &Connection, forge: &dyn Forge) -> Result<Option<Door>> {
    let public = &services.settings.server.public_url;
    if public.is_empty() {
        return Ok(None);
    }
    let catalog = &services.catalog;
    let mut sealed = catalog.webhook_secrets(Some(connection.id)).await?;
    if sealed.is_empty() {
        let secret = uuid::Uuid::new_v4().simple().to_string() + &uuid::Uuid::new_v4().simple().to_string();
        catalog.put_webhook_secret(connection.id, services.credentials.seal(&secret.into())?).await?;
        sealed = catalog.webhook_secrets(Some(connection.id)).await?;
    }
    let secrets = sealed.iter().map(|(_, secret)| services.credentials.open(secret)).collect::<Result<_>>()?;
    let address = format!("{}/hooks/{}/", public.trim_end_matches('/'), forge.slug());
    let address = Url::parse(&address)
        .map_err(|error| Error::misconfigured("the setting `server.public_url` is not an address").detail(error))?;
    let known = catalog.hooks(Some(connection.id)).await?.into_iter().map(|hook| hook.forge_id).collect();
    Ok(Some(Door { address, connection: connection.id, secrets, known }))
}

struct Care<'a> {
    services: &'a Services,
    connection: &'a Connection,
    forge: &'a dyn Forge,
    hooks: &'a dyn Hooks,
    door: Door,
    access: Access,
    started: DateTime<Utc>,
}

impl Care<'_> {
    async fn run(&self) -> Result<()> {
        let catalog = &self.services.catalog;
        let plan = self.plan().await?;
        self.note_troubles(plan.kept.iter()).await?;
        let (right, failure) = self.put_all_right(&plan.kept).await?;
        self.fetch_missed(&right).await?;
        let rows: Vec<StoredHook> = right.iter().map(|(kept, hook)| self.settled(kept, hook)).collect();
        catalog.put_hooks(&rows).await?;
        for hook in &plan.superfluous {
            tracing::info!(hook = hook.id, event = hook.event, "a hook that is not wanted goes");
            self.hooks.remove(&self.access, &hook.id).await?;
        }
        for hook in &plan.forgotten {
            catalog.forget_hook(hook.connection, &hook.scope, &hook.event).await?;
        }
        failure.map_or(Ok(()), Err)
    }

    async fn plan(&self) -> Result<Plan> {
        let wanted = self.wanted().await?;
        let found = self.hooks.found(&self.access, &self.door).await?;
        Ok(Plan::new(wanted, found, self.services.catalog.hooks(Some(self.connection.id)).await?))
    }

    /// For all scopes of which something is backed up, or could be.
    async fn wanted(&self) -> Result<Vec<WantedHook>> {
        let settings = &self.connection.settings;
        let known = self.services.catalog.scopes(self.connection.id).await?;
        let offered = self.hooks.wanted(&self.access).await?;
        if offered.is_empty() {
            self.refuse_to_take_all_away(&known).await?;
        }
        let mut wanted = Vec::new();
        for hook in offered {
            let in_use = known.get(&hook.scope.id).copied().unwrap_or_default();
            if in_use || (settings.auto_add && scopes::could_let_through(settings, &hook.scope.name)?) {
                wanted.push(hook);
            }
        }
        Ok(wanted)
    }

    /// A credential that lost its rights sees nothing that could have hooks, which is no reason to delete those that are there.
    async fn refuse_to_take_all_away(&self, known: &HashMap<String, bool>) -> Result<()> {
        for scope in known.keys() {
            if !self.services.catalog.selected_in_scope(self.connection.id, scope).await?.is_empty() {
                let name = &self.connection.name;
                return Err(Error::misconfigured(format!(
                    "the credential of {name} is shown nothing that could have hooks"
                ))
                .hint(format!("see what it may do now: refward connections check {name}")));
            }
        }
        Ok(())
    }

    async fn note_troubles(&self, kept: impl Iterator<Item = &Kept>) -> Result<()> {
        let rows = kept.filter_map(|kept| {
            let (stored, what) = (kept.stored.as_ref()?, kept.trouble()?);
            let since = stored.trouble.as_ref().map_or(self.started, |(_, since)| *since);
            tracing::warn!(hook = stored.forge_id, scope = stored.scope_name, event = stored.event, "a hook is {what}");
            let state = kept.found.as_ref().map_or(stored.state.as_str(), |found| found.state.word()).to_owned();
            Some(StoredHook { state, trouble: Some((what.to_owned(), since)), ..stored.clone() })
        });
        let rows: Vec<StoredHook> = rows.collect();
        self.services.catalog.put_hooks(&rows).await
    }

    /// Makes what is missing and mends what is not right. A scope in which that is refused does not keep the others from theirs;
    /// the first refusal is told.
    async fn put_all_right<'k>(&self, kept: &'k [Kept]) -> Result<(Vec<(&'k Kept, FoundHook)>, Option<Error>)> {
        let (mut right, mut failure, mut refused) = (Vec::new(), None, BTreeSet::new());
        for kept in kept {
            if let Some(found) = kept.found.as_ref().filter(|_| kept.is_right()) {
                right.push((kept, found.clone()));
            } else if !kept.is_left_alone() && !refused.contains(&kept.wanted.scope.id) {
                match self.put_right(kept).await {
                    Ok(hook) => right.push((kept, hook)),
                    // It holds for the other scopes, too.
                    Err(error) if is_put_off(&error) => return Err(error),
                    Err(error) => {
                        tracing::warn!(scope = kept.wanted.scope.name, "cannot set up a hook: {}", error.for_log());
                        refused.insert(kept.wanted.scope.id.clone());
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        Ok((right, failure))
    }

    async fn put_right(&self, kept: &Kept) -> Result<FoundHook> {
        let hook = match &kept.found {
            Some(found) => self.hooks.mend(&self.access, &self.door, found, &kept.wanted).await?,
            None => self.hooks.create(&self.access, &self.door, &kept.wanted).await?,
        };
        let what = if kept.found.is_some() { "mended" } else { "made" };
        metrics::counter!("refward_hooks_put_right_total", "forge" => self.forge.slug(), "how" => what).increment(1);
        tracing::info!(hook = hook.id, scope = kept.wanted.scope.name, event = hook.event, "a hook is {what}");
        if kept.found.is_none() && kept.stored.is_some() {
            // At once, so that it is known by its id. One that is new is known by its secret, and new as long as it has no row.
            let row = kept.row(self.connection.id, &hook, kept.trouble(), self.started);
            self.services.catalog.put_hooks(&[row]).await?;
        }
        Ok(hook)
    }

    /// As a hook is written down when all is done: what is wrong stands until the next look.
    fn settled(&self, kept: &Kept, hook: &FoundHook) -> StoredHook {
        StoredHook { seen_until: self.started, ..kept.row(self.connection.id, hook, kept.trouble(), self.started) }
    }

    /// Fetches what the forge could not deliver, and looks at everything in the scopes of hooks that were not there or not right:
    /// a history has nothing of what happened meanwhile.
    async fn fetch_missed(&self, right: &[(&Kept, FoundHook)]) -> Result<()> {
        let scope = |(kept, _): &'_ (&Kept, FoundHook)| kept.wanted.scope.id.clone();
        let mut gaps: BTreeSet<String> = right.iter().filter(|(kept, _)| kept.has_gap()).map(scope).collect();
        let old = right.iter().filter(|(kept, _)| kept.found.is_some());
        let old = old.filter_map(|(kept, hook)| Some((hook.id.clone(), kept.stored.as_ref()?.seen_until)));
        let (ids, since): (Vec<String>, Vec<DateTime<Utc>>) = old.unzip();
        if let Some(since) = since.into_iter().min() {
            let missed = self.hooks.undelivered(&self.access, &self.door, &ids, since - STILL_TRIED).await?;
            let told = missed.deliveries.iter();
            let incoming: Vec<Incoming> =
                told.filter_map(|missed| read(self.forge, &missed.id, missed.at, &missed.verified)).collect();
            self.take_in(&incoming).await?;
            if !missed.complete {
                gaps.extend(right.iter().map(scope));
            }
        }
        self.look_at(gaps).await
    }

    /// By the door that deliveries use; what is here already is taken for what it is.
    async fn take_in(&self, incoming: &[Incoming]) -> Result<()> {
        let mut router = Router::new(self.services.catalog.clone());
        let mut new = 0;
        for chunk in incoming.chunks(BATCH) {
            let stored = router.store(chunk).await?;
            new += stored.iter().filter(|outcome| **outcome == StoredDelivery::New).count() as u64;
        }
        if new > 0 {
            metrics::counter!("refward_deliveries_caught_up_total", "forge" => self.forge.slug()).increment(new);
            tracing::info!(connection = self.connection.name, new, "deliveries that had been lost are in");
        }
        Ok(())
    }

    async fn look_at(&self, scopes: BTreeSet<String>) -> Result<()> {
        if scopes.is_empty() {
            return Ok(());
        }
        let catalog = &self.services.catalog;
        let mut subjects = Vec::new();
        for scope in &scopes {
            let repositories = catalog.selected_in_scope(self.connection.id, scope).await?;
            subjects.extend(repositories.iter().map(ToString::to_string));
        }
        catalog.enqueue_all(job_kind::SYNC_REPO, &subjects, Priority::Sweep).await?;
        catalog.enqueue(job_kind::DISCOVER, &self.connection.id.to_string(), Priority::Sweep).await
    }
}
