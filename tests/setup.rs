//! Registering and installing Apps, in a browser and by hand, from the first link to a snapshot.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "setup/by_hand.rs"]
mod by_hand;

use support::world::{Ran, World};

/// What a person sees, with what differs from run to run taken out.
fn seen(world: &World, ran: &Ran) -> String {
    let port = world.github.url().port().unwrap();
    format!("{}{}=> {}", ran.stdout, ran.stderr, ran.code)
        .replace(&world.path(""), "[DIR]/")
        .replace(&format!(":{port}"), ":PORT")
}
