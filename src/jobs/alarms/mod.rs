//! What an alarm says, and the one command that undoes the harm. The alarms are raised where the harm is seen.

mod history;

use crate::catalog::{Connection, NewAlarm, NewNotice, RESOLVED, Repository, StoredInstallation};
use crate::domain::{RepoId, Result, Severity, Undo, command, same_name};
use crate::services::Services;

pub(super) use history::of_history;

/// References that a text, or a command, names; of more it gives the number.
const NAMED: usize = 10;

/// How a repository that was backed up is not on the forge as it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// A survey does not see it any more.
    Gone,
    /// It was deleted, and can be brought back there for a while.
    Recycled,
}

impl Lost {
    /// What its notices are called.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Gone => "repository.gone",
            Self::Recycled => "repository.recycled",
        }
    }

    /// What the alarm about it is called.
    pub(super) fn subject(self, id: &RepoId) -> String {
        match self {
            Self::Gone => format!("repo:{id}:gone"),
            Self::Recycled => format!("repo:{id}:recycled"),
        }
    }

    /// After the repository's name.
    pub(super) fn so(self) -> &'static str {
        match self {
            Self::Gone => "is no longer on the forge, or out of our sight",
            Self::Recycled => {
                "was deleted on the forge, and can be brought back there until it is emptied from the recycle bin"
            }
        }
    }

    fn all_at_once(self) -> &'static str {
        match self {
            Self::Gone => "are gone from the forge at once, or out of our sight,",
            Self::Recycled => {
                "were deleted on the forge at once, and can be brought back from its recycle bin for a while,"
            }
        }
    }
}

/// What was lost, of those that were ever backed up. When it is most of a connection, or what belongs together, one notice of
/// that is the alarm, and the single ones are quiet. `left`: how many are there as before.
pub(super) async fn of_lost(
    services: &Services,
    connection: &Connection,
    lost: Lost,
    repositories: &[Repository],
    left: usize,
) -> Result<Vec<NewAlarm>> {
    let count = repositories.len();
    let together = count > 1 && (count > left || are_of_one_project(connection, repositories));
    if together {
        let names: Vec<&str> = repositories.iter().map(|lost| lost.full_name.as_str()).collect();
        let text = format!(
            "{count} repositories of {} {} and {left} are left: {}. Their backups stay.",
            connection.name,
            lost.all_at_once(),
            some_of(&names)
        );
        let subject = format!("connection:{}:repositories", connection.id);
        let command = command(["connections", "check", &connection.name]);
        let connection = Some(connection);
        let told = Alarm { kind: "connection.emptied", subject, connection, text, command, ..Alarm::default() };
        services.catalog.notify(alarm(told).notice).await?;
    }
    let alarms = repositories.iter().map(|repository| {
        let folder = repository.full_name.rsplit('/').next().unwrap_or_default();
        let mut alarm = alarm(Alarm {
            kind: lost.kind(),
            subject: lost.subject(&repository.id),
            repository: Some(repository),
            text: format!("{} {}. Its backups stay.", repository.full_name, lost.so()),
            command: command(["restore", repository.id.as_str(), "--to-dir", folder]),
            hold: if services.settings.alarms.hold { vec![repository.id.clone()] } else { Vec::new() },
            ..Alarm::default()
        });
        alarm.notice.severity = if together { Severity::Info } else { Severity::Alarm };
        alarm
    });
    Ok(alarms.collect())
}

/// What an owner's repositories belong to besides the owner is lost with them.
fn are_of_one_project(connection: &Connection, repositories: &[Repository]) -> bool {
    let project = |repository: &Repository| repository.full_name.split_once('/').map(|(project, _)| project.to_owned());
    let first = repositories.first().and_then(project);
    let apart = first.as_ref().is_some_and(|project| !same_name(project, &connection.owner));
    apart && repositories.iter().all(|repository| project(repository) == first)
}

/// As many names as a text can take, and the number of the others.
pub(super) fn some_of(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
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
