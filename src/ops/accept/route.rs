//! What a delivery is about, and what is to be done about it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::Incoming;
use crate::catalog::{
    CONSUMED, Catalog, NewDelivery, NewEvent, NewJob, Priority, StoredDelivery, Subscription, job_kind,
};
use crate::domain::{Change, ConnectionId, RemoteRepository, RepoId, Result};

/// A repository that stays unknown after we looked for it is left out by choice or hidden from us; its events must not
/// make us list all repositories again and again.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Unknown repositories to remember at most.
const REMEMBERED: usize = 10_000;

/// Stores deliveries together with their consequences.
pub(super) struct Router {
    catalog: Catalog,
    looked_for: HashMap<Unknown, Instant>,
}

/// A repository that a connection has not listed: the connection and the forge's id.
type Unknown = (ConnectionId, String);

impl Router {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self { catalog, looked_for: HashMap::new() }
    }

    /// All of them or none.
    pub(super) async fn store(&mut self, deliveries: &[Incoming]) -> Result<Vec<StoredDelivery>> {
        let known = Known::read(&self.catalog, deliveries).await?;
        let mut unknown = Vec::new();
        let rows: Vec<_> = deliveries.iter().map(|delivery| self.row(&known, delivery, &mut unknown)).collect();
        let outcomes = self.catalog.store(&rows).await?;
        self.remember(unknown);
        Ok(outcomes)
    }

    fn row(&self, known: &Known, delivery: &Incoming, unknown: &mut Vec<Unknown>) -> NewDelivery {
        let connections: Vec<ConnectionId> =
            delivery.connections.iter().copied().filter(|id| known.hosts.contains_key(id)).collect();
        let mut events = Vec::with_capacity(delivery.events.len());
        let mut jobs = Vec::new();
        for event in &delivery.events {
            let (repo, standing) = known.place(delivery.forge, &connections, event.repository.as_ref());
            let mut list_again = matches!(event.change, Change::Repository(_) | Change::Access(_));
            match (standing, &event.repository) {
                (Standing::Listed { selected, renamed }, _) => {
                    list_again |= renamed;
                    let sync = selected && CONSUMED.contains(&event.change.kind());
                    jobs.extend(repo.iter().filter(|_| sync).map(|id| job(job_kind::SYNC_REPO, id.to_string())));
                }
                (Standing::Unlisted, Some(repository)) => {
                    let wanted = connections.iter().map(|connection| (*connection, repository.forge_id.clone()));
                    let news: Vec<Unknown> = wanted.filter(|unknown| self.is_news(unknown)).collect();
                    list_again |= !news.is_empty();
                    unknown.extend(news);
                }
                (Standing::Unlisted, None) => {}
            }
            if list_again {
                jobs.extend(connections.iter().map(|connection| job(job_kind::DISCOVER, connection.to_string())));
            }
            events.push(NewEvent { repo, event: event.clone() });
        }
        NewDelivery {
            forge: delivery.forge.to_owned(),
            id: delivery.id.clone(),
            event: delivery.event.clone(),
            received_at: delivery.received_at,
            body: delivery.body.clone(),
            connection: connections.first().copied(),
            events,
            jobs,
        }
    }

    fn is_news(&self, unknown: &Unknown) -> bool {
        self.looked_for.get(unknown).is_none_or(|since| since.elapsed() > LOOK_AGAIN)
    }

    fn remember(&mut self, unknown: Vec<Unknown>) {
        if self.looked_for.len() + unknown.len() > REMEMBERED {
            self.looked_for.clear();
        }
        self.looked_for.extend(unknown.into_iter().map(|unknown| (unknown, Instant::now())));
    }
}

fn job(kind: &'static str, subject: String) -> NewJob {
    NewJob { kind, subject, priority: Priority::Event }
}

/// How a repository that an event names stands with the connections that signed the event.
#[derive(Clone, Copy)]
enum Standing {
    /// One of them listed it.
    Listed { selected: bool, renamed: bool },
    /// None of them did, or not lately.
    Unlisted,
}

/// What the catalog knows about the repositories of a batch, read at once.
struct Known {
    hosts: HashMap<ConnectionId, String>,
    repositories: HashMap<RepoId, Subscription>,
}

impl Known {
    async fn read(catalog: &Catalog, deliveries: &[Incoming]) -> Result<Self> {
        let mut hosts = HashMap::new();
        for connection in catalog.connections().await? {
            hosts.insert(connection.id, connection.host()?);
        }
        let mut ids = HashSet::new();
        for delivery in deliveries {
            for repository in delivery.events.iter().filter_map(|event| event.repository.as_ref()) {
                let hosts = delivery.connections.iter().filter_map(|id| hosts.get(id));
                ids.extend(hosts.map(|host| RepoId::derive(delivery.forge, host, &repository.forge_id)));
            }
        }
        Ok(Self { hosts, repositories: catalog.subscriptions(&ids).await? })
    }

    /// Which repository an event is about. One that another connection listed is not the signer's to speak for.
    fn place(
        &self,
        forge: &str,
        signers: &[ConnectionId],
        repository: Option<&RemoteRepository>,
    ) -> (Option<RepoId>, Standing) {
        let Some(repository) = repository else {
            return (None, Standing::Unlisted);
        };
        let mut unclaimed = None;
        for signer in signers {
            let id = RepoId::derive(forge, &self.hosts[signer], &repository.forge_id);
            match self.repositories.get(&id) {
                Some(known) if known.connection == *signer && known.active => {
                    let renamed = known.full_name != repository.full_name;
                    return (Some(id), Standing::Listed { selected: known.selected, renamed });
                }
                Some(known) if known.connection != *signer => {}
                _ => unclaimed = unclaimed.or(Some(id)),
            }
        }
        (unclaimed, Standing::Unlisted)
    }
}
