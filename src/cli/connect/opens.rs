//! What opens an owner: a token, or a client of an OAuth authority with what proves it.

use std::path::PathBuf;

use url::Url;

use super::secret_from;
use crate::domain::{Error, Result};
use crate::forge::{OauthClient, Proof};
use crate::services::Given;

/// One of them.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("opens").args(["token_file", "client_secret_file", "client_certificate_file"]).required(true)))]
pub(in crate::cli) struct Opens {
    /// File with a token; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The Entra tenant of a service principal, by its id or domain.
    #[arg(long, requires = "client_id")]
    tenant: Option<String>,
    /// The application (client) id of a service principal.
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
}

impl Opens {
    pub fn given(&self) -> Result<Given> {
        if let Some(file) = &self.token_file {
            return Ok(Given::Token(secret_from(file, "the token")?));
        }
        let proof = proof(self.client_secret_file.as_ref(), self.client_certificate_file.as_ref())?;
        let (Some(proof), Some(tenant), Some(client_id)) = (proof, self.tenant.clone(), self.client_id.clone()) else {
            return Err(Error::bad_request("nothing says what to sign in with").hint(
                "--token-file, or --tenant and --client-id with --client-secret-file or --client-certificate-file",
            ));
        };
        let client = OauthClient { authority: self.authority.clone(), tenant, client_id };
        Ok(Given::Client { client, proof })
    }
}

/// What proves a client, from whichever file there is.
pub(in crate::cli) fn proof(secret: Option<&PathBuf>, certificate: Option<&PathBuf>) -> Result<Option<Proof>> {
    Ok(match (secret, certificate) {
        (Some(file), _) => Some(Proof::Secret(secret_from(file, "the client secret")?)),
        (None, Some(file)) => Some(Proof::Certificate(secret_from(file, "the certificate")?)),
        (None, None) => None,
    })
}
