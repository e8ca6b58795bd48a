//! Refward: git-native incremental backup for GitHub and Azure DevOps. The architecture is told in `src/README.md`.
//!
//! A module may use only the modules above it; `tests/architecture.rs` enforces that.

pub mod domain;

pub mod config;

pub mod git;
pub mod vault;

pub mod catalog;
pub mod chat;
pub mod forge;
pub mod notify;

pub mod services;

pub mod assembly;

pub mod jobs;

pub mod ops;

pub mod desk;

pub mod web;

pub mod cli;
