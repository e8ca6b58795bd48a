//! `refward drill`: prove now that repositories can be restored.

use super::report::describe;
use super::which::Which;
use super::{Context, output};
use crate::domain::{Error, Result};
use crate::ops::verify::drill;

pub(super) async fn run(context: &Context, which: Which) -> Result<()> {
    let services = context.services().await?;
    let repositories = which.repositories(&services).await?;
    let bar = output::progress("repositories");
    bar.set_length(repositories.len() as u64);
    let mut reports = Vec::new();
    for repository in &repositories {
        reports.push(drill(&services, repository).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    output::print(context.json, &reports, |reports| match reports[..] {
        [] => "Nothing to drill yet.".to_owned(),
        _ => reports.iter().map(describe).collect(),
    })?;
    let failed = reports.iter().filter(|report| !report.passed).count();
    if failed == 0 {
        return Ok(());
    }
    Err(Error::damaged(format!("{} failed", output::count(failed, "drill"))).hint(
        "`refward verify REPO --read-data` finds all that is damaged; what is whole can be restored by its number",
    ))
}
