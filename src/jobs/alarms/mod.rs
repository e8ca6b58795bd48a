//! What an alarm says, and the one command that undoes the harm. The alarms are raised where the harm is seen.

mod history;

use crate::catalog::{Connection, NewAlarm, NewNotice, RESOLVED, Repository, StoredInstallation};
use crate::domain::{RepoId, Result, Severity, Undo, command};
use crate::services::Services;

pub(super) use history::of_history;

/// References that a text, or a command, names; of more it gives the number.
const NAMED: usize = 10;

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
    // Accounts are renamed; an installation that is made anew has another number.
    let account = installation.account_id.clone().unwrap_or_else(|| installation.account.to_lowercase());
    format!("app:{}:{account}", installation.app)
}

/// Ends an alarm; `false`: it did not stand, and nothing was said.
pub(super) async fn over(services: &Services, subject: String, text: String) -> Result<bool> {
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
    pub(super) undo: Option<Undo>,
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
            undo: of.undo,
        },
    }
}
