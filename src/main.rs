//! The `refward` program.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    refward::cli::run(refward::cli::Cli::parse())
}
