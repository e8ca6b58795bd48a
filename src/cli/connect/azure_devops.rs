//! `refward connect azure-devops`.

use std::path::PathBuf;

use url::Url;

use super::{Selection, secret_from};
use crate::domain::{Error, Result};
use crate::forge::{OauthClient, Proof};
use crate::ops::connect::Connect;
use crate::services::Given;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("opens").args(["token_file", "client_secret_file", "client_certificate_file"]).required(true)))]
pub(in crate::cli) struct Args {
    /// What to call this connection.
    #[arg(long)]
    name: String,
    /// The organization or collection: https://dev.azure.com/ORG or https://HOST/COLLECTION.
    #[arg(long)]
    url: Url,
    /// File with a personal access token; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The Entra tenant of the service principal, by its id or domain.
    #[arg(long, requires = "client_id")]
    tenant: Option<String>,
    /// The application (client) id of the service principal.
    #[arg(long, requires = "tenant")]
    client_id: Option<String>,
    /// File with the service principal's client secret; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// PEM file with the service principal's certificate and its private key; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_certificate_file: Option<PathBuf>,
    /// Where Entra is, in a national cloud.
    #[arg(long, value_name = "URL", default_value = "https://login.microsoftonline.com")]
    authority: Url,
    #[command(flatten)]
    selection: Selection,
}

impl Args {
    pub fn request(self) -> Result<Connect> {
        Ok(Connect {
            given: self.given()?,
            forge: "azure-devops".to_owned(),
            name: self.name,
            url: self.url,
            owner: None,
            webhook_secret: None,
            settings: self.selection.into(),
        })
    }

    fn given(&self) -> Result<Given> {
        if let Some(file) = &self.token_file {
            return Ok(Given::Token(secret_from(file, "the token")?));
        }
        let proof = match (&self.client_secret_file, &self.client_certificate_file) {
            (Some(file), _) => Proof::Secret(secret_from(file, "the client secret")?),
            (None, Some(file)) => Proof::Certificate(secret_from(file, "the certificate")?),
            (None, None) => return Err(nothing_opens()),
        };
        let (Some(tenant), Some(client_id)) = (self.tenant.clone(), self.client_id.clone()) else {
            return Err(nothing_opens());
        };
        let client = OauthClient { authority: self.authority.clone(), tenant, client_id };
        Ok(Given::Client { client, proof })
    }
}

fn nothing_opens() -> Error {
    Error::bad_request("nothing says what to sign in with")
        .hint("--token-file, or --tenant and --client-id with --client-secret-file or --client-certificate-file")
}
