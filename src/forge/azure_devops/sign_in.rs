//! Letting us act, in a browser.

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::{AzureDevops, unbuilt};
use crate::domain::{Error, Result};
use crate::forge::{OauthClient, Proof, SignIn};

#[async_trait]
impl SignIn for AzureDevops {
    fn authority(&self) -> Url {
        Url::parse("https://login.microsoftonline.com/").expect("a constant address")
    }

    fn settle_client(&self, client: &OauthClient) -> Result<OauthClient> {
        Ok(client.clone())
    }

    fn consent_page(&self, _client: &OauthClient, _back: &Url, _state: &str) -> Result<Url> {
        Err(unbuilt())
    }

    fn sign_in_page(&self, _client: &OauthClient, _back: &Url, _state: &str, _challenge: &str) -> Result<Url> {
        Err(unbuilt())
    }

    async fn redeem(
        &self,
        _client: &OauthClient,
        _proof: &Proof,
        _back: &Url,
        _code: &SecretString,
        _verifier: &SecretString,
    ) -> Result<SecretString> {
        Err(unbuilt())
    }

    fn refused(&self, _error: &str, _description: &str) -> Error {
        unbuilt()
    }
}
