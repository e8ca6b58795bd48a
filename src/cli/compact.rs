//! `refward compact`: fewer objects now, not when it is their turn.

use super::which::Which;
use super::{Context, output};
use crate::domain::Result;
use crate::ops::compact::{Compacted, Objects, compact};

pub(super) async fn run(context: &Context, which: Which) -> Result<()> {
    let services = context.services().await?;
    let repositories = which.repositories(&services).await?;
    let bar = output::progress("repositories");
    bar.set_length(repositories.len() as u64);
    let mut done = Vec::new();
    for repository in &repositories {
        done.push(compact(&services, repository).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    output::print(context.json, &done, |done| {
        output::table(["repository", "before", "after"], done.iter().map(row), "Nothing to join yet.")
    })
}

fn row(done: &Compacted) -> [String; 3] {
    [done.repository.clone(), describe(done.before), describe(done.after)]
}

fn describe(Objects { objects, bytes }: Objects) -> String {
    format!("{}, {}", output::count(objects, "object"), output::bytes(bytes))
}
