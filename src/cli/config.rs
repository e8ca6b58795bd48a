//! `refward config check`: the settings in force.

use super::{Context, output};
use crate::domain::{Error, Result};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Read the settings, refuse what is wrong, and print what is in force; secrets are blotted out.
    Check,
}

pub(super) fn run(context: &Context, command: &Command) -> Result<()> {
    let Command::Check = command;
    let shown = context.settings()?.redacted()?;
    let value: toml::Value =
        toml::from_str(&shown).map_err(|error| Error::bug("cannot print the settings").detail(error))?;
    output::print(context.json, &value, |_| shown.clone())
}
