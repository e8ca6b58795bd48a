//! The git module against a real `git http-backend`: what is received equals what git itself would have, and what is
//! broken is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "git/azure.rs"]
mod azure;
#[path = "git/crafted.rs"]
mod crafted;
#[path = "git/faults.rs"]
mod faults;
#[path = "git/fetch.rs"]
mod fetch;
#[path = "git/index.rs"]
mod index;
#[path = "git/join.rs"]
mod join;
#[path = "git/local.rs"]
mod local;
#[path = "git/repack.rs"]
mod repack;
#[path = "git/repository.rs"]
mod repository;
#[path = "git/server.rs"]
mod server;
