//! What a forge promises, and how our GitHub adapter keeps it against a GitHub-like host.

mod support;

#[path = "forge/git_server.rs"]
mod git_server;
