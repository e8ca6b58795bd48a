//! Hooks that we have set up on forges: how they stand, and putting them right now.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connect::named;
use crate::catalog::{Catalog, Connection, HookCare, StoredHook};
use crate::domain::{Error, Result};
use crate::forge::HookState;
use crate::jobs::{Job, run_now, switch_on_hooks};
use crate::services::Services;

/// How the hooks of one connection stand.
#[derive(Clone, Debug, Serialize)]
pub struct HookSummary {
    /// The connection.
    pub connection: String,
    /// All that we have set up.
    pub total: usize,
    /// Those that deliver.
    pub enabled: usize,
    /// Those with which something was wrong at the last look, mended since or not.
    pub troubled: usize,
    /// When they were last found, or put, as they should be.
    pub checked_at: Option<DateTime<Utc>>,
    /// Why that cannot be done now.
    pub problem: Option<String>,
}

/// A hook.
#[derive(Clone, Debug, Serialize)]
pub struct HookRow {
    /// The connection.
    pub connection: String,
    /// What it is for.
    pub scope: String,
    /// The forge's name for the event.
    pub event: String,
    /// `enabled`, `probation`, …
    pub state: String,
    /// What was wrong with it, until a look finds that nothing is: a state, `missing`, `altered`.
    pub trouble: Option<String>,
    /// Since when.
    pub troubled_since: Option<DateTime<Utc>>,
    /// The forge's id.
    pub id: String,
}

/// What was put right.
#[derive(Debug, Serialize)]
pub struct Repaired {
    /// Hooks that somebody had switched off, and that are on again.
    pub switched_on: usize,
    /// How they stand now.
    pub now: HookSummary,
}

/// How hooks stand, of every connection of which we have set some up, or should have.
pub async fn summary(catalog: &Catalog) -> Result<Vec<HookSummary>> {
    let (hooks, care) = (catalog.hooks(None).await?, catalog.hook_care().await?);
    let summaries = catalog.connections().await?.into_iter().filter_map(|connection| {
        let mine = || hooks.iter().filter(|hook| hook.connection == connection.id);
        let HookCare { checked_at, failing } = care.get(&connection.id).cloned().unwrap_or_default();
        let (problem, total) = (failing.map(|(why, _)| why), mine().count());
        (total > 0 || checked_at.is_some() || problem.is_some()).then(|| HookSummary {
            total,
            enabled: mine().filter(|hook| hook.state == HookState::Enabled.word()).count(),
            troubled: mine().filter(|hook| hook.trouble.is_some()).count(),
            checked_at,
            connection: connection.name.clone(),
            problem,
        })
    });
    Ok(summaries.collect())
}

/// The hooks of one connection, or of all.
pub async fn list(services: &Services, name: Option<&str>) -> Result<Vec<HookRow>> {
    let only = match name {
        Some(name) => Some(hooked(services, name).await?.id),
        None => None,
    };
    let connections = services.catalog.connections().await?;
    let row = |hook: StoredHook| {
        let connection = connections.iter().find(|known| known.id == hook.connection)?;
        let (trouble, troubled_since) = hook.trouble.unzip();
        let (connection, scope) = (connection.name.clone(), hook.scope_name);
        Some(HookRow {
            connection,
            scope,
            event: hook.event,
            state: hook.state,
            trouble,
            troubled_since,
            id: hook.forge_id,
        })
    };
    Ok(services.catalog.hooks(only).await?.into_iter().filter_map(row).collect())
}

/// Puts them right at once, those that a person has switched off as well.
pub async fn repair(services: &Services, name: &str) -> Result<Repaired> {
    let connection = hooked(services, name).await?;
    if services.settings.server.public_url.is_empty() {
        return Err(Error::misconfigured("this service has no public address that hooks could lead to")
            .hint("set `server.public_url`"));
    }
    let switched_on = switch_on_hooks(services, &connection).await?;
    run_now(services, &Job::KeepHooks(connection.id)).await?;
    let now = summary(&services.catalog).await?.into_iter().find(|summary| summary.connection == connection.name);
    Ok(Repaired { switched_on, now: now.ok_or_else(|| Error::not_found("the connection was removed meanwhile"))? })
}

async fn hooked(services: &Services, name: &str) -> Result<Connection> {
    let connection = named(services, name).await?;
    let forge = services.forge(&connection.forge)?;
    if forge.hooks().is_none() {
        let text = format!("{} lets no program set up webhooks as refward does for other forges", forge.title());
        return Err(Error::bad_request(text).hint(format!("refward connections show {name} tells of its webhook")));
    }
    Ok(connection)
}
