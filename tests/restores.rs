//! Restores that people ask for from afar: planned, confirmed, approved by a second person, carried out exactly once.
//!
//! The stories talk to `ops::restores` as the desk does; the forge is the double, with real git behind it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod restores {
    mod across;
    mod carried_out;
    mod decided;
    mod downloads;
    mod office;
    mod planned;
    mod shown;
}
