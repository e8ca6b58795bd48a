//! Looks for what people must be told and no event tells of. Each look says what is so now; the catalog knows what was told.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::alarms::{Alarm, alarm};
use super::{Windows, announce};
use crate::catalog::{Repository, StoredHook};
use crate::domain::{Error, RepoId, Result, Severity, command};
use crate::services::Services;

/// Looks for what people must be told and no event tells of.
pub async fn watch(services: &Services) -> Result<()> {
    let watch = Watch::new(services).await?;
    watch.late().await?;
    watch.silent().await?;
    watch.proofs().await?;
    watch.drills().await?;
    watch.hooks().await?;
    announce::forget_removed(services).await?;
    watch.storage().await
}

struct Watch<'a> {
    services: &'a Services,
    now: DateTime<Utc>,
    repositories: HashMap<RepoId, Repository>,
}

impl<'a> Watch<'a> {
    async fn new(services: &'a Services) -> Result<Self> {
        let repositories = services.catalog.repositories().await?.into_iter();
        let repositories = repositories.map(|repository| (repository.id.clone(), repository)).collect();
        Ok(Self { services, now: Utc::now(), repositories })
    }

    /// Changes that are in no snapshot after longer than they should take.
    async fn late(&self) -> Result<()> {
        let catalog = &self.services.catalog;
        let policies = catalog.applied_policies().await?;
        let limit = self.services.settings.alarms.lag;
        let mut late = Vec::new();
        for (id, since) in catalog.oldest_pending().await? {
            let (Some(repository), Some(policy)) = (self.repositories.get(&id), policies.get(&id)) else { continue };
            // Its policy may wait for more changes, or for a time of the day.
            let patience = limit + Duration::from_millis(u64::try_from(policy.coalesce_ms).unwrap_or_default());
            let closed = !repository.availability.is_open();
            if closed || !policy.on_push || self.now - since <= delta(patience) {
                continue;
            }
            let why = repository.last_error.as_ref().map(|error| format!(" The last attempt failed: {error}."));
            let (name, address) = (&repository.full_name, repository.address().to_string());
            late.push(alarm(Alarm {
                kind: "backup.late",
                subject: format!("repo:{id}:late"),
                repository: Some(repository),
                text: format!(
                    "A change of {name} from {} is in no snapshot yet.{}",
                    time(since),
                    why.unwrap_or_default()
                ),
                command: command(["backup", &address, "--wait"]),
                ..Alarm::default()
            }));
        }
        late.sort_by(|one, other| one.notice.text.cmp(&other.notice.text));
        catalog.settle("backup.late", late).await
    }

    /// Connections whose webhooks do not come, although something was pushed.
    async fn silent(&self) -> Result<()> {
        let catalog = &self.services.catalog;
        let since = self.now - self.services.settings.alarms.silence;
        let mut silent = Vec::new();
        for connection in catalog.connections().await? {
            let last = catalog.last_delivery(connection.id).await?;
            if connection.created_at > since || last.is_some_and(|last| last > since) {
                continue;
            }
            let found = catalog.found_by_survey(connection.id, since).await?;
            if found == 0 {
                continue;
            }
            let last = last.map_or_else(|| "ever".to_owned(), |last| format!("since {}", time(last)));
            silent.push(alarm(Alarm {
                kind: "webhook.silent",
                subject: format!("connection:{}:silent", connection.id),
                connection: Some(&connection),
                text: format!(
                    "No webhook of {} came {last}, although something was pushed: it is found late, by surveys.",
                    connection.name
                ),
                command: command(["connections", "check", &connection.name]),
                ..Alarm::default()
            }));
        }
        catalog.settle("webhook.silent", silent).await
    }

    /// Repositories that may not be restorable, as far as drills and verifications say.
    async fn proofs(&self) -> Result<()> {
        let catalog = &self.services.catalog;
        let (mut drills, mut damages) = (Vec::new(), Vec::new());
        for (id, standing) in catalog.standings().await? {
            let Some(repository) = self.repositories.get(&id) else { continue };
            let (name, address) = (&repository.full_name, repository.lasting_address().to_string());
            if let Some((at, false)) = standing.last_drill {
                drills.push(alarm(Alarm {
                    kind: "drill.failed",
                    subject: format!("repo:{id}:drill"),
                    repository: Some(repository),
                    text: format!("The restore drill of {name} from {} failed: it may not be restorable.", time(at)),
                    command: command(["drill", &address]),
                    ..Alarm::default()
                }));
            }
            if let Some(at) = standing.damaged_at {
                damages.push(alarm(Alarm {
                    kind: "verify.failed",
                    subject: format!("repo:{id}:verify"),
                    repository: Some(repository),
                    text: format!(
                        "Objects of {name} in the vault were damaged or missing when they were read at {}.",
                        time(at)
                    ),
                    command: command(["verify", &address, "--read-data"]),
                    ..Alarm::default()
                }));
            }
        }
        catalog.settle("drill.failed", drills).await?;
        catalog.settle("verify.failed", damages).await
    }

    /// Repositories of which no restore was proved for longer than their policy wants.
    async fn drills(&self) -> Result<()> {
        const KIND: &str = "drill.overdue";
        let catalog = &self.services.catalog;
        // Where nothing can be read nothing can be drilled.
        if self.services.vault.is_sealed() {
            return catalog.settle(KIND, Vec::new()).await;
        }
        let (windows, standings) = (Windows::read(catalog).await?, catalog.standings().await?);
        let (watching, mut unproved) = (self.watching_since().await?, Vec::new());
        for repository in self.repositories.values() {
            let Some(window) = windows.of(&repository.id) else { continue };
            let (limit, passed) =
                (self.now - delta(window), standings.get(&repository.id).and_then(|one| one.passed_at));
            let backed_up = repository.selected && !repository.gone && repository.last_seq.is_some();
            if backed_up && watching < limit && passed.is_none_or(|at| at < limit) {
                unproved.push((repository, limit, passed));
            }
        }
        let ids: Vec<RepoId> = unproved.iter().map(|(repository, ..)| repository.id.clone()).collect();
        let oldest = catalog.oldest_points(&ids).await?;
        unproved.retain(|(repository, limit, _)| oldest.get(&repository.id).is_some_and(|at| at < limit));
        let overdue = unproved.into_iter().map(|(repository, _, passed)| {
            let last = passed.map_or_else(|| "never".to_owned(), |at| format!("last at {}", time(at)));
            let mut alarm = alarm(Alarm {
                kind: KIND,
                subject: format!("repo:{}:unproved", repository.id),
                repository: Some(repository),
                text: format!(
                    "That {} can be restored was {last} proved: its policy wants that more often.",
                    repository.full_name
                ),
                command: command(["drill", &repository.lasting_address().to_string()]),
                ..Alarm::default()
            });
            alarm.notice.severity = Severity::Warning;
            alarm
        });
        catalog.settle(KIND, overdue.collect()).await
    }

    /// Hooks that we have set up and that do not deliver, or cannot be looked after. What was switched off once and is mended
    /// is told as well: nobody else says why things were late.
    async fn hooks(&self) -> Result<()> {
        let catalog = &self.services.catalog;
        let (all, care) = (catalog.hooks(None).await?, catalog.hook_care().await?);
        let (mut failing, mut off, mut probation) = (Vec::new(), Vec::new(), Vec::new());
        let long = self.now - self.services.settings.alarms.lag;
        for connection in catalog.connections().await? {
            let raised = |kind: &'static str, word: &str, text: String| {
                alarm(Alarm {
                    kind,
                    subject: format!("connection:{}:{word}", connection.id),
                    connection: Some(&connection),
                    text,
                    command: command(["hooks", "repair", &connection.name]),
                    ..Alarm::default()
                })
            };
            let name = &connection.name;
            // Whoever has set no address does without hooks.
            let should_be = !self.services.settings.server.public_url.is_empty();
            let failing_now = care.get(&connection.id).and_then(|care| care.failing.as_ref());
            if let Some((why, since)) = failing_now.filter(|_| should_be) {
                let text = format!(
                    "The hooks of {name} cannot be set up or looked after since {}: {why}. What is pushed is found late, by \
                     surveys.",
                    time(*since)
                );
                failing.push(raised("hooks.failing", "hooks", text));
            }
            let troubled: Vec<Troubled> =
                all.iter().filter(|hook| hook.connection == connection.id).filter_map(Troubled::of).collect();
            if let Some(text) = Troubled::tell(&troubled, |hook| hook.what.starts_with("disabled")) {
                off.push(raised(
                    "hooks.disabled",
                    "hooks-disabled",
                    format!("Hooks of {name} were switched off: {text}."),
                ));
            }
            let lasting = |hook: &Troubled| !hook.what.starts_with("disabled") && hook.since < long;
            if let Some(text) = Troubled::tell(&troubled, lasting) {
                let text = format!(
                    "Hooks of {name} are in trouble for long: {text}. What happens meanwhile is found late, by surveys."
                );
                probation.push(raised("hooks.troubled", "hooks-troubled", text));
            }
        }
        catalog.settle("hooks.failing", failing).await?;
        catalog.settle("hooks.disabled", off).await?;
        catalog.settle("hooks.troubled", probation).await
    }

    /// Whoever begins today has proved nothing yet, and that is no alarm.
    async fn watching_since(&self) -> Result<DateTime<Utc>> {
        const FACT: &str = "watching_since";
        let catalog = &self.services.catalog;
        if let Some(since) = catalog.fact(FACT).await? {
            return Ok(since);
        }
        catalog.put_fact(FACT, &self.now).await?;
        Ok(self.now)
    }

    /// A store that is nearly full, or refuses what backups write.
    async fn storage(&self) -> Result<()> {
        let (catalog, settings) = (&self.services.catalog, &self.services.settings);
        let (mut full, mut refusing) = (Vec::new(), Vec::new());
        if let Some(folder) = settings.vault.url.strip_prefix("file://") {
            let free = free_bytes(folder)?;
            if free < settings.alarms.free_bytes {
                let text = format!(
                    "The disk of the vault {folder} has {} MB left. When it is full, nothing more is backed up.",
                    free / 1_000_000
                );
                let subject = "vault:space".to_owned();
                full.push(alarm(Alarm { kind: "storage.full", subject, text, ..Alarm::default() }));
            }
        }
        // Whatever a store is to blame for names it by its address.
        if let Some((count, error)) = catalog.failing_with(self.services.vault.url()).await? {
            let text = format!("The vault's store refuses what backups need; repositories that fail: {count}. {error}");
            let subject = "vault:refuses".to_owned();
            refusing.push(alarm(Alarm { kind: "storage.refuses", subject, text, ..Alarm::default() }));
        }
        catalog.settle("storage.full", full).await?;
        catalog.settle("storage.refuses", refusing).await
    }
}

/// A hook with which something is wrong.
struct Troubled<'a> {
    what: &'a str,
    since: DateTime<Utc>,
    scope: &'a str,
    event: &'a str,
}

impl<'a> Troubled<'a> {
    fn of(hook: &'a StoredHook) -> Option<Self> {
        let (what, since) = hook.trouble.as_ref()?;
        Some(Self { what, since: *since, scope: &hook.scope_name, event: &hook.event })
    }

    /// Those that are meant, the first one as an example. `None`: there are none.
    fn tell(all: &[Self], meant: impl Fn(&Self) -> bool) -> Option<String> {
        let meant: Vec<&Self> = all.iter().filter(|hook| meant(hook)).collect();
        let first = meant.first()?;
        let why = match first.what {
            "disabled_by_user" => "by a person",
            "disabled_by_system" => "by the forge, after deliveries that failed",
            "disabled_by_inactive_identity" => "because whoever refward acts as has left there, or lost a right",
            "probation" => "on probation, where new events are dropped",
            "missing" => "somebody has deleted it",
            _ => "somebody has altered it",
        };
        let more = if meant.len() > 1 { format!(", and {} more", meant.len() - 1) } else { String::new() };
        Some(format!("{} in {} since {}, {why}{more}", first.event, first.scope, time(first.since)))
    }
}

/// What is free for us; less than what is free for root.
fn free_bytes(folder: &str) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| Error::misconfigured(format!("cannot see how full the disk of {folder} is: {error}")))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn time(at: DateTime<Utc>) -> String {
    format!("{} UTC", at.format("%Y-%m-%d %H:%M:%S"))
}
