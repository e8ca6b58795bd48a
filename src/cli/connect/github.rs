//! `refward connect github`.

use std::path::PathBuf;

use url::Url;

use super::{Selection, secret_from};
use crate::domain::Result;
use crate::ops::connect::Connect;
use crate::services::Given;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// What to call this connection.
    #[arg(long)]
    name: String,
    /// The host's web address: of github.com, SUBDOMAIN.ghe.com or a GitHub Enterprise Server.
    #[arg(long, default_value = "https://github.com")]
    url: Url,
    /// The organization or user whose repositories are backed up.
    #[arg(long)]
    owner: String,
    /// File with the token; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// File with the secret that the forge signs webhooks with.
    #[arg(long, value_name = "FILE")]
    webhook_secret_file: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

impl Args {
    pub fn request(self) -> Result<Connect> {
        Ok(Connect {
            forge: "github".to_owned(),
            name: self.name,
            url: self.url,
            owner: Some(self.owner),
            given: Given::Token(secret_from(&self.token_file, "the token")?),
            webhook_secret: Some(secret_from(&self.webhook_secret_file, "the webhook secret")?),
            settings: self.selection.into(),
        })
    }
}
