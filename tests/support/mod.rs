//! Doubles and helpers shared by the integration tests.
#![allow(dead_code, unused_imports, reason = "every test file compiles this on its own and uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]
#![allow(clippy::allow_attributes, reason = "an `expect` would fail in the files that use everything")]

pub mod adopted;
pub mod azure_world;
pub mod chat_world;
pub mod database;
pub mod fake_azure_devops;
pub mod fake_discord;
pub mod fake_entra;
pub mod fake_github;
pub mod faults;
pub mod openapi;
pub mod postgres;
pub mod receiver;
pub mod s3;
pub mod shell;
pub mod smtp;
pub mod world;
