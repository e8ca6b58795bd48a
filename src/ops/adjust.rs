//! Changing which of a connection's repositories are backed up, how they are grouped and when they are listed.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::connect::{check_name, named};
use crate::catalog::{ConnectionSettings, Listing, Priority, job_kind};
use crate::domain::{Error, Result};
use crate::forge::quota::Urgency;
use crate::jobs::{self, Discovered, Filter, groups_of};
use crate::services::Services;

/// Listing more often than that brings nothing that webhooks do not.
const SHORTEST: Duration = Duration::from_mins(1);

/// What is to change; `None`: it stays as it is.
#[derive(Default)]
pub struct Wish {
    /// Back up repositories that appear later.
    pub auto_add: Option<bool>,
    /// In the place of the globs so far; empty: all repositories.
    pub include: Option<Vec<String>>,
    /// In the place of the globs so far; empty: none.
    pub exclude: Option<Vec<String>>,
    /// Groups that are new or get other globs: `(name, glob)`, a name as often as it has globs.
    pub groups: Vec<(String, String)>,
    /// Groups that are no more.
    pub no_groups: Vec<String>,
    /// When repositories are listed; `Some(None)`: when it seems worth it.
    pub listing: Option<Option<Listing>>,
}

/// What was changed, and what came of it.
#[derive(Debug, Serialize)]
pub struct Adjusted {
    /// The connection.
    pub name: String,
    /// Empty: everything was so already.
    pub changes: Vec<Changed>,
    /// What the list brought under the new settings; `None`: nothing changed, so it was not read.
    pub repositories: Option<Discovered>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Changed {
    pub setting: String,
    pub from: String,
    pub to: String,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.setting, self.from, self.to)
    }
}

/// Checks the wish, keeps it, and reads the list of repositories again.
pub async fn adjust(services: &Services, name: &str, wish: Wish) -> Result<Adjusted> {
    let connection = named(services, name).await?;
    let settings = fulfil(&connection.settings, wish)?;
    let changes = differences(&connection.settings, &settings);
    if changes.is_empty() {
        return Ok(Adjusted { name: connection.name, changes, repositories: None });
    }
    services.catalog.change_connection(connection.id, &settings).await?;
    match jobs::discover(services, connection.id, Urgency::Person).await {
        Ok(found) => Ok(Adjusted { name: connection.name, changes, repositories: Some(found) }),
        Err(error) => {
            services.catalog.enqueue(job_kind::DISCOVER, &connection.id.to_string(), Priority::Manual).await?;
            Err(error.hint("the new settings are kept; the service lists the repositories as soon as it can"))
        }
    }
}

fn fulfil(before: &ConnectionSettings, wish: Wish) -> Result<ConnectionSettings> {
    let mut settings = before.clone();
    settings.auto_add = wish.auto_add.unwrap_or(settings.auto_add);
    settings.include = wish.include.unwrap_or(settings.include);
    settings.exclude = wish.exclude.unwrap_or(settings.exclude);
    settings.listing = wish.listing.unwrap_or(settings.listing);
    for name in &wish.no_groups {
        settings.groups.remove(name).ok_or_else(|| Error::not_found(format!("there is no group called `{name}`")))?;
    }
    for (name, _) in &wish.groups {
        check_name("group", name)?;
        settings.groups.remove(name);
    }
    for (name, glob) in wish.groups {
        settings.groups.entry(name).or_default().push(glob);
    }
    if let Some(Listing::Every(pause)) = settings.listing
        && pause < SHORTEST
    {
        return Err(Error::bad_request("repositories are listed once a minute at most"));
    }
    // They say which glob is wrong.
    Filter::new(&settings)?;
    groups_of(&settings, "owner/name")?;
    Ok(settings)
}

fn differences(before: &ConnectionSettings, after: &ConnectionSettings) -> Vec<Changed> {
    let mut changes = Vec::new();
    let mut compare = |setting: String, from: String, to: String| {
        if from != to {
            changes.push(Changed { setting, from, to });
        }
    };
    compare("new repositories".to_owned(), added(before.auto_add), added(after.auto_add));
    compare("include".to_owned(), globs(&before.include, "all"), globs(&after.include, "all"));
    compare("exclude".to_owned(), globs(&before.exclude, "none"), globs(&after.exclude, "none"));
    let names: std::collections::BTreeSet<&String> = before.groups.keys().chain(after.groups.keys()).collect();
    for name in names {
        let of = |settings: &ConnectionSettings| globs(settings.groups.get(name).map_or(&[], Vec::as_slice), "none");
        compare(format!("group {name}"), of(before), of(after));
    }
    compare("listing".to_owned(), listed(before.listing), listed(after.listing));
    changes
}

/// In words.
pub fn added(auto_add: bool) -> String {
    if auto_add { "backed up" } else { "not backed up" }.to_owned()
}

/// In words; `nothing` stands in for no globs.
pub fn globs(globs: &[String], nothing: &str) -> String {
    if globs.is_empty() { nothing.to_owned() } else { globs.join(", ") }
}

/// In words.
pub fn listed(listing: Option<Listing>) -> String {
    match listing {
        None => "as often as it seems worth it".to_owned(),
        Some(Listing::Every(pause)) => format!("every {}", humantime_serde::re::humantime::format_duration(pause)),
        Some(Listing::DailyAt(time)) => format!("daily at {} UTC", time.format("%H:%M")),
    }
}
