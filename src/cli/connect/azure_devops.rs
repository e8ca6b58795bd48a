//! `refward connect azure-devops`.

use url::Url;

use super::{Opens, Selection};
use crate::domain::Result;
use crate::ops::connect::Connect;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// What to call this connection.
    #[arg(long)]
    name: String,
    /// The organization or collection: `https://dev.azure.com/ORG` or `https://HOST/COLLECTION`.
    #[arg(long)]
    url: Url,
    #[command(flatten)]
    opens: Opens,
    #[command(flatten)]
    selection: Selection,
}

impl Args {
    pub fn request(self) -> Result<Connect> {
        Ok(Connect {
            given: self.opens.given()?,
            forge: "azure-devops".to_owned(),
            name: self.name,
            url: self.url,
            owner: None,
            webhook_secret: None,
            settings: self.selection.into(),
        })
    }
}
