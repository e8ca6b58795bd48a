//! Chat platforms: our adapters, and the doubles that they are held against.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "chat/bot.rs"]
mod bot;
#[path = "chat/double.rs"]
mod double;
#[path = "chat/double_people.rs"]
mod double_people;
#[path = "chat/double_world.rs"]
mod double_world;
