//! What records alone tell: every reference at any moment.

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;

use super::Vault;
use super::cover::{Cover, Stored};
use super::record::Record;
use crate::domain::{Error, Point, RefState, RepoId, Result, Seq};

/// Brings `state` to what it is after `record`. `None` in, `None` out, unless the record tells everything.
pub fn replay(state: Option<RefState>, record: &Record) -> Option<RefState> {
    record.full_state().or_else(|| {
        let mut state = state?;
        state.apply(&record.changes);
        state.head.clone_from(&record.head);
        Some(state)
    })
}

/// [`replay`] of everything that an object stands for.
pub(super) fn replay_all(state: Option<RefState>, object: &Record) -> Option<RefState> {
    let mut state = object.told().fold(state, replay);
    if let Some((state, span)) = state.as_mut().zip(object.span.as_ref()) {
        state.apply(&span.after.changes);
    }
    state
}

/// A recovery point and every reference at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Its record; without its pack where that is one with others'.
    pub record: Record,
    /// Every reference.
    pub state: RefState,
}

impl Vault {
    /// Every reference at a moment (`None`: now), and the snapshot that it is taken from.
    pub async fn state_at(&self, repo: &RepoId, at: Option<Point>) -> Result<(Seq, RefState)> {
        let Moment { record, state } = self.moment(repo, at).await?;
        Ok((record.seq, state))
    }

    /// The recovery point at a moment (`None`: the newest) and every reference at it. Where a number was not kept,
    /// `NotFound` names the nearest.
    pub async fn moment(&self, repo: &RepoId, at: Option<Point>) -> Result<Moment> {
        let cover = self.cover(repo).await?;
        let object = self.object_at(repo, &cover, at).await?;
        let not_later = |record: &&Record| match at {
            None => true,
            Some(Point::Seq(seq)) => record.seq <= seq,
            Some(Point::Time(time)) => record.time <= time,
        };
        let told: Vec<&Record> = object.told().take_while(not_later).collect();
        let found = match (at, told.last().copied()) {
            (Some(Point::Seq(seq)), found) if found.is_none_or(|found| found.seq != seq) => {
                return Err(self.not_kept(repo, &cover, &object, seq).await?);
            }
            (_, found) => found.ok_or_else(|| Error::bug("an object was found for a moment before it"))?,
        };
        let before = match cover.through(object.extent().to)? {
            [before @ .., _] if !object.tells_all() => self.state_after(repo, before).await?,
            _ => None,
        };
        let state = told.iter().fold(before, |state, record| replay(state, record));
        let state = state.ok_or_else(|| Error::bug("the first snapshot of a chain did not tell its references"))?;
        let pack = found.pack.clone().filter(|_| object.span.is_none());
        Ok(Moment { record: Record { span: None, pack, ..found.clone() }, state })
    }

    /// Every reference before the object that begins at `seq`; `None` at the beginning of the chain.
    pub async fn state_before(&self, repo: &RepoId, seq: Seq) -> Result<Option<RefState>> {
        let Some(previous) = seq.previous() else { return Ok(None) };
        let cover = self.cover(repo).await?;
        self.state_after(repo, cover.through(previous)?).await
    }

    /// Every reference after these neighbours: back to the newest that tells everything, then forth again.
    async fn state_after(&self, repo: &RepoId, objects: &[Stored]) -> Result<Option<RefState>> {
        let mut since = Vec::new();
        // Owned: with borrowed items the compiler does not see that a worker may carry this across threads.
        let extents: Vec<_> = objects.iter().rev().map(|stored| stored.extent).collect();
        let mut records = std::pin::pin!(self.records(repo, extents.into_iter()));
        while let Some((_, record)) = records.next().await {
            let record = record?;
            let tells_all = record.tells_all();
            since.push(record);
            if tells_all {
                break;
            }
        }
        Ok(since.iter().rev().fold(None, replay_all))
    }

    /// The record of the object that tells of a moment.
    async fn object_at(&self, repo: &RepoId, cover: &Cover, at: Option<Point>) -> Result<Record> {
        let nothing = || Error::not_found(format!("the vault holds no snapshot of {repo}"));
        let newest = cover.end().ok_or_else(nothing)?;
        let seq = match at {
            None => newest,
            Some(Point::Seq(seq)) if seq <= newest => seq,
            Some(Point::Seq(seq)) => {
                return Err(Error::not_found(format!("there is no snapshot {seq}: the newest is {newest}")));
            }
            Some(Point::Time(time)) => return self.object_of(repo, &cover.live, time).await,
        };
        let object = cover.through(seq)?.last().ok_or_else(nothing)?;
        self.record(repo, &object.extent).await
    }

    /// The record of the last object that begins with a recovery point not younger than `time`.
    async fn object_of(&self, repo: &RepoId, live: &[Stored], time: DateTime<Utc>) -> Result<Record> {
        // Times never go back along a chain.
        let (mut known, mut end, mut found) = (0, live.len(), None);
        while known < end {
            let middle = usize::midpoint(known, end);
            let record = self.record(repo, &live[middle].extent).await?;
            if record.told().next().is_some_and(|first| first.time <= time) {
                known = middle + 1;
                found = Some(record);
            } else {
                end = middle;
            }
        }
        found.ok_or_else(|| {
            Error::not_found(format!("there was no snapshot yet at {}", time.format("%Y-%m-%d %H:%M:%S UTC")))
        })
    }

    /// The error for a number within `object` that is no recovery point any more.
    async fn not_kept(&self, repo: &RepoId, cover: &Cover, object: &Record, seq: Seq) -> Result<Error> {
        let within = object.extent();
        let mut kept: Vec<Seq> = object.told().map(|record| record.seq).collect();
        if let Some(stored) = cover.live.iter().rfind(|stored| stored.extent.to < within.from) {
            kept.insert(0, self.record(repo, &stored.extent).await?.seq);
        }
        if let Some(stored) = cover.live.iter().find(|stored| stored.extent.from > within.to) {
            kept.extend(self.record(repo, &stored.extent).await?.told().next().map(|record| record.seq));
        }
        let at = kept.partition_point(|kept| *kept < seq);
        let beside: Vec<String> = kept[..at].last().into_iter().chain(kept.get(at)).map(ToString::to_string).collect();
        let nearest = if beside.len() > 1 { "the nearest are" } else { "the nearest is" };
        Ok(Error::not_found(format!("snapshot {seq} was not kept; {nearest} {}", beside.join(" and ")))
            .hint("see `refward snapshots REPO`"))
    }
}
