//! What an alarm says, and the one command that undoes the harm. The alarms are raised where the harm is seen.

use globset::GlobSet;

use crate::catalog::{Connection, NewAlarm, NewNotice, RESOLVED, Repository, StoredInstallation};
use crate::domain::{Head, RefChange, RefName, RepoId, Result, Seq, Severity, command};
use crate::services::Services;
use crate::vault::Record;

use super::policies;

/// References that a text, or a command, names; of more it gives the number.
const NAMED: usize = 10;

/// Why a repository is held after its history was touched: one hold, however often that happens.
const HISTORY: &str = "history was rewritten or deleted on the forge; `refward notices` says what";

/// What a snapshot shows was done to history: what the default branch or a protected one lost, and mass deletions.
pub(super) async fn of_history(services: &Services, record: &Record) -> Result<Vec<NewAlarm>> {
    let settings = &services.settings.alarms;
    let touched = |change: &&RefChange| change.old.is_some() && (change.forced || change.new.is_none());
    let Some(before) = record.seq.previous().filter(|_| record.changes.iter().any(|change| touched(&change))) else {
        return Ok(Vec::new());
    };
    // Old news: the catalog was lost and follows what the vault holds.
    if chrono::Utc::now() - record.time > chrono::TimeDelta::days(1) {
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
        alarms.push(history.alarm("history.rewritten", &lost).await?);
    }
    if deleted.len() as u64 >= settings.deletions {
        alarms.push(history.alarm("history.deleted", &deleted).await?);
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
            "history.deleted" => format!("{} branches and tags of {name} were deleted", changes.len()),
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
            command: self.undo(changes).await,
            hold: if self.services.settings.alarms.hold { vec![self.repository.id.clone()] } else { Vec::new() },
            reason: Some(HISTORY.to_owned()),
            ..Alarm::default()
        }))
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

    /// Puts the references back to where they were: on the forge if we may write there, else into a new folder.
    async fn undo(&self, changes: &[&RefChange]) -> Option<String> {
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
            forge.target(&access, &self.repository.full_name).await.map(|_| true)
        };
        let answer: Result<bool> = asked.await;
        answer.unwrap_or_else(|error| {
            tracing::debug!(repository = self.repository.full_name, "nothing may write there: {}", error.for_log());
            false
        })
    }
}

/// What a survey does not see any more, of those that were ever backed up. When it is most of a connection, one notice of
/// that is the alarm, and the single ones are quiet.
pub(super) async fn of_gone(
    services: &Services,
    connection: &Connection,
    gone: &[Repository],
    listed: usize,
) -> Result<Vec<NewAlarm>> {
    let most = gone.len() > 1 && gone.len() > listed;
    if most {
        let names: Vec<&str> = gone.iter().take(NAMED).map(|gone| gone.full_name.as_str()).collect();
        let more = gone.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!(
            "{} repositories of {} are gone from the forge at once, or out of our sight, and {listed} are left: {}{more}. Their backups stay.",
            gone.len(),
            connection.name,
            names.join(", ")
        );
        let subject = format!("connection:{}:repositories", connection.id);
        let command = command(["connections", "check", &connection.name]);
        let connection = Some(connection);
        let told = Alarm { kind: "connection.emptied", subject, connection, text, command, ..Alarm::default() };
        services.catalog.notify(alarm(told).notice).await?;
    }
    let alarms = gone.iter().map(|repository| {
        let folder = repository.full_name.rsplit('/').next().unwrap_or_default();
        let mut alarm = alarm(Alarm {
            kind: "repository.gone",
            subject: gone_subject(&repository.id),
            repository: Some(repository),
            text: format!("{} is no longer on the forge, or out of our sight. Its backups stay.", repository.full_name),
            command: command(["restore", &repository.address().to_string(), "--to-dir", folder]),
            hold: if services.settings.alarms.hold { vec![repository.id.clone()] } else { Vec::new() },
            ..Alarm::default()
        });
        alarm.notice.severity = if most { Severity::Info } else { Severity::Alarm };
        alarm
    });
    Ok(alarms.collect())
}

/// What the alarm about a repository's disappearance is called.
pub(super) fn gone_subject(id: &RepoId) -> String {
    format!("repo:{id}:gone")
}

/// The owner of a connection cannot be found.
pub(super) async fn of_owner(services: &Services, connection: &Connection) -> Result<NewAlarm> {
    Ok(alarm(Alarm {
        kind: "owner.gone",
        subject: owner_subject(connection),
        connection: Some(connection),
        text: format!(
            "{} is no longer on the forge, or out of our sight, with all its repositories. Their backups stay.",
            connection.owner
        ),
        command: command(["connections", "check", &connection.name]),
        hold: held(services, connection).await?,
        ..Alarm::default()
    }))
}

/// What the alarm about an owner's disappearance is called.
pub(super) fn owner_subject(connection: &Connection) -> String {
    format!("connection:{}:owner", connection.id)
}

/// An App may no longer do its work: it was suspended or uninstalled.
pub(super) async fn of_app(
    services: &Services,
    kind: &'static str,
    installation: &StoredInstallation,
    text: String,
) -> Result<NewAlarm> {
    let connection = match installation.connection {
        Some(id) => services.catalog.connection_by_id(id).await?,
        None => None,
    };
    let hold = match &connection {
        Some(connection) => held(services, connection).await?,
        None => Vec::new(),
    };
    Ok(alarm(Alarm {
        kind,
        subject: app_subject(installation),
        connection: connection.as_ref(),
        text,
        command: connection.as_ref().and_then(|connection| command(["connections", "check", &connection.name])),
        hold,
        ..Alarm::default()
    }))
}

/// What the alarm about an App on an account is called, whichever installation it is.
pub(super) fn app_subject(installation: &StoredInstallation) -> String {
    format!("app:{}:{}", installation.app, installation.account.to_lowercase())
}

/// Ends an alarm, if it stands.
pub(super) async fn over(services: &Services, subject: String, text: String) -> Result<()> {
    services.catalog.end_alarm(NewNotice { kind: RESOLVED, text, subject: Some(subject), ..NewNotice::default() }).await
}

async fn held(services: &Services, connection: &Connection) -> Result<Vec<RepoId>> {
    if !services.settings.alarms.hold {
        return Ok(Vec::new());
    }
    services.catalog.backed_up_through(connection.id).await
}

/// What an alarm is made of.
#[derive(Default)]
pub(super) struct Alarm<'a> {
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) connection: Option<&'a Connection>,
    pub(super) repository: Option<&'a Repository>,
    pub(super) text: String,
    pub(super) command: Option<String>,
    pub(super) hold: Vec<RepoId>,
    /// What the holds say; by default what people are told.
    pub(super) reason: Option<String>,
}

pub(super) fn alarm(of: Alarm<'_>) -> NewAlarm {
    let of_repository = of.repository.map(|repository| repository.connection_id);
    NewAlarm {
        hold: of.hold,
        reason: of.reason.unwrap_or_else(|| of.text.clone()),
        notice: NewNotice {
            kind: of.kind,
            severity: Severity::Alarm,
            connection: of.connection.map(|connection| connection.id).or(of_repository),
            repo: of.repository.map(|repository| repository.id.clone()),
            text: of.text,
            subject: Some(of.subject),
            command: of.command,
        },
    }
}
