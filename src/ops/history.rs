//! What was there when: snapshots, references at a moment, and every move of a reference.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalog::Catalog;
use crate::domain::{Actor, ObjectId, Point, RefName, RefState, RepoId, Result, Seq, Snapshot};

/// One move of a reference.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Move {
    pub seq: Seq,
    pub time: DateTime<Utc>,
    #[serde(rename = "ref")]
    pub name: RefName,
    pub old: Option<ObjectId>,
    pub new: Option<ObjectId>,
    pub forced: bool,
    pub actor: Option<Actor>,
}

/// All snapshots of a repository, oldest first.
pub async fn snapshots(catalog: &Catalog, repo: &RepoId) -> Result<Vec<Snapshot>> {
    catalog.snapshots(repo).await
}

/// The references at a moment, by default now; `HEAD` among them as git's file has it.
pub async fn refs(catalog: &Catalog, repo: &RepoId, at: Option<Point>) -> Result<BTreeMap<String, String>> {
    let (_, state) = catalog.refs_at(repo, at).await?;
    Ok(with_head(&state))
}

/// The moves of one reference or of all, oldest first.
pub async fn journal(catalog: &Catalog, repo: &RepoId, name: Option<&str>) -> Result<Vec<Move>> {
    let name = name.map(full_name).transpose()?;
    catalog.journal(repo, name.as_ref()).await.map(|rows| {
        let moves = rows.into_iter().map(|row| Move {
            seq: row.seq,
            time: row.time,
            name: row.change.name,
            old: row.change.old,
            new: row.change.new,
            forced: row.change.forced,
            actor: row.actor,
        });
        moves.collect()
    })
}

fn with_head(state: &RefState) -> BTreeMap<String, String> {
    let head = state.head.as_ref().map(|head| ("HEAD".to_owned(), head.to_string()));
    state.refs.iter().map(|(name, id)| (name.to_string(), id.to_string())).chain(head).collect()
}

/// `main` stands for the branch, as git users expect; anything else is written out.
pub(super) fn full_name(name: &str) -> Result<RefName> {
    if name.starts_with("refs/") { name.parse() } else { format!("refs/heads/{name}").parse() }
}
