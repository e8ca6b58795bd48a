//! `refward status`: how every repository stands.

use std::time::Duration;

use super::{Context, output};
use crate::domain::Result;
use crate::ops::status::{Lags, RepoStatus, Status, SurveyStatus, status};

pub(super) async fn run(context: &Context) -> Result<()> {
    output::print(context.json, &status(&context.catalog().await?).await?, describe)
}

fn describe(status: &Status) -> String {
    let header = ["repository", "connection", "state", "last snapshot", "took", "behind", "queue", "why"];
    let rows = status.repositories.iter().map(describe_repository);
    let mut text = output::table(header, rows, "No repositories yet: refward connect --help");
    if let Some(lags) = describe_lags(&status.push_to_snapshot) {
        text += &format!("\n\n{lags}");
    }
    for survey in &status.surveys {
        text += &format!("\n{}", describe_survey(survey));
    }
    text
}

fn describe_repository(row: &RepoStatus) -> [String; 8] {
    let last = row.last_snapshot.as_ref().map(|last| {
        format!("{} at {}{}", last.seq, output::time(last.time), if last.complete { "" } else { " PARTIAL" })
    });
    let state = serde_json::to_value(row.state).ok().and_then(|value| value.as_str().map(str::to_owned));
    [
        row.repository.clone(),
        output::or_dash(row.connection.clone()),
        output::or_dash(state),
        output::or_dash(last),
        output::or_dash(row.last_lag_ms.map(seconds)),
        output::or_dash(row.lag_ms.map(|lag| seconds(u64::try_from(lag).unwrap_or(0)))),
        row.queue.to_owned(),
        output::or_dash(row.throttled.as_ref().or(row.last_error.as_ref())),
    ]
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
