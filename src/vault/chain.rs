//! What records alone tell: every reference at any moment.

use futures_util::StreamExt as _;

use super::Vault;
use super::record::Record;
use crate::domain::{Error, Kind, Point, RefState, RepoId, Result, Seq};

/// Brings `state` to what it is after `record`. `None` in, `None` out, unless the record tells everything.
pub fn replay(state: Option<RefState>, record: &Record) -> Option<RefState> {
    record.full_state().or_else(|| {
        let mut state = state?;
        state.apply(&record.changes);
        state.head.clone_from(&record.head);
        Some(state)
    })
}

impl Vault {
    /// Every reference at a moment (`None`: now), and the snapshot that it is taken from.
    pub async fn state_at(&self, repo: &RepoId, point: Option<Point>) -> Result<(Seq, RefState)> {
        let seq = self.seq_at(repo, point).await?;
        // Back to the newest record that tells everything, then forth again.
        let mut since = Vec::new();
        {
            let down = (1..=seq.get()).rev().filter_map(Seq::new);
            let mut records = std::pin::pin!(self.records(repo, down));
            while let Some((_, record)) = records.next().await {
                let record = record?;
                let tells_all = record.full_state().is_some();
                since.push(record);
                if tells_all {
                    break;
                }
            }
        }
        let state = since.iter().rev().fold(None, replay);
        let state = state.ok_or_else(|| Error::bug("the first snapshot of a chain did not tell its references"))?;
        Ok((seq, state))
    }

    async fn seq_at(&self, repo: &RepoId, point: Option<Point>) -> Result<Seq> {
        let stored = self.snapshots(repo).await?;
        let nothing = || Error::not_found(format!("the vault holds no snapshot of {repo}"));
        let newest = stored.last().ok_or_else(nothing)?.seq;
        match point {
            None => Ok(newest),
            Some(Point::Seq(seq)) if seq <= newest => Ok(seq),
            Some(Point::Seq(seq)) => {
                Err(Error::new(Kind::NotFound, format!("there is no snapshot {seq}: the newest is {newest}")))
            }
            Some(Point::Time(time)) => {
                // Times never go back along a chain.
                let (mut known, mut end) = (0, stored.len());
                while known < end {
                    let middle = usize::midpoint(known, end);
                    if self.record(repo, stored[middle].seq).await?.time <= time {
                        known = middle + 1;
                    } else {
                        end = middle;
                    }
                }
                let before = known.checked_sub(1).and_then(|i| stored.get(i));
                before.map(|stored| stored.seq).ok_or_else(|| {
                    Error::not_found(format!("there was no snapshot yet at {}", time.format("%Y-%m-%d %H:%M:%S UTC")))
                })
            }
        }
    }
}
