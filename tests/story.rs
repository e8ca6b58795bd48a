//! What Refward promises, end to end: the real program, real git over HTTP, a GitHub double. One file per story.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "story/across_forges.rs"]
mod across_forges;
#[path = "story/alarms.rs"]
mod alarms;
#[path = "story/announce.rs"]
mod announce;
#[path = "story/apps.rs"]
mod apps;
#[path = "story/azure.rs"]
mod azure;
#[path = "story/compaction.rs"]
mod compaction;
#[path = "story/connect.rs"]
mod connect;
#[path = "story/continuity.rs"]
mod continuity;
#[path = "story/deliveries.rs"]
mod deliveries;
#[path = "story/demo.rs"]
mod demo;
#[path = "story/folders.rs"]
mod folders;
#[path = "story/namesakes.rs"]
mod namesakes;
#[path = "story/older_catalog.rs"]
mod older_catalog;
#[path = "story/pair.rs"]
mod pair;
#[path = "story/places.rs"]
mod places;
#[path = "story/policies.rs"]
mod policies;
#[path = "story/pool.rs"]
mod pool;
#[path = "story/proof.rs"]
mod proof;
#[path = "story/push.rs"]
mod push;
#[path = "story/repositories.rs"]
mod repositories;
#[path = "story/restore.rs"]
mod restore;
#[path = "story/service.rs"]
mod service;
#[path = "story/shapes.rs"]
mod shapes;
