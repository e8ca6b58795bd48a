//! The vault from outside: what goes in comes out, what is changed is noticed, and other programs can read it.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "vault/consolidated.rs"]
mod consolidated;
#[path = "vault/damage.rs"]
mod damage;
#[path = "vault/keys.rs"]
mod keys;
#[path = "vault/program.rs"]
mod program;
#[path = "vault/protection.rs"]
mod protection;
#[path = "vault/recovery.rs"]
mod recovery;
#[path = "vault/round_trip.rs"]
mod round_trip;
#[path = "support/s3.rs"]
mod s3;
#[path = "vault/stores.rs"]
mod stores;
#[path = "vault/support.rs"]
mod support;
#[path = "vault/trouble.rs"]
mod trouble;
