//! Hands the notices that wait for a receiver to it: in order, none left out, and none twice knowingly.
//!
//! What goes together is marked before it is sent. A message that may have arrived is sent again as it was, under the same
//! id, before anything younger; a failure is the job's failure, so the queue decides when to try again.

use std::time::Duration;

use chrono::Utc;

use super::announce::{self, Names};
use crate::catalog::Posted;
use crate::domain::Result;
use crate::notify::{self, Message, Receiver};
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
    let Some(outlet) = Outlet::open(services, receiver)? else {
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
        let waiting = outlet.sort_out(catalog.posted(receiver).await?).await?;
        let together = next(waiting, MESSAGES.saturating_sub(sent));
        if together.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = together.iter().map(|posted| posted.id).collect();
        catalog.posting(&ids).await?;
        if let Err(error) = outlet.send(services, together).await {
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

/// What takes notices.
enum Outlet<'a> {
    Receiver(Box<dyn Receiver>),
    Channel(Box<announce::Channel<'a>>),
}

impl<'a> Outlet<'a> {
    fn open(services: &'a Services, receiver: &'a str) -> Result<Option<Self>> {
        if let Some(channel) = announce::Channel::open(services, receiver)? {
            return Ok(Some(Self::Channel(Box::new(channel))));
        }
        Ok(notify::open(&services.settings, &services.http, receiver)?.map(Self::Receiver))
    }

    /// What of this is for it to hear.
    async fn sort_out(&self, waiting: Vec<Posted>) -> Result<Vec<Posted>> {
        match self {
            Self::Receiver(_) => Ok(waiting),
            Self::Channel(channel) => channel.sort_out(waiting).await,
        }
    }

    async fn send(&self, services: &Services, together: Vec<Posted>) -> Result<()> {
        let id = message_id(services, &together);
        match self {
            Self::Receiver(receiver) => receiver.send(&message(services, id, together).await?).await,
            Self::Channel(channel) => channel.tell(together, &id).await,
        }
    }
}

/// The same notices make the same id. Numbers begin anew in a new database; its times do not.
fn message_id(services: &Services, together: &[Posted]) -> String {
    let of = |first: &Posted| {
        format!("{}.{}.{}", services.vault.id().simple(), first.notice.at.timestamp_millis(), first.id)
    };
    together.first().map(of).unwrap_or_default()
}

async fn message(services: &Services, id: String, together: Vec<Posted>) -> Result<Message> {
    let names = Names::read(services, together.iter().map(|posted| &posted.notice)).await?;
    let told = together.into_iter().map(|posted| names.told(posted.notice)).collect();
    Ok(Message::new(id, told))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::catalog::StoredNotice;
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
