//! Letting us act, in a browser.

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::{AzureDevops, unbuilt};
use crate::domain::Result;
use crate::forge::{OauthClient, Proof, SignIn};

#[async_trait]
impl SignIn for AzureDevops {
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
}
