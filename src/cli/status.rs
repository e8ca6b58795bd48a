//! `refward status`: how every repository stands.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Context, output};
use crate::domain::Result;
use crate::ops::policy::Waiting;
use crate::ops::status::{Lags, RepoStatus, Status, SurveyStatus, VaultStatus, status};
use crate::vault::Protection;

pub(super) async fn run(context: &Context) -> Result<()> {
    output::print(context.json, &status(&context.catalog().await?).await?, describe)
}

fn describe(status: &Status) -> String {
    let header = ["repository", "connection", "health", "state", "last snapshot", "took", "behind", "queue", "why"];
    let rows = status.repositories.iter().map(describe_repository);
    let mut text = output::table(header, rows, "No repositories yet: refward connect --help");
    if let Some(lags) = describe_lags(&status.push_to_snapshot) {
        text += &format!("\n\n{lags}");
    }
    for survey in &status.surveys {
        text += &format!("\n{}", describe_survey(survey));
    }
    for hooks in &status.hooks {
        let problem = hooks.problem.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        text += &format!("\nHooks of {}: {} of {} deliver{problem}.", hooks.connection, hooks.enabled, hooks.total);
    }
    for said in [describe_changes(status), describe_holds(status)].into_iter().filter(|said| !said.is_empty()) {
        text += &format!("\n\n{}", said.join("\n"));
    }
    let vault = describe_vault(&status.vault);
    if !vault.is_empty() {
        text += &format!("\n\nThe vault:\n  {}", vault.join("\n  "));
    }
    text
}

/// What is about to protect less, and how to stop it.
fn describe_changes(status: &Status) -> Vec<String> {
    let told = status.policy_changes.iter().map(|waiting| {
        let Waiting { change, policy, actor, effective_at, weakens, .. } = waiting;
        format!(
            "Change {change} of the policy {policy}, asked for by {actor}, acts after {} UTC unless `refward policy revoke {change}`: {}.",
            output::time(*effective_at),
            weakens.join("; ")
        )
    });
    told.collect()
}

fn describe_holds(status: &Status) -> Vec<String> {
    let paused = status.retention_paused.as_ref();
    let paused = paused.map(|why| format!("No recovery point is let go: {why} (`refward forget --resume`)."));
    let held = match status.holds.iter().map(|hold| &hold.repository).collect::<BTreeSet<_>>().len() {
        0 => None,
        count => Some(format!(
            "Held, so that nothing of them goes: {} (`refward hold list`).",
            output::count(count, "repository")
        )),
    };
    paused.into_iter().chain(held).collect()
}

fn describe_repository(row: &RepoStatus) -> [String; 9] {
    let last = row.last_snapshot.as_ref().map(|last| {
        format!("{} at {}{}", last.seq, output::time(last.time), if last.complete { "" } else { " PARTIAL" })
    });
    let missing = row.last_snapshot.iter().flat_map(|last| &last.missing).next();
    let missing = missing.map(|missing| format!("PARTIAL: {}: {}", missing.what, missing.why));
    let reason = row.health_reason.map(str::to_owned);
    let why = [row.throttled.clone(), row.last_error.clone(), missing, reason].into_iter().flatten().next();
    [
        row.repository.clone(),
        output::or_dash(row.connection.clone()),
        word(row.health),
        word(row.state),
        output::or_dash(last),
        output::or_dash(row.last_lag_ms.map(seconds)),
        output::or_dash(row.lag_ms.map(|lag| seconds(u64::try_from(lag).unwrap_or(0)))),
        row.queue.to_owned(),
        output::or_dash(why),
    ]
}

fn word(state: impl serde::Serialize) -> String {
    let word = serde_json::to_value(state).ok();
    output::or_dash(word.as_ref().and_then(serde_json::Value::as_str))
}

fn describe_vault(vault: &VaultStatus) -> Vec<String> {
    let read = vault.oldest_reading.map(|oldest| {
        format!(
            "Read to the last byte and right: {}, {}; none of them longer ago than {} UTC.",
            output::count(usize::try_from(vault.objects_read).unwrap_or(usize::MAX), "object"),
            output::bytes(vault.bytes_read),
            output::time(oldest)
        )
    });
    let protection = vault.protection.iter().flat_map(Protection::sentences);
    read.into_iter().chain(protection).collect()
}

fn describe_lags(lags: &Lags) -> Option<String> {
    let (half, most) = lags.p50_ms.zip(lags.p99_ms)?;
    let count = output::count(lags.snapshots, "snapshot");
    Some(format!(
        "From push to snapshot in the last 24 hours: {count}, half of them within {}, 99 of 100 within {}.",
        seconds(half),
        seconds(most)
    ))
}

fn describe_survey(survey: &SurveyStatus) -> String {
    let name = &survey.connection;
    let last = survey.last.zip(survey.requests).map(|(at, requests)| {
        let requests = output::count(usize::try_from(requests).unwrap_or(usize::MAX), "request");
        format!("{name}: looked at as a whole at {} in {requests}", output::time(at))
    });
    let mut text = last.unwrap_or_else(|| format!("{name}: not yet looked at as a whole"));
    if let Some(next) = survey.next {
        text += &format!("; next at {}", output::time(next));
    }
    survey.last_error.as_ref().map_or(text.clone(), |error| format!("{text}. It failed: {error}"))
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", Duration::from_millis(millis).as_secs_f64())
}
