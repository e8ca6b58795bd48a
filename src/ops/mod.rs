//! What a person or an event can ask for: one file per thing asked.
//!
//! The doors (command line, HTTP, chat) turn words into these calls and their answers into words again; nothing in here
//! knows of terminals, requests or platforms.

pub mod accept;
pub mod adjust;
pub mod apps;
pub mod audit;
pub mod backup;
pub mod compact;
pub mod connect;
pub mod credentials;
pub mod disconnect;
pub mod health;
pub mod history;
pub mod holds;
pub mod hooks;
pub mod identity;
pub mod inventory;
pub mod notices;
pub mod pair;
pub mod people;
pub mod policy;
pub mod protection;
pub mod prune;
pub mod rebuild;
pub mod report;
pub mod repos;
pub mod restore;
pub mod restores;
pub mod retention;
pub mod rotate;
pub mod setup;
pub mod status;
pub mod verify;

pub use crate::catalog::{ConnectionSettings, Listing};
pub use crate::forge::Inspection;
pub use crate::jobs::Discovered;
pub use crate::vault::Level;
