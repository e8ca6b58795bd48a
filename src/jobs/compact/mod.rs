//! Joins the objects of a repository in the vault into fewer, and leaves out what retention has let go.
//!
//! A reconciler like all jobs: it looks at what lies in the vault, takes over what an earlier run has left there, and writes
//! the next consolidated snapshot if there is one to write. The order is what makes it safe to die anywhere:
//!
//! 1. what shall go goes from the catalog first, so that no new snapshot can lean on it;
//! 2. the consolidated snapshot is written, create-only; from here on readers prefer it;
//! 3. it is read back whole from the store;
//! 4. one transaction records it and condemns what it stands for. Nothing is deleted here; that is [`super::prune`]'s.
//!
//! Dying after 1 leaves points that the vault has and the catalog has not: the next run goes on with them. Dying after 2
//! leaves a consolidated snapshot that the catalog does not know: the next run goes on at 3.

mod plan;
mod rewrite;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, Utc};

use super::{disagrees, retain};
use crate::assembly::Source;
use crate::catalog::{RETENTION_PAUSED, Repository, StoredSpan};
use crate::domain::{Error, Extent, Kind, RepoId, Result, Seq};
use crate::services::{Services, git_limits};
use crate::vault::{Cover, Stored, object_name};

use plan::Rules;

/// Compactions that are queued at a time: workers have others to serve.
const AT_A_TIME: u64 = 2;

/// Repositories whose turn it is. None where the vault cannot be read: joining needs to.
pub async fn due(services: &Services) -> Result<Vec<RepoId>> {
    if services.vault.is_sealed() {
        return Ok(Vec::new());
    }
    let after = services.settings.compact.after as u64;
    services.catalog.compaction_due(after, dropping_before(services).await?, AT_A_TIME).await
}

/// Joins a repository's objects in the vault into fewer, as far as they should be. `Throttled` when the day's share is used
/// up.
pub async fn compact(services: &Services, repo: &RepoId) -> Result<()> {
    let repository = services.catalog.repository(repo).await?;
    let done = Compaction::of(services, &repository).run().await;
    done.map_err(|error| error.while_doing(format!("joining the snapshots of {}", repository.full_name)))
}

/// Points that leave since then may go; `None`: none may.
async fn dropping_before(services: &Services) -> Result<Option<DateTime<Utc>>> {
    let paused: Option<serde_json::Value> = services.catalog.fact(RETENTION_PAUSED).await?;
    Ok(paused.is_none().then(|| Utc::now() - services.settings.prune.grace))
}

struct Compaction<'a> {
    services: &'a Services,
    repository: &'a Repository,
    source: Source,
}

/// The next consolidated snapshot.
struct Plan {
    objects: Vec<Stored>,
    /// What it stands for.
    extent: Extent,
    /// Points that it leaves out and that the catalog still has.
    leaving: BTreeSet<Seq>,
    /// See [`crate::catalog::Drop`].
    before: DateTime<Utc>,
    /// The points that the catalog knows.
    points: BTreeSet<Seq>,
    last: Seq,
}

/// What is known of a repository's objects.
struct Standing {
    /// Those that count, up to the newest snapshot that the catalog knows.
    live: Vec<Stored>,
    /// Everything in the vault.
    all: Vec<Stored>,
    /// A consolidated snapshot of ours that cannot be read, and does not count therefore.
    damaged: Option<Extent>,
    spans: BTreeMap<Extent, StoredSpan>,
    points: BTreeSet<Seq>,
    last: Seq,
    /// The vault holds later ones: another worker's, or those of a catalog that was newer than this one.
    behind: bool,
}

impl<'a> Compaction<'a> {
    fn of(services: &'a Services, repository: &'a Repository) -> Self {
        let source = Source {
            vault: std::sync::Arc::clone(&services.vault),
            repo: repository.id.clone(),
            limits: git_limits(&services.settings.git),
            known: BTreeMap::new(),
        };
        Self { services, repository, source }
    }

    async fn run(&self) -> Result<()> {
        if self.services.vault.is_sealed() {
            return Err(Error::misconfigured("this deployment is sealed: it holds no key that opens the vault")
                .hint("run a worker where the identity file (`keys.identity`) is, or let snapshots stay single"));
        }
        while let Some(standing) = self.standing().await? {
            let Some(plan) = self.plan(&standing).await? else { return Ok(()) };
            if !plan.leaving.is_empty() {
                // Before the packs are read, which takes long: a busy repository would have moved on.
                self.drop_from_catalog(&plan).await?;
            }
            // What is refused until then costs nothing.
            self.spend(&plan).await?;
            self.rewrite(&plan).await?;
            self.take_over(&plan.extent).await?;
        }
        Ok(())
    }

    /// How things stand, after taking over what an earlier run has written and not recorded. `None`: nothing to join.
    async fn standing(&self) -> Result<Option<Standing>> {
        let (catalog, repo) = (&self.services.catalog, &self.repository.id);
        let Some(last) = catalog.last_seq(repo).await? else { return Ok(None) };
        let mut spans = self.known_spans().await?;
        let mut cover = self.services.vault.cover(repo).await?;
        let all: Vec<Stored> = cover.live.iter().chain(&cover.superseded).copied().collect();
        let mut damaged = None;
        for Stored { extent, .. } in cover.live.clone() {
            if extent.is_single() || spans.contains_key(&extent) {
                continue;
            }
            match self.take_over(&extent).await {
                Ok(()) => {}
                Err(error) if error.kind() == Kind::Damaged => {
                    tracing::warn!(object = object_name(repo, &extent), "written again: {}", error.for_log());
                    damaged = Some(extent);
                    let others = all.iter().copied().filter(|stored| stored.extent != extent).collect();
                    cover.live = Extent::cover(others, |stored| stored.extent).0;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        spans.extend(self.known_spans().await?);
        self.condemn_forgotten(&spans, &cover).await?;
        let live = cover.through(last)?.to_vec();
        if cover.end() > Some(last) && live.last().is_none_or(|stored| stored.extent.to > last) {
            return Err(disagrees(&self.repository.full_name));
        }
        let behind = cover.end() > Some(last);
        let points = catalog.sealed(repo).await?.into_iter().map(|(seq, _)| seq).collect();
        Ok(Some(Standing { live, all, damaged, spans, points, last, behind }))
    }

    /// A catalog that was made anew does not know what was condemned before.
    async fn condemn_forgotten(&self, spans: &BTreeMap<Extent, StoredSpan>, cover: &Cover) -> Result<()> {
        let (catalog, repo) = (&self.services.catalog, &self.repository.id);
        let known = catalog.condemned_of(repo).await?;
        for span in cover.live.iter().filter_map(|stored| spans.get(&stored.extent)) {
            let mut forgotten = self.superseded(cover, &span.extent);
            forgotten.retain(|(object, _)| !known.contains(object));
            if !forgotten.is_empty() {
                catalog.consolidated(repo, span, &forgotten).await?;
            }
        }
        Ok(())
    }

    /// Names and lengths of the objects that another stands for.
    fn superseded(&self, cover: &Cover, by: &Extent) -> Vec<(String, u64)> {
        let within = |other: &Extent| by.from <= other.from && other.to <= by.to;
        let superseded = cover.superseded.iter().filter(|stored| within(&stored.extent));
        superseded.map(|stored| (object_name(&self.repository.id, &stored.extent), stored.bytes)).collect()
    }

    async fn known_spans(&self) -> Result<BTreeMap<Extent, StoredSpan>> {
        let spans = self.services.catalog.spans(&self.repository.id).await?;
        Ok(spans.into_iter().map(|span| (span.extent, span)).collect())
    }

    async fn plan(&self, standing: &Standing) -> Result<Option<Plan>> {
        let Standing { live, points, .. } = standing;
        let before = dropping_before(self.services).await?;
        // Later ones may lean on what goes.
        let leaving = if standing.behind { BTreeSet::new() } else { self.leaving(standing.last, before).await? };
        let settings = &self.services.settings.compact;
        let rules = Rules { after: settings.after, ratio: settings.ratio };
        let everything = 0..live.len();
        let range = if let Some(damaged) = standing.damaged {
            Some(within(live, damaged))
        } else if self.drop_is_unfinished(standing)? || self.is_worth_dropping(standing, &leaving, before).await? {
            Some(everything.clone())
        } else {
            plan::join(live, rules)
        };
        let Some(range) = range.filter(|range| !range.is_empty()) else { return Ok(None) };
        let objects = live[range.clone()].to_vec();
        let (from, to) = (objects[0].extent.from, objects[objects.len() - 1].extent.to);
        let same = standing.all.iter().filter(|stored| (stored.extent.from, stored.extent.to) == (from, to));
        let rewriting = 1 + same.map(|stored| stored.extent.rewriting).max().unwrap_or(0);
        // Only who sees everything knows what nobody needs.
        let leaving = if range == everything { leaving } else { BTreeSet::new() };
        Ok(Some(Plan {
            objects,
            extent: Extent { from, to, rewriting },
            leaving,
            before: before.unwrap_or_default(),
            points: points.clone(),
            last: standing.last,
        }))
    }

    /// What no rule keeps, then and now, past its grace. Never the newest point, nor the newest complete one.
    async fn leaving(&self, last: Seq, before: Option<DateTime<Utc>>) -> Result<BTreeSet<Seq>> {
        let Some(before) = before else { return Ok(BTreeSet::new()) };
        let catalog = &self.services.catalog;
        let mut leaving = catalog.leaving(&self.repository.id, before).await?;
        leaving.remove(&last);
        if !leaving.is_empty() {
            // Rules, labels and what the forge says may have changed since they were marked.
            let repository = catalog.repository(&self.repository.id).await?;
            let judged = retain::judge(self.services, &repository, Utc::now()).await?;
            leaving = leaving.intersection(&judged.dropped()).copied().collect();
            let good = judged.points.iter().rfind(|(snapshot, _)| snapshot.complete);
            leaving.retain(|seq| good.is_none_or(|(good, _)| good.seq != *seq));
        }
        Ok(leaving)
    }

    /// The catalog has dropped points that an object still tells.
    fn drop_is_unfinished(&self, standing: &Standing) -> Result<bool> {
        for Stored { extent, .. } in &standing.live {
            let told = standing.spans.get(extent).map_or(1, |span| span.points as usize);
            let known = standing.points.range(extent.from..=extent.to).count();
            if known > told {
                return Err(disagrees(&self.repository.full_name));
            }
            if known < told {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_worth_dropping(
        &self,
        standing: &Standing,
        leaving: &BTreeSet<Seq>,
        before: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        let Some(before) = before.filter(|_| !leaving.is_empty()) else { return Ok(false) };
        let (catalog, repo) = (&self.services.catalog, &self.repository.id);
        let journal = catalog.journal(repo, None).await?;
        let moves = journal.iter().map(|entry| (entry.seq, &entry.change));
        let worth = plan::worth_dropping(&standing.points, leaving, moves);
        if !worth {
            catalog.put_off_dropping(repo, before).await?;
        }
        Ok(worth)
    }

    /// Everything is read, and about as much is written.
    async fn spend(&self, plan: &Plan) -> Result<()> {
        let per_day = self.services.settings.compact.bytes_per_day;
        if self.services.catalog.spend_on_compaction(2 * plan::bytes(&plan.objects), per_day).await? {
            return Ok(());
        }
        Err(Error::throttled(until_tomorrow(Utc::now()), "what compaction may read and write in a day is used up")
            .hint("see `compact.bytes_per_day`"))
    }
}

/// The objects of a range.
fn within(live: &[Stored], range: Extent) -> Range<usize> {
    let start = live.partition_point(|stored| stored.extent.from < range.from);
    start..live.partition_point(|stored| stored.extent.to <= range.to)
}

fn until_tomorrow(now: DateTime<Utc>) -> Duration {
    let tomorrow = now.date_naive().checked_add_days(Days::new(1)).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    tomorrow.and_then(|tomorrow| (tomorrow - now).to_std().ok()).unwrap_or(Duration::from_hours(24))
}
