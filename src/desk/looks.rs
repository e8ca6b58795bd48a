//! What is only looked at: how things stand, snapshots, moves, credentials.

use std::collections::HashSet;

use super::visitor::Visitor;
use super::words::{count, minute, sentence, span, word};
use crate::catalog::Repository;
use crate::chat::{Line, Reply, Tone};
use crate::domain::{Error, Result, Snapshot};
use crate::ops::credentials::{self as pool, Left};
use crate::ops::health::{Health, LastDrill};
use crate::ops::history::{self, Move};
use crate::ops::status::{self, RepoStatus};
use crate::services::Services;

/// Rows that a chat shows of a table.
const ROWS: usize = 15;

/// How everything stands that they may see.
pub(super) async fn status(services: &Services, visitor: &Visitor) -> Result<Reply> {
    let visible: HashSet<(String, String)> =
        visitor.visible(services).await?.into_iter().map(|(one, _)| (one.connection, one.full_name)).collect();
    let mut status = status::status(&services.catalog).await?;
    status.repositories.retain(|row| {
        let connection = row.connection.clone();
        connection.is_some_and(|connection| visible.contains(&(connection, row.repository.clone())))
    });
    Ok(overview(&status.repositories))
}

fn overview(rows: &[RepoStatus]) -> Reply {
    if rows.is_empty() {
        return Reply::new(Tone::Plain, "There is no repository that you may see");
    }
    let of = |health| rows.iter().filter(|row| row.health == health).count() as u64;
    let (green, amber, red) = (of(Health::Green), of(Health::Amber), of(Health::Red));
    let (tone, title) = match (amber, red) {
        (0, 0) => (Tone::Good, format!("All well: {}", count(green, "repository"))),
        (_, 0) => (Tone::Careful, format!("{green} of {} green", count(rows.len() as u64, "repository"))),
        _ => (Tone::Bad, format!("{} in trouble", count(red, "repository"))),
    };
    let mut worst: Vec<&RepoStatus> = rows.iter().filter(|row| row.health != Health::Green).collect();
    worst.sort_by_key(|row| row.health != Health::Red);
    let mut reply = Reply::new(tone, title).line(format!("Green {green}, amber {amber}, red {red}."));
    if !worst.is_empty() {
        let cells = |row: &&RepoStatus| [row.repository.clone(), word(row.health), why(row)];
        reply = reply.table(["repository", "health", "why"], worst.iter().take(ROWS).map(cells));
    }
    more(reply, worst.len(), "of them are not green")
}

fn why(row: &RepoStatus) -> String {
    let missing = row.last_snapshot.iter().flat_map(|last| &last.missing).next();
    let missing = missing.map(|missing| format!("{}: {}", missing.what, missing.why));
    let reason = row.health_reason.map(str::to_owned);
    [row.throttled.clone(), row.last_error.clone(), missing, reason].into_iter().flatten().next().unwrap_or_default()
}

/// How one repository stands.
pub(super) async fn repository(services: &Services, repository: &Repository) -> Result<Reply> {
    let rows = status::status(&services.catalog).await?.repositories;
    let is = |row: &RepoStatus| {
        row.repository == repository.full_name
            && row.connection.as_ref().is_none_or(|name| *name == repository.connection)
    };
    let row = rows.iter().find(|row| is(row));
    row.map(standing).ok_or_else(|| Error::not_found(format!("{} is not known any more", repository.full_name)))
}

fn standing(row: &RepoStatus) -> Reply {
    let tone = match row.health {
        Health::Green => Tone::Good,
        Health::Amber => Tone::Careful,
        Health::Red => Tone::Bad,
    };
    let mut reply = Reply::new(tone, format!("{}: {}", row.repository, word(row.health)));
    if row.health != Health::Green {
        reply = reply.line(sentence(&why(row)));
    }
    reply = match &row.last_snapshot {
        Some(last) => reply.line(
            Line::new().text("Newest snapshot: ").strong(last.seq.to_string()).text(", ").when(last.time).text("."),
        ),
        None => reply.line("There is no snapshot yet."),
    };
    if let Some(lag) = row.lag_ms {
        let lag = span(u64::try_from(lag).unwrap_or(0));
        reply = reply.line(format!("A change waits to be backed up, for {lag} by now."));
    }
    match (row.proof.last, row.proof.passed_at) {
        (LastDrill::Never, _) => reply.line("No restore was proved yet."),
        (LastDrill::Failed, _) => reply.line("The last restore drill failed."),
        (LastDrill::Passed, passed) => {
            let line = Line::new().text("A restore was proved ");
            reply.line(passed.map_or(line.clone(), |at| line.when(at)).text("."))
        }
    }
}

/// The newest snapshots.
pub(super) async fn snapshots(services: &Services, visitor: &Visitor, repository: &Repository) -> Result<Reply> {
    visitor.reads(services, repository).await?;
    Ok(listed(&repository.full_name, &history::snapshots(&services.catalog, &repository.id).await?))
}

fn listed(name: &str, snapshots: &[Snapshot]) -> Reply {
    let title = format!("{name}: {}", count(snapshots.len() as u64, "snapshot"));
    if snapshots.is_empty() {
        return Reply::new(Tone::Plain, title);
    }
    let reply = Reply::new(Tone::Plain, title).table(
        ["seq", "time (UTC)", "why", "changed", ""],
        snapshots.iter().rev().take(ROWS).map(|snapshot| {
            let refs = &snapshot.refs;
            let mut changed = format!("+{} ~{} -{}", refs.created, refs.updated, refs.deleted);
            if refs.forced > 0 {
                changed += &format!(" ({} forced)", refs.forced);
            }
            let partial = (!snapshot.complete).then(|| "PARTIAL".to_owned());
            let remarks = partial.into_iter().chain(snapshot.labels.clone()).collect::<Vec<_>>().join(", ");
            [snapshot.seq.to_string(), minute(snapshot.time), snapshot.trigger.kind.clone(), changed, remarks]
        }),
    );
    more(reply, snapshots.len(), "are there; `restore` takes any of them by number or time")
}

/// The newest moves, of one reference or of all.
pub(super) async fn journal(
    services: &Services,
    visitor: &Visitor,
    repository: &Repository,
    name: Option<&str>,
) -> Result<Reply> {
    visitor.reads(services, repository).await?;
    let moves = history::journal(&services.catalog, &repository.id, name).await?;
    let of = name.map_or_else(|| repository.full_name.clone(), |name| format!("{} {name}", repository.full_name));
    Ok(moved(&of, &moves))
}

fn moved(of: &str, moves: &[Move]) -> Reply {
    if moves.is_empty() {
        return Reply::new(Tone::Plain, format!("{of}: no moves recorded"))
            .line("A branch is asked for by its name, a tag as `refs/tags/NAME`.");
    }
    let dash = || "-".to_owned();
    let reply = Reply::new(Tone::Plain, format!("{of}: {}", count(moves.len() as u64, "move"))).table(
        ["seq", "time (UTC)", "ref", "old", "new", "", "who"],
        moves.iter().rev().take(ROWS).map(|one| {
            [
                one.seq.to_string(),
                minute(one.time),
                one.name.short().to_owned(),
                one.old.map_or_else(dash, |id| id.short()),
                one.new.map_or_else(dash, |id| id.short()),
                if one.forced { "FORCED" } else { "" }.to_owned(),
                one.actor.as_ref().map_or_else(dash, |actor| actor.0.clone()),
            ]
        }),
    );
    more(reply, moves.len(), "are recorded")
}

/// What is behind the connections.
pub(super) async fn credentials(services: &Services) -> Result<Reply> {
    let pool = pool::list(services, None).await?;
    let left = |left: &Option<Left>| {
        left.as_ref().map_or_else(|| "-".to_owned(), |left| format!("{} of {}", left.remaining, left.limit))
    };
    let rows = pool.credentials.iter().map(|row| {
        let used = match (row.main, row.enabled) {
            (true, _) => "main",
            (_, true) => "on",
            _ => "off",
        };
        let expires = row.expires.clone().unwrap_or_else(|| "-".to_owned());
        [row.connection.clone(), row.label.clone(), row.kind.to_owned(), used.to_owned(), left(&row.rest), expires]
    });
    let title = count(pool.credentials.len() as u64, "credential");
    let mut reply =
        Reply::new(Tone::Plain, title).table(["connection", "name", "kind", "used", "calls left", "expires"], rows);
    for backlog in pool.backlog.iter().filter(|backlog| backlog.throttled > 0) {
        let jobs = count(backlog.throttled as u64, "job");
        reply = reply.line(format!("{}: {jobs} wait for the forge's limits.", backlog.connection));
    }
    Ok(reply)
}

fn more(reply: Reply, all: usize, are: &str) -> Reply {
    if all > ROWS { reply.line(format!("{ROWS} are shown; {all} {are}.")) } else { reply }
}
