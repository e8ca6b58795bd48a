//! `refward status`: how every repository stands.

use super::{Context, output};
use crate::domain::Result;
use crate::ops::status::{RepoStatus, status};

pub(super) async fn run(context: &Context) -> Result<()> {
    let rows = status(&context.catalog().await?).await?;
    output::print(context.json, &rows, |rows| {
        let header = ["repository", "connection", "state", "last snapshot", "lag", "queue", "last error"];
        output::table(header, rows.iter().map(describe), "No repositories yet: refward connect --help")
    })
}

fn describe(row: &RepoStatus) -> [String; 7] {
    let last = row.last_snapshot.as_ref().map(|last| {
        format!("{} at {}{}", last.seq, output::time(last.time), if last.complete { "" } else { " PARTIAL" })
    });
    let state = serde_json::to_value(row.state).ok().and_then(|value| value.as_str().map(str::to_owned));
    [
        row.repository.clone(),
        output::or_dash(row.connection.clone()),
        output::or_dash(state),
        output::or_dash(last),
        row.lag_ms.map_or_else(
            || "-".to_owned(),
            |lag| format!("{:.1} s", std::time::Duration::from_millis(u64::try_from(lag).unwrap_or(0)).as_secs_f64()),
        ),
        row.queue.to_owned(),
        output::or_dash(row.last_error.clone()),
    ]
}
