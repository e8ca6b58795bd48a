//! Looks for what people must be told and no event tells of. Each look says what is so now; the catalog knows what was told.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::alarms::{Alarm, alarm};
use crate::catalog::{NewAlarm, Repository};
use crate::domain::policy::Policy;
use crate::domain::{Error, RepoId, Result, Severity, command};
use crate::services::Services;

/// Looks for what people must be told and no event tells of.
pub async fn watch(services: &Services) -> Result<()> {
    let watch = Watch::new(services).await?;
    watch.late().await?;
    watch.silent().await?;
    watch.proofs().await?;
    watch.drills().await?;
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
            if !policy.on_push || self.now - since <= delta(patience) {
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

    /// Drills and verifications whose newest run failed.
    async fn proofs(&self) -> Result<()> {
        let catalog = &self.services.catalog;
        let mut failed: HashMap<&str, Vec<NewAlarm>> = HashMap::new();
        for proof in catalog.failed_proofs().await? {
            let Some(repository) = self.repositories.get(&proof.repo) else { continue };
            let (name, address) = (&repository.full_name, repository.address().to_string());
            let drill = proof.kind == "drill";
            let (kind, what, mode) = if drill {
                ("drill.failed", "restore drill", "--drill")
            } else {
                ("verify.failed", "verification", "--read-data")
            };
            failed.entry(kind).or_default().push(alarm(Alarm {
                kind,
                subject: format!("repo:{}:{}", proof.repo, proof.kind),
                repository: Some(repository),
                text: format!("The {what} of {name} from {} failed: it may not be restorable.", time(proof.at)),
                command: command(["verify", &address, mode]),
                ..Alarm::default()
            }));
        }
        for kind in ["drill.failed", "verify.failed"] {
            let failed = failed.remove(kind).unwrap_or_default();
            catalog.settle(kind, failed).await?;
        }
        Ok(())
    }

    /// Repositories of which no restore was proved for longer than their policy wants.
    async fn drills(&self) -> Result<()> {
        const KIND: &str = "drill.overdue";
        let catalog = &self.services.catalog;
        if self.services.vault.is_sealed() {
            return catalog.settle(KIND, Vec::new()).await;
        }
        let watching = self.watching_since().await?;
        let default = Policy::built_in().drill.window();
        let policies = catalog.policies().await?.into_iter().map(|policy| (policy.name, policy.drill.window()));
        let policies: HashMap<String, Option<Duration>> = policies.collect();
        let applied = catalog.applied_policies().await?;
        let window = |id: &RepoId| {
            let name = applied.get(id).and_then(|applied| applied.policy.as_ref());
            name.and_then(|name| policies.get(name).copied()).unwrap_or(default)
        };
        let passed = catalog.passed_drills().await?;
        let wanted =
            self.repositories.values().filter(|known| known.selected && !known.gone && known.last_seq.is_some());
        let old = |known: &&Repository| {
            let limit = window(&known.id).map(|window| self.now - delta(window));
            limit.is_some_and(|limit| watching < limit && passed.get(&known.id).is_none_or(|at| *at < limit))
        };
        let unproved: Vec<&Repository> = wanted.filter(old).collect();
        let ids: Vec<RepoId> = unproved.iter().map(|known| known.id.clone()).collect();
        let oldest = catalog.oldest_points(&ids).await?;
        let mut overdue = Vec::new();
        for repository in unproved {
            let Some(window) = window(&repository.id) else { continue };
            if oldest.get(&repository.id).is_none_or(|at| *at > self.now - delta(window)) {
                continue;
            }
            let last =
                passed.get(&repository.id).map_or_else(|| "never".to_owned(), |at| format!("last at {}", time(*at)));
            let name = &repository.full_name;
            let mut alarm = alarm(Alarm {
                kind: KIND,
                subject: format!("repo:{}:unproved", repository.id),
                repository: Some(repository),
                text: format!("That {name} can be restored was {last} proved: its policy wants that more often."),
                command: command(["verify", &repository.address().to_string(), "--drill"]),
                ..Alarm::default()
            });
            alarm.notice.severity = Severity::Warning;
            overdue.push(alarm);
        }
        catalog.settle(KIND, overdue).await
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
