//! What people were told, whether it has reached them, and trying whether it would.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::{Catalog, Posting};
use crate::domain::{ConnectionId, Error, Kind, RepoId, Result, Severity, Undo};
use crate::jobs;
use crate::notify::{self, Message, Told};
use crate::services::Services;

/// Something that people were told.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Notice {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// A stable word: `repository.renamed`.
    pub kind: String,
    pub severity: Severity,
    pub connection: Option<String>,
    /// Its name of now.
    pub repository: Option<String>,
    pub text: String,
    /// Notices about the same thing have the same.
    pub subject: Option<String>,
    /// Undoes the harm, pasted into a shell.
    pub command: Option<String>,
    /// What a button brings back.
    pub undo: Option<Undo>,
    /// Which receivers are to get it, and whether they did.
    pub receivers: Vec<Reached>,
}

/// How a notice fared with a receiver.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Reached {
    pub receiver: String,
    /// `waiting`, `sent` or `given_up`.
    pub state: String,
    /// Why not yet.
    pub last_error: Option<String>,
}

/// What has not reached a receiver yet.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Backlog {
    pub receiver: String,
    pub notices: u64,
    pub since: DateTime<Utc>,
    pub last_error: Option<String>,
}

/// The newest notices, newest first.
pub async fn notices(catalog: &Catalog, limit: u64) -> Result<Vec<Notice>> {
    let stored = catalog.notices(limit).await?;
    let connections: HashMap<ConnectionId, String> =
        catalog.connections().await?.into_iter().map(|connection| (connection.id, connection.name)).collect();
    let ids: Vec<RepoId> = stored.iter().filter_map(|notice| notice.repo.clone()).collect();
    let known = catalog.known(&ids).await?;
    let numbers: Vec<i64> = stored.iter().map(|notice| notice.id).collect();
    let mut postings = catalog.postings(&numbers).await?;
    let told = stored.into_iter().map(|notice| Notice {
        id: notice.id,
        at: notice.at,
        kind: notice.kind,
        severity: notice.severity,
        connection: notice.connection.and_then(|id| connections.get(&id).cloned()),
        repository: notice.repo.and_then(|id| known.get(&id)).map(|known| known.remote.full_name.clone()),
        text: notice.text,
        subject: notice.subject,
        command: notice.command,
        undo: notice.undo,
        receivers: postings.remove(&notice.id).unwrap_or_default().into_iter().map(Reached::from).collect(),
    });
    Ok(told.collect())
}

/// What waits for receivers.
pub async fn backlog(catalog: &Catalog) -> Result<Vec<Backlog>> {
    let waiting = catalog.backlog().await?.into_iter();
    let told = waiting.map(|of| Backlog {
        receiver: of.receiver,
        notices: of.count,
        since: of.since,
        last_error: of.last_error,
    });
    Ok(told.collect())
}

/// What came of trying a receiver.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// Which.
    pub receiver: String,
    /// `None`: it took the message.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Sends a message to every receiver in the settings, now, and says what came of it.
pub async fn test(services: &Services) -> Result<Vec<Tried>> {
    let mut tried = Vec::new();
    for (receiver, _) in notify::configured(&services.settings) {
        let sent = async {
            let open = notify::open(&services.settings, &services.http, receiver)?;
            let open = open.ok_or_else(|| Error::bug("a receiver of the settings is not in the settings"))?;
            open.send(&greeting()).await
        };
        tried.push(Tried::new(receiver.to_owned(), sent.await));
    }
    for (receiver, said) in jobs::try_channels(services, GREETING).await {
        tried.push(Tried::new(receiver, said));
    }
    if tried.is_empty() {
        return Err(Error::misconfigured("the settings name no receiver of notices")
            .hint("fill in [mail] or [webhook], or add a [[discord.channels]], in the settings file"));
    }
    Ok(tried)
}

impl Tried {
    fn new(receiver: String, sent: Result<()>) -> Self {
        let error = sent.err();
        if let Some(error) = &error {
            tracing::debug!(receiver, "{}", error.for_log());
        }
        let hint = error.as_ref().and_then(Error::next_step).map(str::to_owned);
        Self { receiver, error: error.map(|error| error.to_string()), hint }
    }
}

/// The error that stands for receivers that could not be reached.
pub fn failed(tried: &[Tried]) -> Option<Error> {
    let count = tried.iter().filter(|tried| tried.error.is_some()).count();
    let text = format!("{count} of {} receivers did not take the message", tried.len());
    (count > 0).then(|| Error::new(Kind::Partial, text).hint("notices wait for them; each says what is wrong"))
}

const GREETING: &str = "This is a test: notices of Refward arrive here.";

fn greeting() -> Message {
    let told = Told {
        id: 0,
        at: Utc::now(),
        kind: "test".to_owned(),
        severity: Severity::Info,
        connection: None,
        repository: None,
        text: GREETING.to_owned(),
        subject: None,
        command: None,
        undo: None,
    };
    Message::new(format!("test.{}", Uuid::new_v4().simple()), vec![told])
}

impl From<Posting> for Reached {
    fn from(posting: Posting) -> Self {
        Self { receiver: posting.receiver, state: posting.state, last_error: posting.last_error }
    }
}
