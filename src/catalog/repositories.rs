//! Repositories: finding and listing them, and noting how their last check went.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func, Query, SelectStatement};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::domain::Availability::{self, Recycled};
use crate::domain::policy::FormerRules;
use crate::domain::{ConnectionId, Error, ObjectFormat, RepoAddress, RepoId, Result, Seq, same_name};

use super::error::{During, unreadable};
use super::snapshots::mark_handled;
use super::tables::{connection, repository};
use super::values::{count, now, time};
use super::{Catalog, Lease, queue};

/// A repository that we know, backed up or not.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Repository {
    /// Its name in the vault.
    pub id: RepoId,
    /// The connection that lists it, or listed it last; it may be removed by now.
    pub connection_id: ConnectionId,
    /// That connection's name.
    pub connection: String,
    /// The forge's slug.
    pub forge: String,
    /// The forge's web host.
    pub host: String,
    /// The forge's own id.
    pub forge_id: String,
    /// `OWNER/NAME` as the forge said last.
    pub full_name: String,
    /// Not visible to everyone.
    pub private: bool,
    /// Read-only on the forge.
    pub archived: bool,
    /// `None` where it is empty or not told.
    pub default_branch: Option<String>,
    /// The policy that was found to apply last; `None`: none was looked up yet.
    pub policy: Option<String>,
    /// What else keeps its recovery points for a while.
    pub former_rules: Vec<FormerRules>,
    /// It is backed up.
    pub selected: bool,
    /// It is no longer listed: deleted, transferred, or hidden from us. Its snapshots stay.
    pub gone: bool,
    /// Since when, as far as that is known.
    pub gone_at: Option<DateTime<Utc>>,
    /// Whether it can be read, as the forge said last.
    pub availability: Availability,
    /// The connection's globs leave it out, so it is not backed up, even where somebody has selected it.
    pub left_out: bool,
    /// Known once there is a snapshot.
    pub object_format: Option<ObjectFormat>,
    /// The newest snapshot.
    pub last_seq: Option<Seq>,
    /// References in the newest snapshot.
    pub refs_total: u64,
    /// When the newest snapshot was taken.
    pub last_snapshot_at: Option<DateTime<Utc>>,
    /// When all its references were last compared with the forge's.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed; `None` after one that did not.
    pub last_error: Option<String>,
    /// When it failed.
    pub last_error_at: Option<DateTime<Utc>>,
    /// What its git server said it can do, as the module `git` notes it.
    pub greeting: Option<String>,
}

impl Repository {
    /// Names it beyond doubt while it is on the forge.
    pub fn address(&self) -> RepoAddress {
        RepoAddress::Name { within: Some(self.connection.clone()), full_name: self.full_name.clone() }
    }

    /// Names it beyond doubt whatever becomes of it: the name of what is deleted may be another's tomorrow.
    pub fn lasting_address(&self) -> RepoAddress {
        if self.is_deleted() { RepoAddress::Id(self.id.clone()) } else { self.address() }
    }

    /// It is not on the forge any more, or in its recycle bin: its name is free for another.
    pub fn is_deleted(&self) -> bool {
        self.gone || self.availability == Recycled
    }

    /// Everybody can read it on the forge now. What is gone or closed may have been made private.
    pub fn is_public(&self) -> bool {
        !self.private && !self.gone && self.availability.is_open()
    }

    /// It is to be backed up, and is where it can be.
    pub fn is_wanted(&self) -> bool {
        self.selected && !self.gone && self.availability.is_open()
    }
}

pub(super) const ACTIVE: &str = "active";
pub(super) const GONE: &str = "gone";
pub(super) const LEFT_OUT: &str = "left_out";

impl Catalog {
    /// Every repository that we know, by name.
    pub async fn repositories(&self) -> Result<Vec<Repository>> {
        let rows = repository::Entity::find()
            .find_also_related(connection::Entity)
            .order_by_asc(repository::Column::FullName)
            .all(&self.read)
            .await;
        rows.during("listing the repositories")?.into_iter().map(Repository::try_from).collect()
    }

    /// Repositories to be backed up that were not compared with the forge since `since`, the oldest first; for those that
    /// surveys watch, since `watched_since`. One whose last attempt failed since then is not due: its job comes back by
    /// itself.
    pub async fn repositories_due(
        &self,
        since: DateTime<Utc>,
        watched_since: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<RepoId>> {
        let (since, watched_since) = (since.timestamp_millis(), watched_since.timestamp_millis());
        let before = |column: repository::Column| {
            let watched = repository::Column::Mark.is_not_null().and(column.lt(watched_since));
            let unwatched = repository::Column::Mark.is_null().and(column.lt(since));
            column.is_null().or(watched).or(unwatched)
        };
        let old = before(repository::Column::LastCheckedAt);
        let not_failed_since = before(repository::Column::LastErrorAt);
        let ids: Vec<String> = repository::Entity::find()
            .select_only()
            .column(repository::Column::Id)
            .filter(repository::Column::Selected.eq(true))
            .filter(repository::Column::State.eq(ACTIVE))
            .filter(repository::Column::Availability.eq(Availability::Open.word()))
            // Others wait for their schedule, but for the first time.
            .filter(repository::Column::OnPush.eq(true).or(repository::Column::LastSeq.eq(0)))
            .filter(repository::Column::ConnectionId.in_subquery(connected()))
            .filter(old)
            .filter(not_failed_since)
            .order_by_asc(repository::Column::LastCheckedAt)
            .limit(limit)
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for repositories to compare")?;
        ids.iter().map(|id| repo_id(id)).collect()
    }

    /// The repository with this id.
    pub async fn repository(&self, id: &RepoId) -> Result<Repository> {
        let row = repository::Entity::find_by_id(id.as_str()).find_also_related(connection::Entity).one(&self.read);
        let row = row.await.during("looking up a repository")?;
        row.ok_or_else(|| Error::not_found(format!("there is no repository {id} in the catalog")))?.try_into()
    }

    /// The repository that a person means. Case does not matter, as on the forges.
    pub async fn resolve(&self, address: &RepoAddress) -> Result<Repository> {
        let (within, name) = match address {
            RepoAddress::Id(id) => return self.repository(id).await,
            RepoAddress::Name { within, full_name } => (within, full_name),
        };
        let mut found = self.named(name).await?;
        if let Some(within) = within {
            let is = |prefix: &str| prefix.eq_ignore_ascii_case(within);
            let by_host = !found.iter().any(|known| is(&known.connection));
            found.retain(|known| is(if by_host { &known.host } else { &known.connection }));
        }
        match only_one(address, found)? {
            Some(repository) => Ok(repository),
            None => Err(self.unknown(address, name).await?),
        }
    }

    /// Deleted repositories that had the name of this one where it is, and have backups.
    pub async fn namesakes(&self, repository: &Repository) -> Result<Vec<Repository>> {
        let mut found = self.named(&repository.full_name).await?;
        found.retain(|known| {
            let other = known.id != repository.id && known.host == repository.host;
            other && known.is_deleted() && known.last_seq.is_some()
        });
        Ok(found)
    }

    /// Every repository that is or was called this, case aside.
    async fn named(&self, name: &str) -> Result<Vec<Repository>> {
        let named = Expr::expr(Func::lower(Expr::col((repository::Entity, repository::Column::FullName))));
        let rows = repository::Entity::find()
            .find_also_related(connection::Entity)
            // SQLite knows of no case beyond ASCII.
            .filter(named.is_in([name.to_lowercase(), name.to_ascii_lowercase()]))
            .all(&self.read)
            .await
            .during("looking up a repository")?;
        let mut found = rows.into_iter().map(Repository::try_from).collect::<Result<Vec<_>>>()?;
        if found.is_empty() && !name.is_ascii() {
            found = self.repositories().await?;
            found.retain(|known| same_name(&known.full_name, name));
        }
        Ok(found)
    }

    async fn unknown(&self, address: &RepoAddress, name: &str) -> Result<Error> {
        let missing = Error::not_found(format!("{address} is not a repository that refward knows"));
        let known = self.repositories().await?;
        let wanted = name.to_lowercase();
        let closest = known
            .iter()
            .map(|known| (distance(&known.full_name.to_lowercase(), &wanted), known))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= usize::max(3, wanted.len() / 4));
        Ok(match closest {
            Some((0, known)) => missing.hint(format!("it is in another connection: {}", known.address())),
            Some((_, known)) => missing.hint(format!("did you mean {}?", known.full_name)),
            None => missing.hint("`refward repos list` shows them; `refward repos sync` looks for new ones"),
        })
    }

    /// The repository was compared with the forge and `seq` holds all of it. `fingerprint` is of the forge's answer;
    /// `None` when it was only asked about some references. The job that is done with it ends in the same transaction,
    /// because each costs a sync of the disk.
    pub async fn record_unchanged(
        &self,
        id: &RepoId,
        fingerprint: Option<[u8; 32]>,
        handled_events: &[i64],
        seq: Option<Seq>,
        finishes: Option<&Lease>,
    ) -> Result<()> {
        const DOING: &str = "keeping the state of the repository";
        let mut row = repository::ActiveModel {
            id: Set(id.to_string()),
            last_error: Set(None),
            last_error_at: Set(None),
            ..Default::default()
        };
        if let Some(fingerprint) = fingerprint {
            row.refs_fingerprint = Set(Some(fingerprint.to_vec()));
            row.last_checked_at = Set(Some(now()));
        }
        let tx = self.begin(DOING).await?;
        row.update(&tx).await.during(DOING)?;
        mark_handled(&tx, handled_events, seq).await?;
        if let Some(job) = finishes {
            queue::finish(&tx, job).await?;
        }
        tx.commit().await.during(DOING)
    }

    /// Its git server said what it can do, or what it said before is of no use any more.
    pub async fn record_greeting(&self, id: &RepoId, greeting: Option<&str>) -> Result<()> {
        let row = repository::ActiveModel {
            id: Set(id.to_string()),
            greeting: Set(greeting.map(str::to_owned)),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("keeping a git server's greeting")
    }

    /// The last attempt failed.
    pub async fn record_error(&self, id: &RepoId, error: &str) -> Result<()> {
        let row = repository::ActiveModel {
            id: Set(id.to_string()),
            last_error: Set(Some(error.to_owned())),
            last_error_at: Set(Some(now())),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("keeping the state of the repository")
    }

    /// Starts or stops backing a repository up.
    pub async fn select(&self, id: &RepoId, selected: bool) -> Result<()> {
        let row = repository::ActiveModel { id: Set(id.to_string()), selected: Set(selected), ..Default::default() };
        row.update(&self.write).await.map(drop).during("selecting a repository")
    }
}

/// The connections that are not removed, for a query over repositories.
pub(super) fn connected() -> SelectStatement {
    Query::select()
        .column(connection::Column::Id)
        .from(connection::Entity)
        .and_where(connection::Column::RemovedAt.is_null())
        .take()
}

/// The one that is meant, of those that an address may mean; `None`: there are none.
pub fn only_one(address: &RepoAddress, mut found: Vec<Repository>) -> Result<Option<Repository>> {
    // A name can be used again after its repository was deleted or renamed away.
    for deleted in [|known: &Repository| known.gone, Repository::is_deleted] {
        if found.len() > 1 && !found.iter().all(deleted) {
            found.retain(|repository| !deleted(repository));
        }
    }
    if found.len() > 1 { Err(ambiguous(address, &found)) } else { Ok(found.pop()) }
}

fn ambiguous(address: &RepoAddress, found: &[Repository]) -> Error {
    let called = |known: &Repository| known.address().to_string().to_lowercase();
    let shares = |known: &Repository| found.iter().any(|other| other.id != known.id && called(other) == called(known));
    let choices = found.iter().map(|known| match known.gone_at {
        _ if !shares(known) => known.address().to_string(),
        Some(since) if known.gone => format!("{} (gone since {} UTC)", known.id, since.format("%Y-%m-%d %H:%M")),
        _ => known.id.to_string(),
    });
    let choices: Vec<String> = choices.collect();
    let hint = if found.iter().any(shares) {
        "write an id instead: they have had the same name, one after the other"
    } else {
        "write one of these"
    };
    Error::bad_request(format!("{address} is ambiguous: {}", choices.join(", "))).hint(hint)
}

/// Levenshtein's distance: letters to change, add or remove.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

pub(super) fn repo_id(text: &str) -> Result<RepoId> {
    text.parse().map_err(|error| unreadable("a repository id", error))
}

fn former_rules(column: Option<serde_json::Value>) -> Result<Vec<FormerRules>> {
    let rules = column.map(serde_json::from_value).transpose();
    Ok(rules.map_err(|error| unreadable("former rules", error))?.unwrap_or_default())
}

impl TryFrom<(repository::Model, Option<connection::Model>)> for Repository {
    type Error = Error;

    fn try_from((row, connection): (repository::Model, Option<connection::Model>)) -> Result<Self> {
        let object_format = row.object_format.as_deref().map(str::parse).transpose();
        Ok(Self {
            id: repo_id(&row.id)?,
            connection_id: ConnectionId(row.connection_id),
            connection: connection.map(|connection| connection.name).unwrap_or_default(),
            forge: row.forge,
            host: row.host,
            forge_id: row.forge_id,
            full_name: row.full_name,
            private: row.private,
            archived: row.archived,
            default_branch: row.default_branch,
            policy: row.policy,
            former_rules: former_rules(row.former_rules)?,
            selected: row.selected && row.state != LEFT_OUT,
            gone: row.state == GONE,
            gone_at: row.gone_at.map(time),
            availability: Availability::from_word(&row.availability),
            left_out: row.state == LEFT_OUT,
            object_format: object_format.map_err(|error| unreadable("an object format", error))?,
            last_seq: Seq::new(count(row.last_seq)),
            refs_total: count(row.refs_total),
            last_snapshot_at: row.last_snapshot_at.map(time),
            last_checked_at: row.last_checked_at.map(time),
            last_error: row.last_error,
            last_error_at: row.last_error_at.map(time),
            greeting: row.greeting,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_single_letter_edits() {
        assert_eq!(distance("acme/rocket", "acme/rocket"), 0);
        assert_eq!(distance("acme/rocket", "acme/rokcet"), 2);
        assert_eq!(distance("acme/rocket", "acme/rockets"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
