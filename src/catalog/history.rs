//! Looking back: snapshots, the journal of references, and where they pointed at any time.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use crate::domain::{
    Actor, Error, ObjectId, Point, RefChange, RefCounts, RefName, RefState, RepoId, Result, Seq, Skipped, Snapshot,
};

use super::Catalog;
use super::error::{During, unreadable};
use super::snapshots::object_format;
use super::tables::{ref_change, repository, snapshot};
use super::values::{bytes, column, count, head, object_id, object_id_or_none, sha256, time};

/// One move of one reference.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEntry {
    /// The snapshot that recorded it.
    pub seq: Seq,
    /// When that was taken.
    pub time: DateTime<Utc>,
    /// What moved.
    pub change: RefChange,
    /// Who moved it, where the deliveries say.
    pub actor: Option<Actor>,
}

impl Catalog {
    /// The repository's snapshots, oldest first.
    pub async fn snapshots(&self, repo: &RepoId) -> Result<Vec<Snapshot>> {
        let rows = snapshot::Entity::find()
            .filter(snapshot::Column::RepoId.eq(repo.as_str()))
            .order_by_asc(snapshot::Column::Seq)
            .all(&self.read)
            .await;
        rows.during("listing the snapshots")?.into_iter().map(Snapshot::try_from).collect()
    }

    /// One of the repository's snapshots.
    pub async fn snapshot(&self, repo: &RepoId, seq: Seq) -> Result<Snapshot> {
        self.snapshot_at(repo, Some(Point::Seq(seq))).await?.try_into()
    }

    /// SHA-256 of the repository's sealed objects, oldest first.
    pub async fn sealed(&self, repo: &RepoId) -> Result<Vec<(Seq, [u8; 32])>> {
        let rows: Vec<(i64, Vec<u8>)> = snapshot::Entity::find()
            .select_only()
            .columns([snapshot::Column::Seq, snapshot::Column::Sealed])
            .filter(snapshot::Column::RepoId.eq(repo.as_str()))
            .order_by_asc(snapshot::Column::Seq)
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading the checksums of the snapshots")?;
        rows.into_iter().map(|(number, sealed)| Ok((seq(number)?, sha256(&sealed)?))).collect()
    }

    /// Every move of one reference, or of all, oldest first.
    pub async fn journal(&self, repo: &RepoId, of: Option<&RefName>) -> Result<Vec<JournalEntry>> {
        const DOING: &str = "reading the journal of references";
        let mut moves = ref_change::Entity::find().filter(ref_change::Column::RepoId.eq(repo.as_str()));
        if let Some(name) = of {
            moves = moves.filter(ref_change::Column::Name.eq(name.as_str()));
        }
        let moves = moves
            .order_by_asc(ref_change::Column::Seq)
            .order_by_asc(ref_change::Column::Name)
            .all(&self.read)
            .await
            .during(DOING)?;
        let times: Vec<(i64, i64)> = snapshot::Entity::find()
            .select_only()
            .columns([snapshot::Column::Seq, snapshot::Column::Time])
            .filter(snapshot::Column::RepoId.eq(repo.as_str()))
            .order_by_asc(snapshot::Column::Seq)
            .into_tuple()
            .all(&self.read)
            .await
            .during(DOING)?;
        moves.into_iter().map(|row| entry(row, &times)).collect()
    }

    /// Where every reference pointed after a snapshot; `None`: after the newest one.
    pub async fn refs_at(&self, repo: &RepoId, at: Option<Point>) -> Result<(Seq, RefState)> {
        const DOING: &str = "reading where the references pointed";
        let at = self.snapshot_at(repo, at).await?;
        let row = repository::Entity::find_by_id(repo.as_str()).one(&self.read).await.during(DOING)?;
        let mut state = RefState {
            object_format: object_format(row.and_then(|row| row.object_format).as_deref())?,
            head: head(at.head.as_deref())?,
            ..RefState::default()
        };
        let latest = Query::select()
            .expr(Expr::col(("later", ref_change::Column::Seq)).max())
            .from_as(ref_change::Entity, "later")
            .and_where(Expr::col(("later", ref_change::Column::RepoId)).eq(repo.as_str()))
            .and_where(Expr::col(("later", ref_change::Column::Name)).equals(ref_change::Column::Name.as_column_ref()))
            .and_where(Expr::col(("later", ref_change::Column::Seq)).lte(at.seq))
            .take();
        let moves: Vec<(String, Option<Vec<u8>>)> = ref_change::Entity::find()
            .select_only()
            .columns([ref_change::Column::Name, ref_change::Column::New])
            .filter(ref_change::Column::RepoId.eq(repo.as_str()))
            .filter(ref_change::Column::Seq.in_subquery(latest))
            .filter(ref_change::Column::New.is_not_null())
            .into_tuple()
            .all(&self.read)
            .await
            .during(DOING)?;
        for (name, new) in moves {
            if let Some(new) = object_id_or_none(new.as_deref())? {
                state.refs.insert(ref_name(&name)?, new);
            }
        }
        Ok((seq(at.seq)?, state))
    }

    async fn snapshot_at(&self, repo: &RepoId, at: Option<Point>) -> Result<snapshot::Model> {
        const DOING: &str = "looking for the snapshot";
        let all = snapshot::Entity::find().filter(snapshot::Column::RepoId.eq(repo.as_str()));
        let wanted = match at {
            None => all.clone(),
            Some(Point::Seq(seq)) => all.clone().filter(snapshot::Column::Seq.eq(column(seq.get()))),
            Some(Point::Time(time)) => all.clone().filter(snapshot::Column::Time.lte(time.timestamp_millis())),
        };
        let found = wanted.order_by_desc(snapshot::Column::Seq).one(&self.read).await.during(DOING)?;
        if let Some(found) = found {
            return Ok(found);
        }
        let first = all.clone().order_by_asc(snapshot::Column::Seq).one(&self.read).await.during(DOING)?;
        let last = all.order_by_desc(snapshot::Column::Seq).one(&self.read).await.during(DOING)?;
        let Some((first, last)) = first.zip(last) else {
            return Err(Error::not_found("this repository has no snapshot yet").hint("`refward backup` takes one"));
        };
        let told = |at: i64| time(at).format("%Y-%m-%d %H:%M:%S UTC");
        let missing = match at {
            Some(Point::Time(at)) => format!("there was no snapshot yet at {}", told(at.timestamp_millis())),
            Some(Point::Seq(seq)) => format!("there is no snapshot {seq}"),
            None => "there is no snapshot".to_owned(),
        };
        Err(Error::not_found(missing).hint(format!(
            "the first is {} of {}, the newest is {} of {}",
            first.seq,
            told(first.time),
            last.seq,
            told(last.time)
        )))
    }

    /// Those of `ids` that any reference pointed at in any snapshot: the vault holds them and all they reach.
    pub async fn known_tips(&self, repo: &RepoId, ids: &[ObjectId]) -> Result<HashSet<ObjectId>> {
        const DOING: &str = "looking for known tips";
        let mut known = HashSet::new();
        for chunk in ids.chunks(1000) {
            let ids = || chunk.iter().map(bytes);
            let ever: Vec<Vec<u8>> = ref_change::Entity::find()
                .select_only()
                .column(ref_change::Column::New)
                .distinct()
                .filter(ref_change::Column::RepoId.eq(repo.as_str()))
                .filter(ref_change::Column::New.is_in(ids()))
                .into_tuple()
                .all(&self.read)
                .await
                .during(DOING)?;
            for id in ever {
                known.insert(object_id(&id)?);
            }
        }
        Ok(known)
    }

    /// The tips that references moved to last, newest first.
    pub async fn recent_tips(&self, repo: &RepoId, limit: u64) -> Result<Vec<ObjectId>> {
        let rows: Vec<Vec<u8>> = ref_change::Entity::find()
            .select_only()
            .column(ref_change::Column::New)
            .filter(ref_change::Column::RepoId.eq(repo.as_str()))
            .filter(ref_change::Column::New.is_not_null())
            .order_by_desc(ref_change::Column::Seq)
            .limit(limit)
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for recent tips")?;
        let mut seen = HashSet::new();
        let tips = rows.iter().map(|id| object_id(id)).collect::<Result<Vec<_>>>()?;
        Ok(tips.into_iter().filter(|id| seen.insert(*id)).collect())
    }
}

fn entry(row: ref_change::Model, times: &[(i64, i64)]) -> Result<JournalEntry> {
    let recorded = times.binary_search_by_key(&row.seq, |(seq, _)| *seq).map(|at| times[at].1);
    Ok(JournalEntry {
        seq: seq(row.seq)?,
        time: time(recorded.unwrap_or_default()),
        change: RefChange {
            name: ref_name(&row.name)?,
            old: object_id_or_none(row.old.as_deref())?,
            new: object_id_or_none(row.new.as_deref())?,
            forced: row.forced,
        },
        actor: row.actor.map(Actor),
    })
}

fn labels(column: Option<serde_json::Value>) -> Result<Vec<String>> {
    let labels = column.map(serde_json::from_value).transpose();
    labels.map(Option::unwrap_or_default).map_err(|error| unreadable("the labels of a snapshot", error))
}

fn seq(number: i64) -> Result<Seq> {
    Seq::new(count(number)).ok_or_else(|| unreadable("a snapshot's number", number))
}

fn ref_name(text: &str) -> Result<RefName> {
    text.parse().map_err(|error| unreadable("a reference name", error))
}

/// What a snapshot's row says is missing from it.
pub(super) fn missing(column: Option<Value>) -> Result<Vec<Skipped>> {
    let listed = column.map(serde_json::from_value).transpose();
    Ok(listed.map_err(|error| unreadable("what a snapshot lacks", error))?.unwrap_or_default())
}

impl TryFrom<snapshot::Model> for Snapshot {
    type Error = Error;

    fn try_from(row: snapshot::Model) -> Result<Self> {
        Ok(Self {
            seq: seq(row.seq)?,
            time: time(row.time),
            trigger: serde_json::from_value(row.trigger).map_err(|error| unreadable("a snapshot's trigger", error))?,
            complete: row.complete,
            missing: missing(row.skipped)?,
            refs: RefCounts {
                total: count(row.refs_total),
                created: count(row.refs_created),
                updated: count(row.refs_updated),
                deleted: count(row.refs_deleted),
                forced: count(row.refs_forced),
            },
            objects: count(row.objects),
            pack_bytes: count(row.pack_bytes),
            stored_bytes: count(row.stored_bytes),
            duration: Duration::from_millis(count(row.duration_ms)),
            labels: labels(row.labels)?,
            leaving_at: row.leaving_at.map(time),
        })
    }
}
