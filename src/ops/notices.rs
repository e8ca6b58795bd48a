//! What people were told: repositories that came, went and changed, Apps that were installed or suspended.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalog::Catalog;
use crate::domain::{ConnectionId, RepoId, Result};

/// Something that people were told.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Notice {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// A stable word: `repository.renamed`.
    pub kind: String,
    pub connection: Option<String>,
    /// Its name of now.
    pub repository: Option<String>,
    pub text: String,
}

/// The newest notices, newest first.
pub async fn notices(catalog: &Catalog, limit: u64) -> Result<Vec<Notice>> {
    let stored = catalog.notices(limit).await?;
    let connections: HashMap<ConnectionId, String> =
        catalog.connections().await?.into_iter().map(|connection| (connection.id, connection.name)).collect();
    let ids: Vec<RepoId> = stored.iter().filter_map(|notice| notice.repo.clone()).collect();
    let known = catalog.known(&ids).await?;
    let told = stored.into_iter().map(|notice| Notice {
        id: notice.id,
        at: notice.at,
        kind: notice.kind,
        connection: notice.connection.and_then(|id| connections.get(&id).cloned()),
        repository: notice.repo.and_then(|id| known.get(&id)).map(|known| known.remote.full_name.clone()),
        text: notice.text,
    });
    Ok(told.collect())
}
