//! Proofs: drills and verifications with their signed reports, and when each object of the vault was last read.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Set,
};
use serde_json::Value;

use crate::domain::policy::{Drill, Policy};
use crate::domain::{Extent, ProofKind, RepoId, Report, Result, Seq};

use super::error::{During, unreadable};
use super::repositories::repo_id;
use super::tables::{job, policy, proof, reading, repository, snapshot, span};
use super::values::{column, count, now, time};
use super::{Catalog, StoredSpan};

/// A proof, passed or failed.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProof {
    /// The report, as the canonical text says it.
    pub report: Report,
    /// [`Report::canonical`], as it was signed.
    pub text: String,
    /// Ed25519 over the text.
    pub signature: Vec<u8>,
}

/// How a repository's proofs stand, without their reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The newest drill: when it began, and whether it was passed.
    pub last_drill: Option<(DateTime<Utc>, bool)>,
    /// When the newest passed drill began.
    pub passed_at: Option<DateTime<Utc>>,
    /// When objects were found damaged or missing; `None`: not, or they were read again since and are right.
    pub damaged_at: Option<DateTime<Utc>>,
}

/// Of the objects that were read to their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadSoFar {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the one was read that was not read again for the longest time.
    pub oldest: Option<DateTime<Utc>>,
}

/// An object that was read to its end and found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its name in the vault.
    pub object: String,
    /// Whose.
    pub repo: RepoId,
    /// Its length.
    pub bytes: u64,
}

impl Catalog {
    /// Keeps a proof.
    pub async fn put_proof(&self, report: &Report, text: &str, signature: &[u8]) -> Result<()> {
        let row = proof::ActiveModel {
            repo_id: Set(report.repo.to_string()),
            kind: Set(report.kind.word().to_owned()),
            seq: Set(report.snapshot.as_ref().map(|snapshot| column(snapshot.seq.get()))),
            started_at: Set(report.started_at.timestamp_millis()),
            duration_ms: Set(column(report.duration_ms)),
            passed: Set(report.passed),
            bytes: Set(column(report.read.bytes)),
            report: Set(text.to_owned()),
            signature: Set(signature.to_vec()),
            ..Default::default()
        };
        row.insert(&self.write).await.map(drop).during("keeping a proof")
    }

    /// Proofs of one repository or of all that began since then, oldest first.
    pub async fn proofs(&self, repo: Option<&RepoId>, since: DateTime<Utc>) -> Result<Vec<StoredProof>> {
        let mut found = proof::Entity::find().filter(proof::Column::StartedAt.gte(since.timestamp_millis()));
        if let Some(repo) = repo {
            found = found.filter(proof::Column::RepoId.eq(repo.as_str()));
        }
        let rows = found.order_by_asc(proof::Column::StartedAt).order_by_asc(proof::Column::Id).all(&self.read).await;
        rows.during("reading the proofs")?.into_iter().map(StoredProof::try_from).collect()
    }

    /// The newest verification of a repository.
    pub async fn last_verification(&self, repo: &RepoId) -> Result<Option<StoredProof>> {
        let row = proof::Entity::find()
            .filter(proof::Column::RepoId.eq(repo.as_str()))
            .filter(proof::Column::Kind.eq(ProofKind::Verify.word()))
            .order_by_desc(proof::Column::StartedAt)
            .order_by_desc(proof::Column::Id)
            .one(&self.read)
            .await;
        row.during("reading the newest verification")?.map(StoredProof::try_from).transpose()
    }

    /// How the proofs of all repositories stand. One that has none is not in it.
    pub async fn standings(&self) -> Result<HashMap<RepoId, Standing>> {
        let newest = Query::select()
            .expr(Expr::col(proof::Column::StartedAt).max())
            .from(proof::Entity)
            .group_by_columns([proof::Column::RepoId, proof::Column::Kind, proof::Column::Passed])
            .take();
        // A row may meet another group's newest time by chance; the order makes that harmless.
        let rows: Vec<(String, String, i64, bool)> = proof::Entity::find()
            .select_only()
            .columns([proof::Column::RepoId, proof::Column::Kind, proof::Column::StartedAt, proof::Column::Passed])
            .filter(proof::Column::StartedAt.in_subquery(newest))
            .order_by_asc(proof::Column::StartedAt)
            .order_by_asc(proof::Column::Id)
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading how the proofs stand")?;
        let mut standings: HashMap<RepoId, Standing> = HashMap::new();
        for (repo, kind, started, passed) in rows {
            let standing = standings.entry(repo_id(&repo)?).or_default();
            let at = time(started);
            if kind == ProofKind::Drill.word() {
                standing.last_drill = Some((at, passed));
                if passed {
                    standing.passed_at = Some(at);
                }
            } else {
                standing.damaged_at = (!passed).then_some(at);
            }
        }
        Ok(standings)
    }

    /// Bytes that drills have read since then.
    pub async fn drilled_bytes(&self, since: DateTime<Utc>) -> Result<u64> {
        let read: Vec<i64> = proof::Entity::find()
            .select_only()
            .column(proof::Column::Bytes)
            .filter(proof::Column::Kind.eq(ProofKind::Drill.word()))
            .filter(proof::Column::StartedAt.gte(since.timestamp_millis()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("counting what drills have read")?;
        Ok(read.into_iter().map(count).sum())
    }

    /// What a restore of each repository reads from the vault: its live objects.
    pub async fn live_bytes(&self) -> Result<HashMap<RepoId, u64>> {
        const DOING: &str = "measuring the repositories";
        let within = Query::select()
            .expr(Expr::val(1))
            .from(span::Entity)
            .and_where(span::Column::RepoId.into_expr().equals(snapshot::Column::RepoId.as_column_ref()))
            .and_where(span::Column::FromSeq.into_expr().lte(snapshot::Column::Seq.into_expr()))
            .and_where(span::Column::ToSeq.into_expr().gte(snapshot::Column::Seq.into_expr()))
            .take();
        let singles: Vec<(String, i64)> = snapshot::Entity::find()
            .select_only()
            .column(snapshot::Column::RepoId)
            .column_as(snapshot::Column::StoredBytes.sum().cast_as("bigint"), "bytes")
            .filter(Expr::exists(within).not())
            .group_by(snapshot::Column::RepoId)
            .into_tuple()
            .all(&self.read)
            .await
            .during(DOING)?;
        let mut spans: HashMap<String, Vec<StoredSpan>> = HashMap::new();
        for row in span::Entity::find().all(&self.read).await.during(DOING)? {
            spans.entry(row.repo_id.clone()).or_default().push(row.try_into()?);
        }
        let spans = spans.into_iter().map(|(repo, spans)| {
            let (live, _) = Extent::cover(spans, |span| span.extent);
            (repo, live.iter().map(|span| span.stored_bytes).sum::<u64>())
        });
        let mut sums = HashMap::new();
        for (repo, bytes) in spans.chain(singles.into_iter().map(|(repo, bytes)| (repo, count(bytes)))) {
            *sums.entry(repo_id(&repo)?).or_default() += bytes;
        }
        Ok(sums)
    }

    /// When each of the repository's snapshots was taken.
    pub async fn snapshot_times(&self, repo: &RepoId) -> Result<HashMap<Seq, DateTime<Utc>>> {
        let rows: Vec<(i64, i64)> = snapshot::Entity::find()
            .select_only()
            .columns([snapshot::Column::Seq, snapshot::Column::Time])
            .filter(snapshot::Column::RepoId.eq(repo.as_str()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading when snapshots were taken")?;
        Ok(rows.into_iter().filter_map(|(seq, at)| Some((Seq::new(count(seq))?, time(at)))).collect())
    }

    /// Subjects of the jobs of a kind that failed and wait for their next attempt.
    pub async fn failing_jobs(&self, kind: &str) -> Result<HashSet<String>> {
        let subjects: Vec<String> = job::Entity::find()
            .select_only()
            .column(job::Column::Subject)
            .filter(job::Column::Kind.eq(kind))
            .filter(job::Column::Attempts.gt(0))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for failing jobs")?;
        Ok(subjects.into_iter().collect())
    }

    /// Forgets proofs that began before then, unless they are the newest of their kind and outcome.
    pub async fn forget_proofs(&self, before: DateTime<Utc>) -> Result<u64> {
        let newest = Query::select()
            .expr(Expr::col(proof::Column::StartedAt).max())
            .from(proof::Entity)
            .group_by_columns([proof::Column::RepoId, proof::Column::Kind, proof::Column::Passed])
            .take();
        let old = proof::Entity::delete_many()
            .filter(proof::Column::StartedAt.lt(before.timestamp_millis()))
            .filter(proof::Column::StartedAt.not_in_subquery(newest));
        Ok(old.exec(&self.write).await.during("forgetting old proofs")?.rows_affected)
    }

    /// How often the restore of each repository is to be drilled, where a policy says so.
    pub async fn drills(&self) -> Result<HashMap<RepoId, Drill>> {
        const DOING: &str = "reading how often to drill";
        let policies: Vec<(String, Value)> = policy::Entity::find()
            .select_only()
            .columns([policy::Column::Name, policy::Column::Document])
            .into_tuple()
            .all(&self.read)
            .await
            .during(DOING)?;
        let mut drills: HashMap<String, Drill> = HashMap::new();
        for (name, document) in policies {
            let policy: Policy = serde_json::from_value(document).map_err(|error| unreadable("a policy", error))?;
            drills.insert(name, policy.drill);
        }
        let assigned: Vec<(String, Option<String>)> = repository::Entity::find()
            .select_only()
            .columns([repository::Column::Id, repository::Column::Policy])
            .filter(repository::Column::Policy.is_not_null())
            .into_tuple()
            .all(&self.read)
            .await
            .during(DOING)?;
        let known = assigned.into_iter().filter_map(|(id, policy)| Some((id, *drills.get(&policy?)?)));
        known.map(|(id, drill)| Ok((repo_id(&id)?, drill))).collect()
    }

    /// When each object of the repository was last read and found right, by name.
    pub async fn readings(&self, repo: &RepoId) -> Result<HashMap<String, DateTime<Utc>>> {
        let rows: Vec<(String, i64)> = reading::Entity::find()
            .select_only()
            .columns([reading::Column::Object, reading::Column::ReadAt])
            .filter(reading::Column::RepoId.eq(repo.as_str()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading when objects were read")?;
        Ok(rows.into_iter().map(|(object, at)| (object, time(at))).collect())
    }

    /// These objects were read now and found right.
    pub async fn put_readings(&self, read: &[Reading]) -> Result<()> {
        let again = || {
            OnConflict::column(reading::Column::Object)
                .update_columns([reading::Column::Bytes, reading::Column::ReadAt])
                .to_owned()
        };
        for chunk in read.chunks(1000) {
            let rows = chunk.iter().map(|read| reading::ActiveModel {
                object: Set(read.object.clone()),
                repo_id: Set(read.repo.to_string()),
                bytes: Set(column(read.bytes)),
                read_at: Set(now()),
            });
            let insert = reading::Entity::insert_many(rows).on_conflict(again());
            self.write.execute(&insert.into_query()).await.during("keeping what was read")?;
        }
        Ok(())
    }

    /// These objects are no longer wanted, so nobody has to read them.
    pub async fn forget_readings(&self, objects: &[String]) -> Result<()> {
        for chunk in objects.chunks(1000) {
            let gone = reading::Entity::delete_many().filter(reading::Column::Object.is_in(chunk));
            gone.exec(&self.write).await.during("forgetting what was read")?;
        }
        Ok(())
    }

    /// How much of the vault was read to its end.
    pub async fn read_so_far(&self) -> Result<ReadSoFar> {
        let sums: Option<(i64, Option<i64>, Option<i64>)> = reading::Entity::find()
            .select_only()
            .column_as(reading::Column::Object.count(), "objects")
            .column_as(reading::Column::Bytes.sum().cast_as("bigint"), "bytes")
            .column_as(reading::Column::ReadAt.min(), "oldest")
            .into_tuple()
            .one(&self.read)
            .await
            .during("counting what was read")?;
        let (objects, bytes, oldest) = sums.unwrap_or_default();
        Ok(ReadSoFar { objects: count(objects), bytes: count(bytes.unwrap_or(0)), oldest: oldest.map(time) })
    }
}

impl TryFrom<proof::Model> for StoredProof {
    type Error = crate::domain::Error;

    fn try_from(row: proof::Model) -> Result<Self> {
        let report = serde_json::from_str(&row.report).map_err(|error| unreadable("a proof's report", error))?;
        Ok(Self { report, text: row.report, signature: row.signature })
    }
}
