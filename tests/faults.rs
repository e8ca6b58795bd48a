//! The world breaks, the process is killed, the vault is tampered with: nothing is lost, nothing is written twice, and
//! what is wrong is said where it can be seen.
//!
//! The service is the real program in processes of its own. It does not know that the servers around it hold their
//! answers until the story says so; see `support/faults.rs`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod faults {
    mod compaction;
    mod crash;
    mod database;
    mod disk;
    mod forge;
    mod hooks;
    mod restores;
    mod rivals;
    mod stage;
    mod syscalls;
    mod vault;
}
