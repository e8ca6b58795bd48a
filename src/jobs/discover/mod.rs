//! Looks at all repositories of a connection and follows what it sees: new, renamed, archived, made public, closed, gone,
//! and whichever had something pushed that no webhook told of. Nothing here ever deletes a backup.

mod globs;
mod told;

pub(super) use globs::fits_scope;
pub use globs::{Filter, Groups, groups_of};

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::catalog::{self, Connection, ConnectionSettings, Known, Listing, NewJob, Priority, Seen, job_kind};
use crate::domain::{Availability, ConnectionId, Kind, RepoId, Result};
use crate::forge::quota::Urgency;
use crate::forge::{Mark, Survey, Surveyed};
use crate::services::Services;
use chrono::{DateTime, TimeDelta, Utc};

use super::{alarms, keep_hooks, policies, quotas};

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
    /// Disabled on the forge since the last look. Their backups stay.
    pub disabled: Vec<String>,
    /// In the forge's recycle bin since the last look. Their backups stay.
    pub recycled: Vec<String>,
    /// Known and on the forge, but the connection's globs do not let them through any more. Their backups stay.
    pub left_out: Vec<String>,
    /// The globs let them through again.
    pub let_in: Vec<String>,
    /// Something was pushed, as the list tells.
    pub changed: usize,
    /// Requests to the forge that this took.
    pub requests: u64,
}

/// Follows the list of one connection and enqueues a snapshot of what is new or has changed.
pub async fn discover(services: &Services, id: ConnectionId, urgency: Urgency) -> Result<Discovered> {
    let connection = services.connection(id).await?;
    let started = Instant::now();
    let outcome = quotas::sharing(services, Box::pin(Follow::new(services, &connection)?.run(urgency))).await?;
    match &outcome {
        Ok(found) => {
            let interval = next_interval(services, &connection).await?;
            let next_at = next_at(&connection.settings, interval, Utc::now());
            let survey = catalog::Survey { next_at, interval, requests: found.requests, took: started.elapsed() };
            services.catalog.record_survey(id, &survey).await?;
            let text = format!("{} is on the forge again.", connection.owner);
            alarms::over(services, alarms::owner_subject(&connection), text).await?;
        }
        // Nothing is wrong: it is put off.
        Err(error) if matches!(error.kind(), Kind::Throttled { .. }) => {}
        Err(error) => {
            services.catalog.record_survey_failure(id, &error.to_string()).await?;
            if error.kind() == Kind::NotFound {
                services.catalog.raise(alarms::of_owner(services, &connection).await?).await?;
            }
        }
    }
    outcome.map_err(|error| error.while_doing(format!("listing the repositories of {}", connection.name)))
}

struct Follow<'a> {
    services: &'a Services,
    connection: &'a Connection,
    filter: Filter,
    host: String,
    /// Repositories that appear later are the owner's choice; at the first look they asked for everything.
    select_new: bool,
    found: Discovered,
    /// A repository is new, or not as it was.
    news: bool,
    /// Renamed together with what they belong to, which was told once for all of them.
    moved: HashSet<RepoId>,
    seen: Vec<Seen>,
    jobs: Vec<NewJob>,
}

impl<'a> Follow<'a> {
    fn new(services: &'a Services, connection: &'a Connection) -> Result<Self> {
        Ok(Self {
            services,
            connection,
            filter: Filter::new(&connection.settings)?,
            host: connection.host()?,
            select_new: connection.settings.auto_add || connection.discovered_at.is_none(),
            found: Discovered::default(),
            news: false,
            moved: HashSet::new(),
            seen: Vec::new(),
            jobs: Vec::new(),
        })
    }

    async fn run(mut self, urgency: Urgency) -> Result<Discovered> {
        let access = self.services.access(self.connection, urgency).await?;
        let mut survey = self.services.forge(&self.connection.forge)?.survey(&access).await?;
        metrics::counter!("refward_survey_requests_total").increment(survey.requests);
        self.found.requests = survey.requests;
        let mut ids: Vec<RepoId> = survey.repositories.iter().map(|surveyed| self.id(surveyed)).collect();
        let (buried, of_them) = self.buried(&survey, &ids).await?.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        ids.extend(buried);
        survey.repositories.extend(of_them);
        let known = self.services.catalog.known(&ids).await?;
        let mut listed: Vec<(&RepoId, &Surveyed)> = ids.iter().zip(&survey.repositories).collect();
        // What was deleted before we knew it is none of ours.
        listed.retain(|(id, surveyed)| surveyed.availability != Availability::Recycled || known.contains_key(id));
        let new = listed.iter().filter(|(id, _)| !known.contains_key(id));
        let new = new.map(|(id, surveyed)| (*id, &surveyed.repository, surveyed.availability));
        let wanted = new.filter(|(_, remote, _)| self.filter.lets_through(&remote.full_name));
        self.services.catalog.add_repositories(self.connection, &self.host, wanted, self.select_new).await?;
        self.tell_moved(&listed, &known).await?;
        for (id, surveyed) in &listed {
            if self.filter.lets_through(&surveyed.repository.full_name) {
                self.found.listed += 1;
                self.follow(id, surveyed, &known).await?;
            } else if let Some(before) = known.get(id) {
                self.leave_out(id, surveyed, before).await?;
            }
        }
        self.tell_closed(&listed, &known).await?;
        // Before their jobs are queued: the policy says when, and by which workers.
        if self.news {
            policies::assign(self.services).await?;
        }
        self.services.catalog.record_seen(&self.seen, std::mem::take(&mut self.jobs)).await?;
        // What is in the recycle bin may belong to something that is in there as well, and has no hooks.
        let wanted = |surveyed: &&Surveyed| {
            surveyed.availability != Availability::Recycled && self.filter.lets_through(&surveyed.repository.full_name)
        };
        keep_hooks::after_survey(self.services, self.connection, survey.repositories.iter().filter(wanted)).await?;
        if survey.complete {
            self.tell_gone(&ids).await?;
            self.found.gone = self.services.catalog.mark_gone(self.connection.id, &ids).await?;
        }
        Ok(self.found)
    }

    /// What belonged to something that is in the recycle bin is in there with it, although no list says so.
    async fn buried(&self, survey: &Survey, listed: &[RepoId]) -> Result<Vec<(RepoId, Surveyed)>> {
        if survey.recycled.is_empty() {
            return Ok(Vec::new());
        }
        let missing = self.services.catalog.missing(self.connection.id, listed).await?;
        let missing: Vec<RepoId> = missing.into_iter().map(|(id, _)| id).collect();
        let known = self.services.catalog.known(&missing).await?.into_iter();
        let buried = known.filter_map(|(id, known)| {
            let scope = survey.recycled.iter().find(|scope| known.scope.as_ref() == Some(&scope.id))?;
            let surveyed = Surveyed {
                repository: known.remote,
                visibility: known.visibility,
                mark: Mark::Untold,
                availability: Availability::Recycled,
                scope: Some(scope.clone()),
            };
            Some((id, surveyed))
        });
        Ok(buried.collect())
    }

    fn id(&self, surveyed: &Surveyed) -> RepoId {
        RepoId::derive(&self.connection.forge, &self.host, &surveyed.repository.forge_id)
    }

    async fn follow(&mut self, id: &RepoId, surveyed: &Surveyed, known: &HashMap<RepoId, Known>) -> Result<()> {
        let (remote, before) = (&surveyed.repository, known.get(id));
        let (connection, catalog) = (self.connection, &self.services.catalog);
        let listed = |known: &Known| known.connection == connection.id && !known.gone && !known.left_out;
        let same = before.is_some_and(|known| known.remote == *remote && listed(known));
        if !same {
            self.news = true;
            if before.is_some() {
                catalog.upsert_repository(connection, &self.host, id, remote, self.select_new).await?;
            }
            self.tell_changes(id, surveyed, before).await?;
        }
        let marked = before.and_then(|known| known.mark.clone());
        let open = surveyed.availability.is_open();
        let (told, as_before) = match (&surveyed.mark, &marked) {
            // Nothing can be pushed there, and the mark of before says whether something was when it is open again.
            _ if !open => (marked.clone(), true),
            (Mark::Told(mark), Some(marked)) if tells_the_same(mark, marked) => (Some(mark.max(marked).clone()), true),
            (Mark::Told(mark), _) => (Some(mark.clone()), false),
            (Mark::Moving, _) => (None, false),
            (Mark::Untold, _) => (None, true),
        };
        let changed = !as_before || before.is_some_and(|known| known.left_out || !known.availability.is_open());
        let wanted = before.map_or(self.select_new, |known| known.selected && known.on_push);
        if open && wanted && (before.is_none() || changed) {
            self.found.changed += usize::from(before.is_some());
            let priority = if before.is_none() { Priority::Event } else { Priority::Sweep };
            let delay = Duration::ZERO;
            self.jobs.push(NewJob { kind: job_kind::SYNC_REPO, subject: id.to_string(), priority, delay });
        }
        let scope = surveyed.scope.as_ref().map(|scope| scope.id.clone());
        let seen_so = |known: &Known| {
            known.visibility == surveyed.visibility
                && known.availability == surveyed.availability
                && known.scope == scope
        };
        if told != marked || !before.is_some_and(seen_so) {
            self.seen.push(Seen {
                id: id.clone(),
                visibility: surveyed.visibility.clone(),
                mark: told,
                availability: surveyed.availability,
                scope,
                changed: before.is_some() && changed,
                turned: before.is_some_and(|known| known.availability != surveyed.availability),
            });
        }
        Ok(())
    }

    /// To be left out is not to be gone: it stays known under its name of now, and comes back as it was.
    async fn leave_out(&mut self, id: &RepoId, surveyed: &Surveyed, before: &Known) -> Result<()> {
        let (remote, connection) = (&surveyed.repository, self.connection.id);
        let known = before.left_out && before.connection == connection;
        if known && before.remote == *remote {
            return Ok(());
        }
        self.services.catalog.leave_out(connection, id, remote).await?;
        let was = &before.remote.full_name;
        if *was != remote.full_name {
            self.found.renamed.push(format!("{was} → {}", remote.full_name));
            self.tell("repository.renamed", Some(id), format!("{was} is called {} now.", remote.full_name)).await?;
        }
        if !known {
            let name = &remote.full_name;
            self.found.left_out.push(name.clone());
            let text = format!(
                "{name} is left out by the globs of {}: it is not backed up meanwhile. Its backups stay.",
                self.connection.name
            );
            self.tell("repository.left_out", Some(id), text).await?;
        }
        Ok(())
    }
}

/// Two marks that say the same, one of them perhaps in more detail: another credential may see less of a repository.
fn tells_the_same(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|more| more.is_empty() || more.starts_with('/'))
}

/// Twice as long while webhooks tell of everything; half as long when something was found that they did not tell of.
async fn next_interval(services: &Services, connection: &Connection) -> Result<Duration> {
    let longest = services.settings.sweep.interval;
    let shortest = services.settings.sweep.shortest.min(longest);
    let Some((last, since)) = connection.survey.zip(connection.discovered_at) else { return Ok(shortest) };
    let found = services.catalog.found_by_survey(connection.id, since).await?;
    let next = if found > 0 { last.interval / 2 } else { last.interval * 2 };
    Ok(next.clamp(shortest, longest))
}

fn next_at(settings: &ConnectionSettings, interval: Duration, now: DateTime<Utc>) -> DateTime<Utc> {
    match settings.listing {
        None => now + interval,
        Some(Listing::Every(pause)) => now + pause,
        Some(Listing::DailyAt(time)) => {
            let today = now.date_naive().and_time(time).and_utc();
            if today > now { today } else { today + TimeDelta::days(1) }
        }
    }
}
