//! `refward audit`: who asked for what, and what became of it.

use super::{Context, output};
use crate::domain::{Error, Point, Result};
use crate::ops::audit::{self, Checked, Row, Signed, Standing};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Look at every row: that none was changed, taken out, or put in, and that the vault has it signed so.
    #[arg(long, conflicts_with_all = ["since", "limit"])]
    verify: bool,
    /// Only what happened since then, e.g. "30 days ago" or 2026-11-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Point>,
    /// The newest, at most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    if args.verify {
        let checked = audit::verify(&*context.services().await?).await?;
        output::print(context.json, &checked, describe)?;
        return audit::broken(&checked).map_or(Ok(()), Err);
    }
    let since = match args.since {
        None => None,
        Some(Point::Time(since)) => Some(since),
        Some(Point::Seq(_)) => return Err(Error::bad_request("--since takes a time, such as \"30 days ago\"")),
    };
    let rows = audit::list(&context.catalog().await?, since, args.limit).await?;
    output::print(context.json, &rows, |rows| {
        let header = ["no", "time (UTC)", "who", "from", "what", "", "about"];
        output::table(header, rows.iter().map(row), "Nothing is recorded yet.")
    })
}

fn row(row: &Row) -> [String; 7] {
    let verdict = output::word(&row.verdict);
    let about = output::or_dash(row.subject.clone());
    [
        row.seq.to_string(),
        output::time(row.at),
        row.actor.clone(),
        row.origin.clone(),
        row.action.clone(),
        verdict,
        about,
    ]
}

fn describe(checked: &Checked) -> String {
    let rows = output::count(usize::try_from(checked.rows).unwrap_or(usize::MAX), "row");
    let chain = match &checked.fault {
        None if checked.rows == 0 => "Nothing is recorded yet.".to_owned(),
        None => format!("{rows}, each follows from the one before it."),
        Some(fault) => format!("Row {} {}; before it: {rows} as they were written.", fault.seq, fault.what),
    };
    let signed = match (&checked.forged, &checked.signed) {
        (Some(forged), _) => format!("{forged}."),
        (None, Some(signed)) => describe_end(signed),
        (None, None) => "Nothing of it is signed in the vault yet: the service does that once a day.".to_owned(),
    };
    format!("{chain}\n{signed}")
}

fn describe_end(signed: &Signed) -> String {
    let Signed { object, at, seq, standing } = signed;
    let at = output::time(*at);
    match standing {
        Standing::Holds => format!("Signed in the vault up to row {seq}, at {at} UTC: {object}"),
        Standing::Lost => format!(
            "It began anew when the database was rebuilt. The one before ended after row {seq} or later: {object}, {at} UTC"
        ),
        Standing::Differs => format!(
            "It is not the one that was signed in the vault at {at} UTC: rows up to {seq} were changed or are gone: {object}"
        ),
    }
}
