//! What a delivery is about, and what is to be done about it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::catalog::{
    CONSUMED, Catalog, NewDelivery, NewEvent, NewJob, PackedBody, Priority, StoredDelivery, Subscription, job_kind,
};
use crate::domain::{AppId, Change, ConnectionId, DeliveryId, Event, RemoteRepository, RepoId, Result};
use crate::forge::Signer;

/// A repository that stays unknown after we looked for it is left out by choice or hidden from us; its events must not
/// make us list all repositories again and again.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Unknown repositories to remember at most.
const REMEMBERED: usize = 10_000;

/// A delivery whose sender is proved, in our words.
pub struct Incoming {
    /// The forge's slug.
    pub forge: &'static str,
    /// Whose secret signed it.
    pub signers: Vec<Signer>,
    /// The installation that an App's delivery speaks for.
    pub installation: Option<String>,
    /// The forge's id of the scope that it is about, where it tells.
    pub scope: Option<String>,
    /// The forge's id.
    pub id: DeliveryId,
    /// The forge's name for the event.
    pub event: String,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// As it came.
    pub body: PackedBody,
    /// What it says.
    pub events: Vec<Event>,
}

impl Incoming {
    /// References moved, and it does not say in which repository.
    fn is_vague(&self) -> bool {
        self.events.iter().any(|event| event.repository.is_none() && CONSUMED.contains(&event.change.kind()))
    }
}

/// Stores deliveries together with their consequences.
pub struct Router {
    catalog: Catalog,
    looked_for: HashMap<Unknown, Instant>,
}

/// Something that a delivery is about and that we do not know, by the forge's id.
#[derive(PartialEq, Eq, Hash)]
enum Unknown {
    /// A connection has not listed it.
    Repository(ConnectionId, String),
    /// It belongs to no connection.
    Installation(AppId, String),
}

impl Router {
    /// Into this catalog.
    pub fn new(catalog: Catalog) -> Self {
        Self { catalog, looked_for: HashMap::new() }
    }

    /// All of them or none.
    pub async fn store(&mut self, deliveries: &[Incoming]) -> Result<Vec<StoredDelivery>> {
        let known = Known::read(&self.catalog, deliveries).await?;
        let mut unknown = Vec::new();
        let rows: Vec<_> = deliveries.iter().map(|delivery| self.row(&known, delivery, &mut unknown)).collect();
        let outcomes = self.catalog.store(&rows).await?;
        self.remember(unknown);
        Ok(outcomes)
    }

    fn row(&self, known: &Known, delivery: &Incoming, unknown: &mut Vec<Unknown>) -> NewDelivery {
        let connections = known.connections(delivery);
        let mut events = Vec::with_capacity(delivery.events.len());
        let mut jobs = self.follow(delivery, &connections, unknown);
        for event in &delivery.events {
            let (repo, standing) = known.place(delivery.forge, &connections, event.repository.as_ref());
            let mut list_again = matches!(event.change, Change::Repository(_) | Change::Access(_));
            match (standing, &event.repository) {
                (Standing::Listed { sync_after, renamed }, _) => {
                    list_again |= renamed;
                    let sync_after = sync_after.filter(|_| CONSUMED.contains(&event.change.kind()));
                    jobs.extend(
                        repo.iter()
                            .zip(sync_after)
                            .map(|(id, delay)| NewJob { delay, ..job(job_kind::SYNC_REPO, id.to_string()) }),
                    );
                }
                (Standing::Unlisted, Some(repository)) => {
                    let wanted = connections
                        .iter()
                        .map(|connection| Unknown::Repository(*connection, repository.forge_id.clone()));
                    let news: Vec<Unknown> = wanted.filter(|unknown| self.is_news(unknown)).collect();
                    list_again |= !news.is_empty();
                    unknown.extend(news);
                }
                // Something in there moved, and it does not say what.
                (Standing::Unlisted, None) if CONSUMED.contains(&event.change.kind()) => {
                    jobs.extend(known.within(delivery.scope.as_deref(), &connections));
                    list_again = true;
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

    /// Apps whose installations have to be looked at, because the delivery is about those or comes from an unknown one.
    fn follow(&self, delivery: &Incoming, connections: &[ConnectionId], unknown: &mut Vec<Unknown>) -> Vec<NewJob> {
        let changed = delivery.events.iter().any(|event| matches!(event.change, Change::Access(_)));
        let mut jobs = Vec::new();
        for signer in &delivery.signers {
            let Signer::App(app) = signer else { continue };
            let stranger = delivery.installation.clone().filter(|_| connections.is_empty());
            let stranger = stranger.map(|id| Unknown::Installation(*app, id)).filter(|unknown| self.is_news(unknown));
            if changed || stranger.is_some() {
                jobs.push(job(job_kind::FOLLOW_APP, app.to_string()));
            }
            unknown.extend(stranger);
        }
        jobs
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
    NewJob { kind, subject, priority: Priority::Event, delay: Duration::ZERO }
}

/// How a repository that an event names stands with the connections that signed the event.
#[derive(Clone, Copy)]
enum Standing {
    /// One of them listed it.
    Listed {
        /// How long to wait before it is backed up; `None`: a change is no reason to.
        sync_after: Option<Duration>,
        renamed: bool,
    },
    /// None of them did, or not lately.
    Unlisted,
}

/// What the catalog knows about the repositories of a batch, read at once.
struct Known {
    hosts: HashMap<ConnectionId, String>,
    bindings: HashMap<(AppId, String), ConnectionId>,
    repositories: HashMap<RepoId, Subscription>,
    /// The repositories that are backed up of each connection's scopes that a delivery is about as a whole.
    scopes: HashMap<(ConnectionId, String), Vec<RepoId>>,
}

impl Known {
    async fn read(catalog: &Catalog, deliveries: &[Incoming]) -> Result<Self> {
        let mut hosts = HashMap::new();
        for connection in catalog.connections().await? {
            hosts.insert(connection.id, connection.host()?);
        }
        let from_apps = |delivery: &Incoming| delivery.signers.iter().any(|by| matches!(by, Signer::App(_)));
        let bindings = if deliveries.iter().any(from_apps) { catalog.bindings().await? } else { HashMap::new() };
        let mut known = Self { hosts, bindings, repositories: HashMap::new(), scopes: HashMap::new() };
        let mut ids = HashSet::new();
        for delivery in deliveries {
            for repository in delivery.events.iter().filter_map(|event| event.repository.as_ref()) {
                let connections = known.connections(delivery);
                let hosts = connections.iter().filter_map(|id| known.hosts.get(id));
                ids.extend(hosts.map(|host| RepoId::derive(delivery.forge, host, &repository.forge_id)));
            }
            let Some(scope) = delivery.scope.as_deref().filter(|_| delivery.is_vague()) else { continue };
            for connection in known.connections(delivery) {
                let within = catalog.selected_in_scope(connection, scope).await?;
                known.scopes.insert((connection, scope.to_owned()), within);
            }
        }
        known.repositories = catalog.subscriptions(&ids).await?;
        Ok(known)
    }

    /// Jobs for all that is backed up of a scope; of everything, where the scope is not told either, surveys take care.
    fn within(&self, scope: Option<&str>, connections: &[ConnectionId]) -> Vec<NewJob> {
        let of = |connection: &ConnectionId| self.scopes.get(&(*connection, scope?.to_owned()));
        let repositories = connections.iter().filter_map(of).flatten();
        repositories.map(|id| job(job_kind::SYNC_REPO, id.to_string())).collect()
    }

    /// The connections that a delivery speaks for.
    fn connections(&self, delivery: &Incoming) -> Vec<ConnectionId> {
        let speaks_for = |signer: &Signer| match signer {
            Signer::Connection(id) => Some(*id),
            Signer::App(app) => self.bindings.get(&(*app, delivery.installation.clone()?)).copied(),
        };
        let known = |id: &ConnectionId| self.hosts.contains_key(id);
        delivery.signers.iter().filter_map(speaks_for).filter(known).collect()
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
                    // Some forges tell nothing but the id.
                    let renamed = !repository.full_name.is_empty() && known.full_name != repository.full_name;
                    let sync_after = (known.selected && known.on_push).then_some(known.coalesce);
                    return (Some(id), Standing::Listed { sync_after, renamed });
                }
                Some(known) if known.connection != *signer => {}
                _ => unclaimed = unclaimed.or(Some(id)),
            }
        }
        (unclaimed, Standing::Unlisted)
    }
}
