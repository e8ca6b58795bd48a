//! Hands the notices that wait for a receiver to it: in order, none left out, and none twice knowingly.
//!
//! What goes together is marked before it is sent. A message that may have arrived is sent again as it was, under the same
//! id, before anything younger; a failure is the job's failure, so the queue decides when to try again.

use std::collections::HashMap;
use std::time::Duration;

use chrono::Utc;

use crate::catalog::{Posted, StoredNotice};
use crate::domain::{ConnectionId, RepoId, Result};
use crate::notify::{self, Message, Told};
use crate::services::Services;

/// A receiver gets so many messages in [`WHILE`] at most. When more notices wait than that leaves room for, they go as one
/// message: a thousand mails hide what matters.
const MESSAGES: usize = 20;
const WHILE: Duration = Duration::from_mins(10);

/// A notice that could not be handed over for so long is told on the command line alone.
const GIVE_UP_AFTER: Duration = Duration::from_hours(7 * 24);

/// Hands over what waits for this receiver.
pub async fn deliver(services: &Services, receiver: &str) -> Result<()> {
    let catalog = &services.catalog;
    let Some(open) = notify::open(&services.settings, &services.http, receiver)? else {
        let dropped = catalog.give_up(receiver, Utc::now()).await?;
        tracing::warn!(receiver, dropped, "the settings have no such receiver any more; its notices stay here");
        return Ok(());
    };
    let given_up = catalog.give_up(receiver, Utc::now() - GIVE_UP_AFTER).await?;
    if given_up > 0 {
        tracing::error!(receiver, given_up, "notices could not be handed over for {GIVE_UP_AFTER:?}; they stay here");
    }
    loop {
        let sent = catalog.messages_since(receiver, Utc::now() - WHILE).await?;
        let together = next(catalog.posted(receiver).await?, MESSAGES.saturating_sub(sent));
        if together.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = together.iter().map(|posted| posted.id).collect();
        let message = message(services, together).await?;
        catalog.posting(&ids).await?;
        if let Err(error) = open.send(&message).await {
            catalog.bounced(&ids, &error.to_string()).await?;
            return Err(error.while_doing(format!("handing notices to {receiver}")));
        }
        catalog.arrived(&ids).await?;
        tracing::info!(step = "told", receiver, notices = ids.len(), "notices handed over");
        metrics::counter!("refward_notices_sent_total", "receiver" => receiver.to_owned()).increment(ids.len() as u64);
    }
}

/// What goes into one message: whatever was tried already; else one notice while there is room for all, and everything if
/// there is not. Nothing: not now.
fn next(waiting: Vec<Posted>, room: usize) -> Vec<Posted> {
    let (tried, mut new): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|posted| posted.tried);
    if !tried.is_empty() {
        return tried;
    }
    match room {
        0 => new.clear(),
        room if new.len() <= room => new.truncate(1),
        _ => {}
    }
    new
}

async fn message(services: &Services, together: Vec<Posted>) -> Result<Message> {
    // The same notices make the same id. Numbers begin anew in a new database; its times do not.
    let id = together
        .first()
        .map(|first| format!("{}.{}.{}", services.vault.id().simple(), first.notice.at.timestamp_millis(), first.id));
    let names = Names::read(services, together.iter().map(|posted| &posted.notice)).await?;
    let told = together.into_iter().map(|posted| names.told(posted.notice)).collect();
    Ok(Message::new(id.unwrap_or_default(), told))
}

/// What the things are called that notices are about.
struct Names {
    connections: HashMap<ConnectionId, String>,
    repositories: HashMap<RepoId, String>,
}

impl Names {
    async fn read(services: &Services, notices: impl Iterator<Item = &StoredNotice>) -> Result<Self> {
        let ids: Vec<RepoId> = notices.filter_map(|notice| notice.repo.clone()).collect();
        let connections = services.catalog.connections().await?.into_iter();
        let known = services.catalog.known(&ids).await?.into_iter();
        Ok(Self {
            connections: connections.map(|connection| (connection.id, connection.name)).collect(),
            repositories: known.map(|(id, known)| (id, known.remote.full_name)).collect(),
        })
    }

    fn told(&self, notice: StoredNotice) -> Told {
        Told {
            id: notice.id,
            at: notice.at,
            kind: notice.kind,
            severity: notice.severity,
            connection: notice.connection.and_then(|id| self.connections.get(&id).cloned()),
            repository: notice.repo.and_then(|id| self.repositories.get(&id).cloned()),
            text: notice.text,
            subject: notice.subject,
            command: notice.command,
            undo: notice.undo,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::Severity;

    fn posted(id: i64, tried: bool) -> Posted {
        let notice = StoredNotice {
            id,
            at: DateTime::UNIX_EPOCH,
            kind: "x".to_owned(),
            severity: Severity::Info,
            connection: None,
            repo: None,
            text: String::new(),
            subject: None,
            command: None,
            undo: None,
        };
        Posted { id, tried, notice }
    }

    fn ids(waiting: &[Posted], room: usize) -> Vec<i64> {
        next(waiting.to_vec(), room).iter().map(|posted| posted.id).collect()
    }

    #[test]
    fn a_few_go_one_by_one_and_many_together() {
        let waiting: Vec<Posted> = (1..=20).map(|id| posted(id, false)).collect();
        assert_eq!(ids(&waiting, 20), [1]);
        assert_eq!(ids(&waiting, 19), (1..=20).collect::<Vec<_>>());
        assert_eq!(ids(&waiting, 0), [] as [i64; 0], "it had enough for now");
        assert_eq!(ids(&[], 20), [] as [i64; 0]);
    }

    #[test]
    fn what_may_have_arrived_goes_again_as_it_was() {
        let waiting = [posted(1, true), posted(2, true), posted(3, false)];
        assert_eq!(ids(&waiting, 20), [1, 2]);
        assert_eq!(ids(&waiting, 0), [1, 2], "it counts as one that was sent");
    }
}
