//! `refward demo`: a guided tour on this machine alone.

pub mod forge;
pub mod git_server;
