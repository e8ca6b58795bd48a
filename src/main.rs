//! The `refward` program.

use std::process::ExitCode;

use refward::cli;

fn main() -> ExitCode {
    cli::parse().map_or_else(|refused| refused, cli::run)
}
