//! The `refward` program.

fn main() {}
