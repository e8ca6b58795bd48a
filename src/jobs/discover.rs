//! Reads a connection's list of repositories and follows it: new, renamed, gone. Nothing here ever deletes a backup.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::catalog::{Connection, ConnectionSettings, Priority, Upserted, job_kind};
use crate::domain::{ConnectionId, Error, RepoId, Result};
use crate::services::Services;

/// What a look at the list brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Discovered {
    /// Repositories on the forge that the connection's globs let through.
    pub listed: usize,
    /// Seen for the first time.
    pub created: Vec<String>,
    /// Known under another name before.
    pub renamed: Vec<String>,
    /// No longer listed. Their backups stay.
    pub gone: Vec<String>,
}

/// Follows the list of one connection and enqueues a first snapshot of what is new.
pub async fn discover(services: &Services, id: ConnectionId) -> Result<Discovered> {
    let connection = services.connection(id).await?;
    let outcome = follow(services, &connection).await;
    let error = outcome.as_ref().err().map(ToString::to_string);
    services.catalog.record_discovery(id, error.as_deref()).await?;
    outcome.map_err(|error| error.while_doing(format!("listing the repositories of {}", connection.name)))
}

async fn follow(services: &Services, connection: &Connection) -> Result<Discovered> {
    let filter = Filter::new(&connection.settings)?;
    let access = services.access(connection).await?;
    let forge = services.forge(&connection.forge)?;
    let listed = forge.repositories(&access).await?;
    let host = connection.host()?;
    // The owner was asked for everything when they connected; later arrivals are their choice.
    let select_new = connection.settings.auto_add || connection.discovered_at.is_none();

    let mut found = Discovered::default();
    let (mut present, mut fresh) = (Vec::new(), Vec::new());
    for remote in listed.iter().filter(|remote| filter.lets_through(&remote.full_name)) {
        let id = RepoId::derive(forge.slug(), &host, &remote.forge_id);
        found.listed += 1;
        match services.catalog.upsert_repository(connection, &host, &id, remote, select_new).await? {
            Upserted::Created => {
                found.created.push(remote.full_name.clone());
                if select_new {
                    fresh.push(id.to_string());
                }
            }
            Upserted::Renamed { from } => found.renamed.push(format!("{from} → {}", remote.full_name)),
            Upserted::Updated | Upserted::Unchanged => {}
        }
        present.push(id);
    }
    found.gone = services.catalog.mark_gone(connection.id, &present).await?;
    services.catalog.enqueue_all(job_kind::SYNC_REPO, &fresh, Priority::Event).await?;
    Ok(found)
}

/// Which of an owner's repositories a connection wants, by `OWNER/NAME` or `NAME` globs.
pub struct Filter {
    include: GlobSet,
    exclude: GlobSet,
}

impl Filter {
    /// No include globs: everything.
    pub fn new(settings: &ConnectionSettings) -> Result<Self> {
        let everything = ["*".to_owned()];
        let include = if settings.include.is_empty() { &everything[..] } else { &settings.include };
        Ok(Self { include: globs(include)?, exclude: globs(&settings.exclude)? })
    }

    /// Excludes win.
    pub fn lets_through(&self, full_name: &str) -> bool {
        let name = full_name.rsplit('/').next().unwrap_or(full_name);
        let hit = |set: &GlobSet| set.is_match(full_name) || set.is_match(name);
        hit(&self.include) && !hit(&self.exclude)
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob =
            Glob::new(pattern).map_err(|error| Error::bad_request(format!("`{pattern}` is not a glob: {error}")))?;
        set.add(glob);
    }
    set.build().map_err(|error| Error::bad_request(format!("the globs are too complex: {error}")))
}
