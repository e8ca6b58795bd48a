//! Hooks that we set up ourselves: made, mended, looked after; and what they could not deliver is found.
//!
//! The forge is the double of Azure DevOps, which delivers over HTTP to a service's real door.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

#[path = "kept_hooks/door.rs"]
mod door;
#[path = "kept_hooks/house.rs"]
mod house;
#[path = "kept_hooks/lost.rs"]
mod lost;
#[path = "kept_hooks/made.rs"]
mod made;
