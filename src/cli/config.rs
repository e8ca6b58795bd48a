//! `refward config check`: the settings in force.

use super::{Context, output};
use crate::domain::{Error, Result};
use crate::services::Services;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Read the settings and the keys, refuse what is wrong, and print what is in force; secrets are blotted out. Nothing is
    /// asked of any other machine.
    Check,
}

pub(super) fn run(context: &Context, command: &Command) -> Result<()> {
    let Command::Check = command;
    let settings = context.settings()?;
    Services::check(&settings)?;
    let shown = settings.redacted()?;
    let value: toml::Value =
        toml::from_str(&shown).map_err(|error| Error::bug("cannot print the settings").detail(error))?;
    output::print(context.json, &value, |_| shown.clone())
}
