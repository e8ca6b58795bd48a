//! What a snapshot shows was done to history.

use chrono::{TimeDelta, Utc};
use globset::GlobSet;

use super::super::{announce, policies};
use super::{Alarm, NAMED, alarm};
use crate::catalog::{NewAlarm, Repository};
use crate::domain::policy::Notify;
use crate::domain::{Head, RefChange, RefName, Result, Seq, Severity, Undo, command};
use crate::services::Services;
use crate::vault::Record;

/// What lost history is called: of the default branch or a protected one, many deletions, and anything else.
const REWRITTEN: &str = "history.rewritten";
const DELETED: &str = "history.deleted";
const MOVED: &str = "history.moved";

/// Whoever adopts older snapshots has lost the catalog: what they say is no news.
const NEWS: TimeDelta = TimeDelta::days(1);

/// References that a button brings back at most.
const UNDONE_AT_ONCE: usize = 1000;

/// Why a repository is held after its history was touched: one hold, however often that happens.
const HISTORY: &str = "history was rewritten or deleted on the forge; `refward notices` says what";

/// Alarms about what the default branch or a protected one lost, and about many deletions at once. What other branches and
/// tags lost is daily bread: it is told quietly, and only where a channel wants to hear of it.
pub(in super::super) async fn of_history(services: &Services, record: &Record) -> Result<Vec<NewAlarm>> {
    let settings = &services.settings.alarms;
    let touched = |change: &&RefChange| change.old.is_some() && (change.forced || change.new.is_none());
    let Some(before) = record.seq.previous().filter(|_| record.changes.iter().any(|change| touched(&change))) else {
        return Ok(Vec::new());
    };
    if Utc::now() - record.time > NEWS {
        return Ok(Vec::new());
    }
    let repository = services.catalog.repository(&record.repo).await?;
    let (policy, _) = policies::policy_of(services, &repository).await?;
    let protected = policy.notify.protected()?;
    let guarded = Guarded::new(&repository, record, &protected);
    let history = History { services, repository: &repository, record, before };
    let lost: Vec<&RefChange> =
        record.changes.iter().filter(touched).filter(|change| guarded.covers(&change.name)).collect();
    let deleted = |change: &&RefChange| {
        change.old.is_some() && change.new.is_none() && (change.name.is_branch() || change.name.is_tag())
    };
    let deleted: Vec<&RefChange> = record.changes.iter().filter(deleted).collect();
    let mut alarms = Vec::new();
    if !lost.is_empty() {
        alarms.push(history.alarm(REWRITTEN, &lost).await?);
    }
    let many = deleted.len() as u64 >= settings.deletions;
    if many {
        alarms.push(history.alarm(DELETED, &deleted).await?);
    }
    let quiet = |change: &&RefChange| {
        let told = guarded.covers(&change.name) || many && change.new.is_none();
        !told && (change.name.is_branch() || change.name.is_tag())
    };
    let moved: Vec<&RefChange> = record.changes.iter().filter(touched).filter(quiet).collect();
    if !moved.is_empty() && history.is_of_interest(&policy.notify).await? {
        alarms.push(history.quietly(&moved).await?);
    }
    Ok(alarms)
}

/// The branches whose history nobody should touch.
struct Guarded<'a> {
    default: Vec<String>,
    protected: &'a GlobSet,
}

impl<'a> Guarded<'a> {
    /// What was the default branch until now counts, and what is it since now.
    fn new(repository: &Repository, record: &Record, protected: &'a GlobSet) -> Self {
        let head = match &record.head {
            Some(Head::Symbolic(name)) => Some(name.to_string()),
            _ => None,
        };
        let before = repository.default_branch.as_ref().map(|branch| format!("refs/heads/{branch}"));
        Self { default: head.into_iter().chain(before).collect(), protected }
    }

    fn covers(&self, name: &RefName) -> bool {
        let protected = name.is_branch() && self.protected.is_match(name.short());
        protected || self.default.iter().any(|branch| branch == name.as_str())
    }
}

struct History<'a> {
    services: &'a Services,
    repository: &'a Repository,
    record: &'a Record,
    before: Seq,
}

impl History<'_> {
    async fn alarm(&self, kind: &'static str, changes: &[&RefChange]) -> Result<NewAlarm> {
        let name = &self.repository.full_name;
        let mut told: Vec<String> = changes.iter().take(NAMED).map(|change| self.what_happened(change)).collect();
        if changes.len() > NAMED {
            told.push(format!("and {} more", changes.len() - NAMED));
        }
        let what = match kind {
            DELETED => format!("{} branches and tags of {name} were deleted", changes.len()),
            MOVED => format!("branches or tags of {name} were forced or deleted"),
            _ => format!("history of {name} was rewritten"),
        };
        let (seq, before) = (self.record.seq, self.before);
        let text =
            format!("{what} (snapshot {seq}): {}. Snapshot {before} holds what was there before.", told.join("; "));
        Ok(alarm(Alarm {
            kind,
            subject: format!("repo:{}:history", self.repository.id),
            repository: Some(self.repository),
            text,
            command: self.command(changes).await,
            undo: self.undo(changes),
            hold: if self.services.settings.alarms.hold { vec![self.repository.id.clone()] } else { Vec::new() },
            reason: Some(HISTORY.to_owned()),
            ..Alarm::default()
        }))
    }

    /// Some branch or tag is forced or deleted every day: no alarm, and no reason to hold anything.
    async fn quietly(&self, changes: &[&RefChange]) -> Result<NewAlarm> {
        let mut told = self.alarm(MOVED, changes).await?;
        told.notice.severity = Severity::Info;
        told.notice.subject = Some(format!("repo:{}:branches", self.repository.id));
        told.hold = Vec::new();
        Ok(told)
    }

    async fn is_of_interest(&self, notify: &Notify) -> Result<bool> {
        if self.services.chats.is_empty() {
            return Ok(false);
        }
        let facts = policies::facts_of(&policies::groups(self.services).await?, self.repository);
        announce::anybody_curious(self.services, notify, &facts)
    }

    fn what_happened(&self, change: &RefChange) -> String {
        let actor = self.record.trigger.actors.get(&change.name);
        let by = actor.map(|actor| format!(" by {}", actor.0)).unwrap_or_default();
        let old = change.old.map(|id| id.to_string()).unwrap_or_default();
        let name = change.name.short();
        match change.new {
            Some(new) => format!("{name} was forced from {old} to {new}{by}"),
            None => format!("{name}, which was at {old}, was deleted{by}"),
        }
    }

    /// For a person with a button. What is more than they could look through is left to the command.
    fn undo(&self, changes: &[&RefChange]) -> Option<Undo> {
        let refs = || changes.iter().map(|change| change.name.clone()).collect();
        (changes.len() <= UNDONE_AT_ONCE).then(|| Undo { refs: refs(), at: self.before })
    }

    /// Puts the references back to where they were: on the forge if we may write there, else into a new folder.
    async fn command(&self, changes: &[&RefChange]) -> Option<String> {
        let (address, before) = (self.repository.address().to_string(), self.before.to_string());
        let folder = format!("{}-at-{before}", self.repository.full_name.rsplit('/').next().unwrap_or_default());
        let mut arguments = vec!["restore", &address, "--at", &before];
        // Without a name all references are restored, and those that exist are left alone.
        if changes.len() <= NAMED {
            arguments.extend(changes.iter().flat_map(|change| ["--ref", change.name.as_str()]));
        }
        if self.may_write().await {
            arguments.push("--to-origin");
            if changes.iter().any(|change| change.new.is_some()) {
                arguments.push("--force");
            }
        } else {
            arguments.extend(["--to-dir", &folder]);
        }
        command(arguments)
    }

    /// As the forge says now. Whatever goes wrong with that is no reason to keep quiet.
    async fn may_write(&self) -> bool {
        let asked = async {
            let connection = self.services.connection(self.repository.connection_id).await?;
            let access = self.services.access_to_push(&connection).await?;
            if access.credentials.is_empty() {
                return Ok(false);
            }
            let forge = self.services.forge(&connection.forge)?;
            forge.target(&access, &self.repository.full_name, None).await.map(|_| true)
        };
        let answer: Result<bool> = asked.await;
        answer.unwrap_or_else(|error| {
            tracing::debug!(repository = self.repository.full_name, "nothing may write there: {}", error.for_log());
            false
        })
    }
}
