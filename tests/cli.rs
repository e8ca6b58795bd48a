//! The command line as people and scripts meet it: help, answers, errors, exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "cli/answers.rs"]
mod answers;
#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/settings.rs"]
mod settings;

use support::world::{Ran, World};

/// What a person sees, with what differs from run to run taken out.
fn seen(world: &World, ran: &Ran) -> String {
    let port = world.github.url().port().unwrap();
    let text = format!("{}{}=> {}", ran.stdout, ran.stderr, ran.code);
    text.replace(&world.path(""), "[DIR]/").replace(&format!(":{port}"), ":PORT")
}

/// Runs a command and tells what a person sees.
async fn run(world: &World, arguments: &[&str]) -> String {
    seen(world, &world.refward(arguments).await)
}
