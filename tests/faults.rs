//! The world breaks, the process is killed, the vault is tampered with: nothing is lost, nothing is written twice, and
//! what is wrong is said where it can be seen.
//!
//! The service is the real binary in processes of its own. What it does not know is that the servers around it hold their
//! answers until the story says so; see `support/faults.rs`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/faults.rs"]
mod doubles;
mod support;

mod faults {
    mod crash;
    mod stage;
}
