//! Snapshots: where a repository's chain stands, and adding to it.
//!
//! An intent is written before the vault is, so that after a crash the next worker finds the record that may already be
//! there, even in a deployment that cannot read its own vault. The commit here follows the one in the vault.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, ExprTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set, Statement,
};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::{
    Actor, Error, Head, Kind, ObjectFormat, ObjectId, RefChange, RefName, RefState, RepoId, Result, Seq, Skipped,
    Snapshot,
};

use super::error::{During, unreadable};
use super::history;
use super::tables::{current_ref, event, intent, ref_change, repository, snapshot};
use super::values::{bytes, column, count, head, now, sha256};
use super::{Catalog, Lease, NewAlarm, alarms, insert_all, queue};

/// Where a repository's chain stands.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncState {
    /// The newest snapshot: the next record's parent.
    pub last: Option<LastSnapshot>,
    /// Every reference after it.
    pub refs: RefState,
    /// What it lacks.
    pub missing: Vec<Skipped>,
    /// Records since the last one with a full list of references.
    pub records_since_checkpoint: u64,
    /// Reference changes in those records.
    pub changes_since_checkpoint: u64,
    /// Of the answer in which the forge listed these references.
    pub fingerprint: Option<[u8; 32]>,
    /// Counts up when recovery points are dropped, and with them tips that the vault held until then.
    pub generation: i64,
}

/// A snapshot as the one after it names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSnapshot {
    /// Its number.
    pub seq: Seq,
    /// SHA-256 of its sealed object.
    pub sha256: [u8; 32],
    /// Length of its sealed object.
    pub bytes: u64,
}

/// A snapshot that the vault holds, for the catalog to take over.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Whose.
    pub repo: RepoId,
    /// What listings show. Its number must follow the newest one's.
    pub snapshot: Snapshot,
    /// SHA-256 of the sealed object.
    pub sealed: [u8; 32],
    /// What moved.
    pub changes: Vec<RefChange>,
    /// Who moved it, where the deliveries say.
    pub actors: BTreeMap<RefName, Actor>,
    /// After the snapshot.
    pub head: Option<Head>,
    /// The hash that the repository uses.
    pub object_format: ObjectFormat,
    /// Of the answer that listed all references; `None` when only some were asked for.
    pub fingerprint: Option<[u8; 32]>,
    /// The record has a full list of references.
    pub checkpoint: bool,
    /// The events that this snapshot answers.
    pub handled_events: Vec<i64>,
    /// Since the oldest of these arrived. `None`: no event asked for it.
    pub lag: Option<Duration>,
    /// The job that is done with it, in the same transaction, because each costs a sync of the disk.
    pub finishes: Option<Lease>,
    /// What people must be told of it: never without the snapshot, nor that without them.
    pub alarms: Vec<NewAlarm>,
}

/// A snapshot that is about to be written to the vault.
#[derive(Clone, Copy)]
pub struct Intent<'a> {
    /// Whose.
    pub repo: &'a RepoId,
    /// Which.
    pub seq: Seq,
    /// Its record, as JSON, to finish from after a crash.
    pub record: &'a str,
    /// [`SyncState::generation`] that it was prepared under.
    pub generation: i64,
}

impl Catalog {
    /// Where the repository's chain stands.
    pub async fn sync_state(&self, repo: &RepoId) -> Result<SyncState> {
        const DOING: &str = "reading where the repository's chain stands";
        let row = repository::Entity::find_by_id(repo.as_str()).one(&self.read).await.during(DOING)?;
        let row = row.ok_or_else(|| Error::not_found(format!("there is no repository {repo} in the catalog")))?;
        // Read after the row: if a commit comes between the two, ours is refused because its number is taken.
        let refs = RefState {
            object_format: object_format(row.object_format.as_deref())?,
            head: head(row.head.as_deref())?,
            refs: self.current_refs(repo).await?,
        };
        let last = Seq::new(count(row.last_seq)).zip(row.last_sealed.as_deref()).map(|(seq, sealed)| {
            Ok::<_, Error>(LastSnapshot { seq, sha256: sha256(sealed)?, bytes: count(row.last_stored_bytes) })
        });
        Ok(SyncState {
            last: last.transpose()?,
            refs,
            missing: self.missing_after(repo, row.last_seq).await?,
            records_since_checkpoint: count(row.records_since_checkpoint),
            changes_since_checkpoint: count(row.changes_since_checkpoint),
            fingerprint: row.refs_fingerprint.as_deref().map(sha256).transpose()?,
            generation: row.generation,
        })
    }

    /// What the newest snapshot lacks.
    pub async fn lacking(&self, repo: &RepoId) -> Result<Vec<Skipped>> {
        match self.last_seq(repo).await? {
            Some(seq) => self.missing_after(repo, column(seq.get())).await,
            None => Ok(Vec::new()),
        }
    }

    async fn missing_after(&self, repo: &RepoId, seq: i64) -> Result<Vec<Skipped>> {
        let found: Option<Option<Value>> = snapshot::Entity::find()
            .select_only()
            .column(snapshot::Column::Skipped)
            .filter(snapshot::Column::RepoId.eq(repo.as_str()))
            .filter(snapshot::Column::Seq.eq(seq))
            .into_tuple()
            .one(&self.read)
            .await
            .during("reading what the newest snapshot lacks")?;
        history::missing(found.flatten())
    }

    /// As one row of lines: each row is handed from SQLite's thread to ours, and where there are a thousand of them that
    /// costs more than all else.
    async fn current_refs(&self, repo: &RepoId) -> Result<BTreeMap<RefName, ObjectId>> {
        const DOING: &str = "reading a repository's references";
        let database = self.read.get_database_backend();
        let lines = match database {
            DbBackend::Postgres => "string_agg(encode(oid, 'hex') || ' ' || name, chr(10))",
            _ => "group_concat(lower(hex(oid)) || ' ' || name, char(10))",
        };
        let sql = format!("SELECT {lines} FROM current_ref WHERE repo_id = $1");
        let found = Statement::from_sql_and_values(database, sql, [repo.as_str().into()]);
        let row = self.read.query_one_raw(found).await.during(DOING)?;
        let lines = row.map(|row| row.try_get_by_index::<Option<String>>(0)).transpose().during(DOING)?.flatten();
        let read = |line: &str| -> Option<(RefName, ObjectId)> {
            let (id, name) = line.split_once(' ')?;
            Some((name.parse().ok()?, id.parse().ok()?))
        };
        let lines = lines.unwrap_or_default();
        lines.lines().map(|line| read(line).ok_or_else(|| unreadable("a reference", line))).collect()
    }

    /// The number of the newest snapshot.
    pub async fn last_seq(&self, repo: &RepoId) -> Result<Option<Seq>> {
        let found: Option<i64> = repository::Entity::find_by_id(repo.as_str())
            .select_only()
            .column(repository::Column::LastSeq)
            .into_tuple()
            .one(&self.read)
            .await
            .during("looking for the newest snapshot")?;
        Ok(found.and_then(|number| Seq::new(count(number))))
    }

    /// The fingerprint alone: enough to see that nothing changed, without reading every reference.
    pub async fn fingerprint(&self, repo: &RepoId) -> Result<Option<[u8; 32]>> {
        let found: Option<Option<Vec<u8>>> = repository::Entity::find_by_id(repo.as_str())
            .select_only()
            .column(repository::Column::RefsFingerprint)
            .into_tuple()
            .one(&self.read)
            .await
            .during("reading a fingerprint")?;
        found.flatten().as_deref().map(sha256).transpose()
    }

    /// Announces that a snapshot is about to be written to the vault, and keeps the job for another `length`: one
    /// transaction, because each costs a sync of the disk. `false` when the job was given to another worker meanwhile;
    /// then nothing is announced. `Busy` when recovery points were dropped since the snapshot was prepared: it may lean on
    /// objects that are about to go.
    pub async fn intend(&self, lease: &Lease, length: Duration, intent: Intent<'_>) -> Result<bool> {
        const DOING: &str = "announcing the snapshot";
        let tx = self.begin(DOING).await?;
        if !queue::renew(&tx, lease, length).await? {
            return Ok(false);
        }
        // Writes the row, and so locks it, although nothing changes: dropping points does the same first.
        let still = repository::Entity::update_many()
            .col_expr(repository::Column::Generation, intent.generation.into())
            .filter(repository::Column::Id.eq(intent.repo.as_str()))
            .filter(repository::Column::Generation.eq(intent.generation));
        if still.exec(&tx).await.during(DOING)?.rows_affected == 0 {
            let again = Kind::Busy { retry_after: Some(Duration::ZERO) };
            return Err(Error::new(again, "recovery points were dropped while this one was prepared; starting again"));
        }
        let row = intent::ActiveModel {
            repo_id: Set(intent.repo.to_string()),
            seq: Set(column(intent.seq.get())),
            attempt: Set(Uuid::new_v4()),
            record: Set(intent.record.to_owned()),
            created_at: Set(now()),
        };
        row.insert(&tx).await.during(DOING)?;
        tx.commit().await.during(DOING)?;
        Ok(true)
    }

    /// The records of attempts at this number that were not committed, oldest first.
    pub async fn intents(&self, repo: &RepoId, seq: Seq) -> Result<Vec<String>> {
        let rows = intent::Entity::find()
            .filter(intent::Column::RepoId.eq(repo.as_str()))
            .filter(intent::Column::Seq.eq(column(seq.get())))
            .order_by_asc(intent::Column::CreatedAt)
            .all(&self.read)
            .await
            .during("looking for unfinished snapshots")?;
        Ok(rows.into_iter().map(|row| row.record).collect())
    }

    /// Takes over a snapshot that the vault holds, all or nothing. `Busy` when another worker was quicker.
    pub async fn commit(&self, mut commit: Commit) -> Result<()> {
        const DOING: &str = "recording the snapshot";
        let tx = self.begin(DOING).await?;
        let told = std::mem::take(&mut commit.alarms);
        let before = commit.snapshot.seq.previous().map_or(0, Seq::get);
        let follows = Expr::col(repository::Column::LastSeq).eq(column(before));
        if !write(&tx, commit, follows).await? {
            return Err(Error::busy("another worker recorded a snapshot of this repository in the meantime"));
        }
        for alarm in told {
            alarms::announce(&tx, &self.subscribers, alarm).await?;
        }
        tx.commit().await.during(DOING)
    }
}

/// Writes all of it if the repository's row meets `guard`; says whether it did.
pub(super) async fn write(tx: &DatabaseTransaction, commit: Commit, guard: Expr) -> Result<bool> {
    const DOING: &str = "recording the snapshot";
    let seq = column(commit.snapshot.seq.get());
    if !advance(tx, &commit, guard).await? {
        return Ok(false);
    }
    snapshot::Entity::insert(row(&commit)).exec_without_returning(tx).await.during(DOING)?;
    intent::Entity::delete_many()
        .filter(intent::Column::RepoId.eq(commit.repo.as_str()))
        .filter(intent::Column::Seq.lte(seq))
        .exec(tx)
        .await
        .during(DOING)?;
    move_refs(tx, &commit.repo, &commit.changes).await?;
    let journal = commit.changes.into_iter().map(|change| ref_change::ActiveModel {
        repo_id: Set(commit.repo.to_string()),
        seq: Set(seq),
        old: Set(change.old.as_ref().map(bytes)),
        new: Set(change.new.as_ref().map(bytes)),
        forced: Set(change.forced),
        actor: Set(commit.actors.get(&change.name).map(|actor| actor.0.clone())),
        name: Set(change.name.into()),
    });
    insert_all(tx, journal, 7).await.during(DOING)?;
    mark_handled(tx, &commit.handled_events, Some(commit.snapshot.seq)).await?;
    if let Some(job) = &commit.finishes {
        queue::finish(tx, job).await?;
    }
    Ok(true)
}

async fn advance(tx: &DatabaseTransaction, commit: &Commit, guard: Expr) -> Result<bool> {
    use repository::Column;

    let since = |so_far: Column, more: i64| {
        if commit.checkpoint { Expr::val(0) } else { Expr::col(so_far).add(more) }
    };
    let changes = column(commit.changes.len() as u64);
    let mut update = repository::Entity::update_many()
        .col_expr(Column::LastSeq, column(commit.snapshot.seq.get()).into())
        .col_expr(Column::LastSealed, commit.sealed.to_vec().into())
        .col_expr(Column::LastStoredBytes, column(commit.snapshot.stored_bytes).into())
        .col_expr(Column::RefsFingerprint, commit.fingerprint.map(Vec::from).into())
        .col_expr(Column::ObjectFormat, commit.object_format.name().into())
        .col_expr(Column::Head, commit.head.as_ref().map(Head::to_string).into())
        .col_expr(Column::RefsTotal, column(commit.snapshot.refs.total).into())
        .col_expr(Column::RecordsSinceCheckpoint, since(Column::RecordsSinceCheckpoint, 1))
        .col_expr(Column::ChangesSinceCheckpoint, since(Column::ChangesSinceCheckpoint, changes))
        .col_expr(Column::LastSnapshotAt, commit.snapshot.time.timestamp_millis().into())
        .col_expr(Column::LastError, Option::<String>::None.into())
        .col_expr(Column::LastErrorAt, Option::<i64>::None.into())
        .filter(Column::Id.eq(commit.repo.as_str()))
        .filter(guard);
    if commit.fingerprint.is_some() {
        update = update.col_expr(Column::LastCheckedAt, now().into());
    }
    let updated = update.exec(tx).await;
    Ok(updated.during("recording the snapshot")?.rows_affected == 1)
}

fn row(commit: &Commit) -> snapshot::ActiveModel {
    let Snapshot { seq, time, trigger, complete, missing, refs, objects, pack_bytes, stored_bytes, duration, .. } =
        &commit.snapshot;
    snapshot::ActiveModel {
        repo_id: Set(commit.repo.to_string()),
        seq: Set(column(seq.get())),
        time: Set(time.timestamp_millis()),
        trigger: Set(serde_json::to_value(trigger).unwrap_or(Value::Null)),
        complete: Set(*complete),
        skipped: Set((!missing.is_empty()).then(|| serde_json::to_value(missing).unwrap_or(Value::Null))),
        refs_total: Set(column(refs.total)),
        refs_created: Set(column(refs.created)),
        refs_updated: Set(column(refs.updated)),
        refs_deleted: Set(column(refs.deleted)),
        refs_forced: Set(column(refs.forced)),
        objects: Set(column(*objects)),
        pack_bytes: Set(column(*pack_bytes)),
        stored_bytes: Set(column(*stored_bytes)),
        sealed: Set(commit.sealed.to_vec()),
        duration_ms: Set(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        checkpoint: Set(commit.checkpoint),
        head: Set(commit.head.as_ref().map(Head::to_string)),
        lag_ms: Set(commit.lag.map(|lag| i64::try_from(lag.as_millis()).unwrap_or(i64::MAX))),
        ..Default::default()
    }
}

async fn move_refs(tx: &DatabaseTransaction, repo: &RepoId, changes: &[RefChange]) -> Result<()> {
    const DOING: &str = "recording where the references point";
    let deleted: Vec<&str> =
        changes.iter().filter(|change| change.new.is_none()).map(|change| change.name.as_str()).collect();
    for names in deleted.chunks(1000) {
        current_ref::Entity::delete_many()
            .filter(current_ref::Column::RepoId.eq(repo.as_str()))
            .filter(current_ref::Column::Name.is_in(names.iter().copied()))
            .exec(tx)
            .await
            .during(DOING)?;
    }
    let moved: Vec<_> = changes.iter().filter_map(|change| change.new.map(|new| (&change.name, new))).collect();
    for chunk in moved.chunks(5000) {
        let rows = chunk.iter().map(|(name, new)| current_ref::ActiveModel {
            repo_id: Set(repo.to_string()),
            name: Set(name.to_string()),
            oid: Set(bytes(new)),
        });
        let moved = OnConflict::columns([current_ref::Column::RepoId, current_ref::Column::Name])
            .update_column(current_ref::Column::Oid)
            .to_owned();
        let insert = current_ref::Entity::insert_many(rows).on_conflict(moved);
        tx.execute(&insert.into_query()).await.during(DOING)?;
    }
    Ok(())
}

/// Marks events as dealt with.
pub(super) async fn mark_handled(db: &impl ConnectionTrait, events: &[i64], by: Option<Seq>) -> Result<()> {
    for ids in events.chunks(1000) {
        event::Entity::update_many()
            .col_expr(event::Column::HandledAt, now().into())
            .col_expr(event::Column::HandledSeq, by.map(|seq| column(seq.get())).into())
            .filter(event::Column::Id.is_in(ids.iter().copied()))
            .filter(event::Column::HandledAt.is_null())
            .exec(db)
            .await
            .during("marking events as handled")?;
    }
    Ok(())
}

pub(super) fn object_format(text: Option<&str>) -> Result<ObjectFormat> {
    let format = text.map(str::parse).transpose().map_err(|error| unreadable("an object format", error))?;
    Ok(format.unwrap_or_default())
}
