//! What people ask from a chat: through the door that the platform uses, with the real program, a Discord and a GitHub to
//! talk to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "desk/azure.rs"]
mod azure;
#[path = "desk/doors.rs"]
mod doors;
#[path = "desk/faults.rs"]
mod faults;
#[path = "desk/looking.rs"]
mod looking;
#[path = "desk/policies.rs"]
mod policies;
#[path = "desk/restores.rs"]
mod restores;
#[path = "desk/scene.rs"]
mod scene;
#[path = "desk/words.rs"]
mod words;
#[path = "desk/work.rs"]
mod work;
