//! What compaction knows and changes: which repositories need it, points that go, consolidated snapshots, and objects that
//! wait to be deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Set, Statement,
};
use serde_json::json;

use crate::domain::{Actor, Error, Kind, RefChange, RefCounts, RefName, RepoId, Result, Seq};

use super::error::{During, unreadable};
use super::spans::{self, StoredSpan};
use super::tables::{condemned, fact, hold, intent, ref_change, repository, snapshot};
use super::values::{bytes, column, count, now, time};
use super::{Catalog, insert_all};

/// The fact that says what compaction has cost today.
const BUDGET: &str = "compaction_budget";

/// After a drop was refused because a snapshot was under way.
const LATER: Duration = Duration::from_mins(1);

/// Where a repository's leaving points were last found not to be worth dropping.
fn looked_at(repo: &RepoId) -> String {
    format!("compaction_looked_at/{repo}")
}

/// An object of the vault that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condemned {
    /// Its name in the store.
    pub object: String,
    /// Its repository.
    pub repo: RepoId,
    /// Its length.
    pub bytes: u64,
    /// Why nobody needs it, in words.
    pub why: String,
    /// Since when.
    pub condemned_at: DateTime<Utc>,
    /// The list in the vault that names it.
    pub list: Option<String>,
}

/// Recovery points that go from the catalog before they go from the vault.
#[derive(Clone, Debug)]
pub struct Drop<'a> {
    /// Whose.
    pub repo: &'a RepoId,
    /// The newest snapshot when this was planned: what was taken since may lean on what goes.
    pub last: Seq,
    /// Which. Each must be leaving since `before` at the latest, and have no label.
    pub points: &'a BTreeSet<Seq>,
    /// See `points`.
    pub before: DateTime<Utc>,
    /// The points that follow a dropped one.
    pub retold: Vec<Retold>,
}

/// A point as it is told once those before it are dropped: what moved in them is part of what moved in it.
#[derive(Clone, Debug)]
pub struct Retold {
    /// Which.
    pub seq: Seq,
    /// What moved.
    pub changes: Vec<RefChange>,
    /// Who moved it last, where it is known.
    pub actors: BTreeMap<RefName, Actor>,
}

impl Catalog {
    /// Repositories that are due for compaction, at most so many: those with `after` singles, and, unless a hold stands,
    /// those with points that are leaving since `before` and were not looked at since. Not those that are queued already.
    pub async fn compaction_due(&self, after: u64, before: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<RepoId>> {
        const DOING: &str = "looking for repositories to compact";
        // Both times of a point are compared in the clock of its marking: `at` is when it was looked at, less the grace.
        let sql = "SELECT id FROM repository
             WHERE last_seq > 0
               AND (last_seq - COALESCE((SELECT MAX(to_seq) FROM span WHERE span.repo_id = repository.id), 0) >= $1
                    OR (NOT EXISTS (SELECT 1 FROM hold WHERE hold.repo_id = repository.id AND hold.lifted_at IS NULL)
                        AND EXISTS (SELECT 1 FROM snapshot
                            WHERE snapshot.repo_id = repository.id AND snapshot.leaving_at <= $2
                              AND snapshot.leaving_at > COALESCE((SELECT fact.at FROM fact
                                  WHERE fact.name = 'compaction_looked_at/' || repository.id), -1))))
               AND NOT EXISTS (SELECT 1 FROM job WHERE job.kind = 'compact' AND job.subject = repository.id)
             ORDER BY id LIMIT $3";
        let before = before.map_or(-1, |before| before.timestamp_millis());
        let values = [column(after).into(), before.into(), column(limit).into()];
        let found = Statement::from_sql_and_values(self.read.get_database_backend(), sql, values);
        let rows = self.read.query_all_raw(found).await.during(DOING)?;
        rows.iter().map(|row| row.try_get_by_index::<String>(0).during(DOING)?.parse()).collect()
    }

    /// Points that no rule keeps since then at the latest. None while a hold stands; never one with a label.
    pub async fn leaving(&self, repo: &RepoId, before: DateTime<Utc>) -> Result<BTreeSet<Seq>> {
        const DOING: &str = "looking for points that leave";
        if held(&self.read, repo).await? {
            return Ok(BTreeSet::new());
        }
        let rows = leaving(repo, before).all(&self.read).await.during(DOING)?;
        rows.iter().filter(|row| !labelled(row)).map(|row| number(row.seq)).collect()
    }

    /// Remembers that the points leaving since `before` are not worth dropping.
    pub async fn put_off_dropping(&self, repo: &RepoId, before: DateTime<Utc>) -> Result<()> {
        let row =
            fact::ActiveModel { name: Set(looked_at(repo)), value: Set(json!({})), at: Set(before.timestamp_millis()) };
        let anew = OnConflict::column(fact::Column::Name).update_column(fact::Column::At).to_owned();
        let insert = fact::Entity::insert(row).on_conflict(anew);
        self.write.execute(&insert.into_query()).await.map(drop).during("putting off dropping points")
    }

    /// Takes recovery points out of the catalog, all or none. From here on nothing new can lean on what only they hold:
    /// their tips are not known any more, and a snapshot that was prepared before is refused by [`Catalog::intend`].
    ///
    /// `Busy` when a snapshot is under way or was taken since, when a hold stands, or when one of them does not leave any
    /// more.
    pub async fn drop_points(&self, what: Drop<'_>) -> Result<()> {
        const DOING: &str = "dropping recovery points";
        let tx = self.begin(DOING).await?;
        // First, because it locks the row: announcing a snapshot does the same.
        let counted = repository::Entity::update_many()
            .col_expr(repository::Column::Generation, Expr::col(repository::Column::Generation).add(1))
            .filter(repository::Column::Id.eq(what.repo.as_str()))
            .filter(repository::Column::LastSeq.eq(column(what.last.get())))
            .exec(&tx)
            .await
            .during(DOING)?;
        let open = intent::Entity::find().filter(intent::Column::RepoId.eq(what.repo.as_str())).count(&tx).await;
        if counted.rows_affected == 0 || open.during(DOING)? > 0 {
            return Err(busy("a snapshot is being taken"));
        }
        if held(&tx, what.repo).await? {
            return Err(busy("a hold stands on the repository"));
        }
        // Locked: who labels or unmarks one waits, and then finds it gone.
        let rows = leaving(what.repo, what.before).lock_exclusive().all(&tx).await.during(DOING)?;
        let still: BTreeSet<i64> = rows.iter().filter(|row| !labelled(row)).map(|row| row.seq).collect();
        if what.points.iter().any(|seq| *seq == what.last || !still.contains(&column(seq.get()))) {
            return Err(busy("a recovery point is kept after all"));
        }
        forget(&tx, what.repo, what.points).await?;
        for point in what.retold {
            retell(&tx, what.repo, point).await?;
        }
        tx.commit().await.during(DOING)
    }

    /// Takes over a consolidated snapshot that the vault holds and that has been checked; the objects that it stands for
    /// are condemned in the same transaction. To say it twice changes nothing.
    pub async fn consolidated(&self, repo: &RepoId, span: &StoredSpan, superseded: &[(String, u64)]) -> Result<()> {
        const DOING: &str = "recording a consolidated snapshot";
        let tx = self.begin(DOING).await?;
        spans::put(&tx, repo, span).await?;
        let why = format!("{} are one object now", span.extent);
        let at = now();
        let rows = superseded.iter().map(|(object, bytes)| condemned::ActiveModel {
            object: Set(object.clone()),
            repo_id: Set(repo.to_string()),
            bytes: Set(column(*bytes)),
            why: Set(why.clone()),
            condemned_at: Set(at),
            list: Set(None),
            deleted_at: Set(None),
        });
        for row in rows {
            let known = OnConflict::column(condemned::Column::Object).do_nothing().to_owned();
            let insert = condemned::Entity::insert(row).on_conflict(known);
            tx.execute(&insert.into_query()).await.during(DOING)?;
        }
        tx.commit().await.during(DOING)
    }

    /// Takes `bytes` from what compaction may read and write today, all processes together. `false`: not today. The first of
    /// a day always may, however large: otherwise it never could.
    pub async fn spend_on_compaction(&self, bytes: u64, per_day: u64) -> Result<bool> {
        const DOING: &str = "asking whether compaction may go on today";
        let tx = self.begin(DOING).await?;
        let today = Utc::now().date_naive().to_string();
        let none = fact::ActiveModel {
            name: Set(BUDGET.to_owned()),
            value: Set(json!({ "day": today, "bytes": 0 })),
            at: Set(now()),
        };
        // Writes the row, and so locks it.
        let lock = OnConflict::column(fact::Column::Name).update_column(fact::Column::At).to_owned();
        let insert = fact::Entity::insert(none).on_conflict(lock);
        tx.execute(&insert.into_query()).await.during(DOING)?;
        let row = fact::Entity::find_by_id(BUDGET).one(&tx).await.during(DOING)?;
        let spent = row.filter(|row| row.value["day"] == today.as_str());
        let spent = spent.and_then(|row| row.value["bytes"].as_u64()).unwrap_or(0);
        let sum = spent.saturating_add(bytes);
        if spent > 0 && sum > per_day {
            return Ok(false);
        }
        fact::Entity::update_many()
            .col_expr(fact::Column::Value, Expr::val(json!({ "day": today, "bytes": sum })))
            .filter(fact::Column::Name.eq(BUDGET))
            .exec(&tx)
            .await
            .during(DOING)?;
        tx.commit().await.during(DOING)?;
        Ok(true)
    }

    /// Objects that wait to be deleted, those condemned first coming first.
    pub async fn condemned(&self) -> Result<Vec<Condemned>> {
        let rows = condemned::Entity::find()
            .filter(condemned::Column::DeletedAt.is_null())
            .order_by_asc(condemned::Column::CondemnedAt)
            .order_by_asc(condemned::Column::Object)
            .all(&self.read)
            .await;
        rows.during("listing what is condemned")?.into_iter().map(Condemned::try_from).collect()
    }

    /// Names of everything of a repository that was ever condemned.
    pub async fn condemned_of(&self, repo: &RepoId) -> Result<BTreeSet<String>> {
        let rows: Vec<String> = condemned::Entity::find()
            .select_only()
            .column(condemned::Column::Object)
            .filter(condemned::Column::RepoId.eq(repo.as_str()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("listing what is condemned")?;
        Ok(rows.into_iter().collect())
    }

    /// Remembers the list in the vault that names these objects.
    pub async fn listed(&self, objects: &[String], list: &str) -> Result<()> {
        self.update_condemned(objects, condemned::Column::List, Expr::val(list)).await
    }

    /// They are gone from the store.
    pub async fn deleted(&self, objects: &[String]) -> Result<()> {
        self.update_condemned(objects, condemned::Column::DeletedAt, Expr::val(now())).await
    }

    async fn update_condemned(&self, objects: &[String], what: condemned::Column, value: Expr) -> Result<()> {
        for objects in objects.chunks(1000) {
            condemned::Entity::update_many()
                .col_expr(what, value.clone())
                .filter(condemned::Column::Object.is_in(objects))
                .exec(&self.write)
                .await
                .during("recording what became of condemned objects")?;
        }
        Ok(())
    }
}

async fn held(db: &impl ConnectionTrait, repo: &RepoId) -> Result<bool> {
    let standing =
        hold::Entity::find().filter(hold::Column::RepoId.eq(repo.as_str())).filter(hold::Column::LiftedAt.is_null());
    Ok(standing.count(db).await.during("looking for holds")? > 0)
}

fn leaving(repo: &RepoId, before: DateTime<Utc>) -> sea_orm::Select<snapshot::Entity> {
    snapshot::Entity::find()
        .filter(snapshot::Column::RepoId.eq(repo.as_str()))
        .filter(snapshot::Column::LeavingAt.lte(before.timestamp_millis()))
}

fn labelled(row: &snapshot::Model) -> bool {
    row.labels.as_ref().and_then(serde_json::Value::as_array).is_some_and(|labels| !labels.is_empty())
}

async fn forget(tx: &DatabaseTransaction, repo: &RepoId, points: &BTreeSet<Seq>) -> Result<()> {
    const DOING: &str = "dropping recovery points";
    let numbers: Vec<i64> = points.iter().map(|seq| column(seq.get())).collect();
    for numbers in numbers.chunks(1000) {
        snapshot::Entity::delete_many()
            .filter(snapshot::Column::RepoId.eq(repo.as_str()))
            .filter(snapshot::Column::Seq.is_in(numbers.iter().copied()))
            .exec(tx)
            .await
            .during(DOING)?;
        ref_change::Entity::delete_many()
            .filter(ref_change::Column::RepoId.eq(repo.as_str()))
            .filter(ref_change::Column::Seq.is_in(numbers.iter().copied()))
            .exec(tx)
            .await
            .during(DOING)?;
    }
    Ok(())
}

/// Puts other moves in the place of a point's own.
async fn retell(tx: &DatabaseTransaction, repo: &RepoId, point: Retold) -> Result<()> {
    const DOING: &str = "dropping recovery points";
    let at = column(point.seq.get());
    ref_change::Entity::delete_many()
        .filter(ref_change::Column::RepoId.eq(repo.as_str()))
        .filter(ref_change::Column::Seq.eq(at))
        .exec(tx)
        .await
        .during(DOING)?;
    let counts = RefCounts::of(&point.changes, 0);
    let rows = point.changes.into_iter().map(|change| ref_change::ActiveModel {
        repo_id: Set(repo.to_string()),
        seq: Set(at),
        old: Set(change.old.as_ref().map(bytes)),
        new: Set(change.new.as_ref().map(bytes)),
        forced: Set(change.forced),
        actor: Set(point.actors.get(&change.name).map(|actor| actor.0.clone())),
        name: Set(change.name.into()),
    });
    insert_all(tx, rows, 7).await.during(DOING)?;
    snapshot::Entity::update_many()
        .col_expr(snapshot::Column::RefsCreated, column(counts.created).into())
        .col_expr(snapshot::Column::RefsUpdated, column(counts.updated).into())
        .col_expr(snapshot::Column::RefsDeleted, column(counts.deleted).into())
        .col_expr(snapshot::Column::RefsForced, column(counts.forced).into())
        .filter(snapshot::Column::RepoId.eq(repo.as_str()))
        .filter(snapshot::Column::Seq.eq(at))
        .exec(tx)
        .await
        .during(DOING)
        .map(drop)
}

fn busy(why: &str) -> Error {
    Error::new(Kind::Busy { retry_after: Some(LATER) }, format!("recovery points cannot be dropped now: {why}"))
}

fn number(column: i64) -> Result<Seq> {
    Seq::new(count(column)).ok_or_else(|| unreadable("a snapshot's number", column))
}

impl TryFrom<condemned::Model> for Condemned {
    type Error = Error;

    fn try_from(row: condemned::Model) -> Result<Self> {
        Ok(Self {
            object: row.object,
            repo: row.repo_id.parse()?,
            bytes: count(row.bytes),
            why: row.why,
            condemned_at: time(row.condemned_at),
            list: row.list,
        })
    }
}
