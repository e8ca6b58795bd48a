//! The pool of credentials behind a connection: what there is, what is left of it, and which of them are used.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::backup::retry_failing;
use super::connect::{keep_inspection, named};
use crate::catalog::{
    Connection, Job, JobState, NewCredential, Priority, Source, StoredCredential, StoredQuota, job_kind,
};
use crate::domain::{ConnectionId, Error, Result};
use crate::forge::quota::{Domain, Resource};
use crate::forge::{Access, Inspection};
use crate::jobs;
use crate::services::{Given, Services};

/// All credentials, and what waits for them.
#[derive(Debug, Serialize)]
pub struct Pool {
    /// By connection, the main one first.
    pub credentials: Vec<CredentialRow>,
    /// What waits.
    pub backlog: Vec<Backlog>,
}

/// A credential as listings show it; nothing secret.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CredentialRow {
    pub connection: String,
    pub label: String,
    /// `token`, `app`, `client` or `delegated`.
    pub kind: &'static str,
    /// Who shares its limits on the host.
    pub who: String,
    pub main: bool,
    pub enabled: bool,
    /// Others of the connection that draw on the same budget.
    pub shares_with: Vec<String>,
    pub rest: Option<Left>,
    pub graphql: Option<Left>,
    pub paused_until: Option<DateTime<Utc>>,
    /// `used_up` or `slow_down`.
    pub why: Option<String>,
    /// RFC 3339.
    pub expires: Option<String>,
}

/// What is left of a limit. A host without limits tells of none.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Left {
    pub remaining: u64,
    pub limit: u64,
    pub reset_at: Option<DateTime<Utc>>,
}

/// What waits on a connection.
#[derive(Debug, Serialize)]
pub struct Backlog {
    /// Its name.
    pub connection: String,
    /// Jobs that are not done.
    pub jobs: usize,
    /// Those of them that a limit holds up.
    pub throttled: usize,
    /// Why, as the first of them was told.
    pub why: Option<String>,
    /// When the limits will have let all of them go; `null`: none holds them up.
    pub done_by: Option<DateTime<Utc>>,
}

/// What came of adding one.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Added {
    pub connection: String,
    pub label: String,
    pub enabled: bool,
    pub inspection: Inspection,
    /// Others of the connection that draw on the same budget, so that this one adds nothing to it.
    pub shares_with: Vec<String>,
}

/// The credentials of one connection or of all.
pub async fn list(services: &Services, connection: Option<&str>) -> Result<Pool> {
    let connections = match connection {
        Some(name) => vec![named(services, name).await?],
        None => services.catalog.connections().await?,
    };
    let quotas = services.catalog.quotas(None).await?;
    services.quotas.learn(quotas.iter().cloned().filter_map(jobs::standing).collect());
    let waiting = services.catalog.jobs().await?;
    let mut pool = Pool { credentials: Vec::new(), backlog: Vec::new() };
    for connection in connections {
        let credentials = services.catalog.credentials(Some(connection.id)).await?;
        let host = connection.host()?;
        let rows = credentials.iter().map(|credential| row(&connection, &host, credential, &credentials, &quotas));
        pool.credentials.extend(rows);
        pool.backlog.extend(backlog(services, &connection, &host, &credentials, &waiting).await?);
    }
    Ok(pool)
}

/// Checks a credential and adds it to a connection's pool. It is not used before somebody switches it on.
pub async fn add(services: &Services, connection: &str, label: &str, given: Given, enable: bool) -> Result<Added> {
    check_label(label)?;
    let connection = named(services, connection).await?;
    let forge = services.forge(&connection.forge)?;
    let given = given.settled(forge)?;
    let access = Access::with(connection.address()?, &connection.owner, given.kind());
    let inspection = forge.inspect(&access).await?;
    let source = services.source(&given)?;
    let new = NewCredential { label: label.to_owned(), source, main: false, enabled: enable };
    let id = services.catalog.add_credential(connection.id, new).await?;
    services.catalog.set_credential_inspection(id, &inspection).await?;
    let credentials = services.catalog.credentials(Some(connection.id)).await?;
    let added = credentials.iter().find(|credential| credential.id == id);
    let shares_with = added.map(|added| sharing(added, &credentials)).unwrap_or_default();
    if enable {
        go_on(services, connection.id).await?;
    }
    Ok(Added { connection: connection.name, label: label.to_owned(), enabled: enable, inspection, shares_with })
}

/// Switches one on or off. The main one stays on.
pub async fn enable(services: &Services, connection: &str, label: &str, enabled: bool) -> Result<()> {
    let (connection, credential) = find(services, connection, label).await?;
    if credential.main && !enabled {
        return Err(Error::bad_request(format!("{} is the main credential of {}", credential.label, connection.name))
            .hint(format!(
                "make another one the main one first: `refward credentials main {} LABEL`",
                connection.name
            )));
    }
    services.catalog.enable_credential(credential.id, enabled).await?;
    if enabled { go_on(services, connection.id).await } else { Ok(()) }
}

/// Makes one the main one, and switches it on.
pub async fn make_main(services: &Services, connection: &str, label: &str) -> Result<()> {
    let (connection, credential) = find(services, connection, label).await?;
    services.catalog.make_main(connection.id, credential.id).await?;
    if let Some(inspection) = &credential.inspection {
        services.catalog.set_inspection(connection.id, inspection).await?;
    }
    go_on(services, connection.id).await
}

/// What one may do now.
pub async fn test(services: &Services, connection: &str, label: &str) -> Result<Inspection> {
    let (connection, credential) = find(services, connection, label).await?;
    let access = services.access_with(&connection, &credential).await?;
    let inspection = services.forge(&connection.forge)?.inspect(&access).await?;
    keep_inspection(services, connection.id, &credential, &inspection).await?;
    Ok(inspection)
}

/// Deletes one. The main one goes with its connection alone.
pub async fn remove(services: &Services, connection: &str, label: &str) -> Result<()> {
    let (connection, credential) = find(services, connection, label).await?;
    if credential.main {
        return Err(Error::bad_request(format!("{} is the main credential of {}", credential.label, connection.name))
            .hint(format!(
                "make another one the main one first, or remove the connection: `refward connections remove {}`",
                connection.name
            )));
    }
    services.catalog.remove_credential(credential.id).await
}

/// What failed for want of a credential, or waits for one, may go on at once.
async fn go_on(services: &Services, connection: ConnectionId) -> Result<()> {
    services.catalog.enqueue(job_kind::DISCOVER, &connection.to_string(), Priority::Manual).await?;
    retry_failing(services, connection).await
}

async fn find(services: &Services, connection: &str, label: &str) -> Result<(Connection, StoredCredential)> {
    let connection = named(services, connection).await?;
    let found = services.catalog.credential(connection.id, label).await?;
    let credential = found.ok_or_else(|| {
        Error::not_found(format!("{} has no credential called `{label}`", connection.name))
            .hint(format!("see `refward credentials list {}`", connection.name))
    })?;
    Ok((connection, credential))
}

fn row(
    connection: &Connection,
    host: &str,
    credential: &StoredCredential,
    all: &[StoredCredential],
    quotas: &[StoredQuota],
) -> CredentialRow {
    let (who, now) = (credential.who(), Utc::now());
    let of = |resource: Resource| {
        quotas.iter().find(|quota| quota.host == host && quota.who == who && quota.resource == resource.as_str())
    };
    let both = [of(Resource::Rest), of(Resource::GraphQl)];
    let paused = both.into_iter().flatten().filter(|quota| quota.paused_until.is_some_and(|until| until > now));
    let paused = paused.max_by_key(|quota| quota.paused_until);
    let left = |quota: Option<&StoredQuota>| {
        let quota = quota?;
        let limit = quota.limit?;
        // After the reset all of it is there again.
        let running = quota.reset_at.is_some_and(|reset| reset > now);
        let remaining = if running { quota.remaining? } else { limit };
        Some(Left { remaining, limit, reset_at: quota.reset_at.filter(|_| running) })
    };
    let expires = credential.inspection.as_ref().and_then(|inspection| inspection["expires"].as_str());
    CredentialRow {
        connection: connection.name.clone(),
        label: credential.label.clone(),
        kind: match &credential.source {
            Source::Token(_) => "token",
            Source::Installation { .. } => "app",
            Source::Oauth { kind, .. } => kind.word(),
        },
        main: credential.main,
        enabled: credential.enabled,
        shares_with: sharing(credential, all),
        rest: left(both[0]),
        graphql: left(both[1]),
        paused_until: paused.and_then(|quota| quota.paused_until),
        why: paused.and_then(|quota| quota.why.clone()),
        expires: expires.map(str::to_owned),
        who,
    }
}

/// Those that draw on the same budget.
fn sharing(one: &StoredCredential, all: &[StoredCredential]) -> Vec<String> {
    let others = all.iter().filter(|other| other.id != one.id && other.who() == one.who());
    others.map(|other| other.label.clone()).collect()
}

/// What waits on a connection; `None`: nothing.
async fn backlog(
    services: &Services,
    connection: &Connection,
    host: &str,
    credentials: &[StoredCredential],
    jobs: &[Job],
) -> Result<Option<Backlog>> {
    let repositories = services.catalog.repositories().await?.into_iter();
    let mine = repositories.filter(|repository| repository.connection_id == connection.id);
    let mine: BTreeSet<String> = mine.map(|repository| repository.id.to_string()).collect();
    let (id, now) = (connection.id.to_string(), Utc::now());
    let (mut count, mut surveys, mut waits) = (0, 0, Vec::new());
    for job in jobs.iter().filter(|job| job.state == JobState::Ready) {
        let survey = job.kind == job_kind::DISCOVER && job.subject == id;
        let backup = job.kind == job_kind::SYNC_REPO && mine.contains(&job.subject);
        if !survey && !backup {
            continue;
        }
        count += 1;
        surveys += u64::from(survey);
        let why = job.last_error.as_deref().and_then(jobs::throttled).filter(|_| job.run_at > now);
        waits.extend(why.map(|why| (job.run_at, why.to_owned())));
    }
    if count == 0 {
        return Ok(None);
    }
    // Backups themselves are fetched with git, which no such limit counts.
    let requests = surveys * connection.survey.map_or(1, |survey| survey.requests.max(1));
    let whose = credentials.iter().filter(|credential| credential.enabled).map(StoredCredential::who);
    let domains: BTreeSet<Domain> = whose.map(|who| Domain { host: host.to_owned(), who }).collect();
    let domains: Vec<Domain> = domains.into_iter().collect();
    let forecast = services.quotas.forecast(&domains, Resource::GraphQl, requests).filter(|_| requests > 0);
    waits.sort();
    Ok(Some(Backlog {
        connection: connection.name.clone(),
        jobs: count,
        throttled: waits.len(),
        done_by: forecast.max(waits.last().map(|(until, _)| *until)),
        why: waits.into_iter().next().map(|(_, why)| why),
    }))
}

/// Labels stand in commands and tables.
fn check_label(label: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if label.is_empty() || label.len() > 64 || !label.chars().all(fine) {
        return Err(Error::bad_request(format!(
            "`{label}` cannot be the name of a credential: use up to 64 letters, digits, `-`, `_` and `.`"
        )));
    }
    Ok(())
}
