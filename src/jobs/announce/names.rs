//! What the things are called that notices are about.

use std::collections::HashMap;

use super::super::policies;
use crate::catalog::StoredNotice;
use crate::domain::policy::RepositoryFacts;
use crate::domain::{ConnectionId, RepoId, Result};
use crate::notify::Told;
use crate::services::Services;

/// What the things are called that notices are about, and where they belong.
pub(in crate::jobs) struct Names {
    connections: HashMap<ConnectionId, String>,
    repositories: HashMap<RepoId, RepositoryFacts>,
}

impl Names {
    pub(in crate::jobs) async fn read(
        services: &Services,
        notices: impl Iterator<Item = &StoredNotice>,
    ) -> Result<Self> {
        let ids: Vec<RepoId> = notices.filter_map(|notice| notice.repo.clone()).collect();
        let (groups, known) = (policies::groups(services).await?, services.catalog.known(&ids).await?);
        let connections = services.catalog.connections().await?.into_iter();
        let connections: HashMap<_, _> = connections.map(|connection| (connection.id, connection.name)).collect();
        let repositories = known.into_iter().map(|(id, known)| {
            let (name, groups) = (known.remote.full_name, groups.get(&known.connection));
            let facts = RepositoryFacts {
                id: id.clone(),
                connection: connections.get(&known.connection).cloned().unwrap_or_default(),
                groups: groups.map(|groups| groups.of(&name)).unwrap_or_default(),
                full_name: name,
                archived: known.remote.archived,
                private: known.remote.private,
            };
            (id, facts)
        });
        Ok(Self { repositories: repositories.collect(), connections })
    }

    /// The name of the connection that a notice is about.
    pub(super) fn connection(&self, notice: &StoredNotice) -> Option<&str> {
        self.connections.get(&notice.connection?).map(String::as_str)
    }

    /// The repository that a notice is about.
    pub(super) fn repository(&self, notice: &StoredNotice) -> Option<&RepositoryFacts> {
        self.repositories.get(notice.repo.as_ref()?)
    }

    /// As receivers get it, and the connection that it belongs to, with the first group that has it: `acme: payments`.
    pub(super) fn told_with_place(&self, notice: StoredNotice) -> (Told, String) {
        let connection = self.connection(&notice).unwrap_or("-");
        let group = self.repository(&notice).and_then(|repository| repository.groups.first());
        let place = group.map_or_else(|| connection.to_owned(), |group| format!("{connection}: {group}"));
        (self.told(notice), place)
    }

    /// As receivers get it.
    pub(in crate::jobs) fn told(&self, notice: StoredNotice) -> Told {
        Told {
            connection: self.connection(&notice).map(str::to_owned),
            repository: self.repository(&notice).map(|repository| repository.full_name.clone()),
            id: notice.id,
            at: notice.at,
            kind: notice.kind,
            severity: notice.severity,
            text: notice.text,
            subject: notice.subject,
            command: notice.command,
            undo: notice.undo,
        }
    }
}
