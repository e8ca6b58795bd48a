//! `refward ask`: what people ask from a chat, asked here.

use super::{Context, output};
use crate::config;
use crate::desk;
use crate::domain::Result;

#[derive(clap::Args)]
pub(super) struct Args {
    /// As in a chat, e.g. `status`, `restore acme/api --ref main`; `help` tells all.
    #[arg(required_unless_present = "press", trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORD")]
    words: Vec<String>,
    /// Press a button of an answer instead.
    #[arg(long, value_name = "BUTTON", conflicts_with = "words")]
    press: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    let name = config::user();
    let reply = match &args.press {
        Some(button) => desk::press(&services, &name, button).await?,
        None => desk::ask(&services, &name, &args.words).await?,
    };
    output::print(context.json, &reply, desk::plain)
}
