//! Letting us act, in a browser: the pages of Entra on which people agree, and what they come back with.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow>

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::AzureDevops;
use super::entra::{self, Complaint, SCOPE};
use crate::domain::{Error, Result};
use crate::forge::{OauthClient, Proof, SignIn};

/// Whoever names none means the one that is not of a national cloud.
/// <https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>
const AUTHORITY: &str = "https://login.microsoftonline.com/";

#[async_trait]
impl SignIn for AzureDevops {
    fn authority(&self) -> Url {
        Url::parse(AUTHORITY).expect("a constant is an address")
    }

    fn settle_client(&self, client: &OauthClient) -> Result<OauthClient> {
        entra::settle(client)
    }

    /// <https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>
    fn consent_page(&self, client: &OauthClient, back: &Url, state: &str) -> Result<Url> {
        let mut page = entra::address(client, &["v2.0", "adminconsent"])?;
        page.query_pairs_mut()
            .append_pair("client_id", &client.client_id)
            .append_pair("scope", SCOPE)
            .append_pair("redirect_uri", back.as_str())
            .append_pair("state", state);
        Ok(page)
    }

    fn sign_in_page(&self, client: &OauthClient, back: &Url, state: &str, challenge: &str) -> Result<Url> {
        let mut page = entra::address(client, &["oauth2", "v2.0", "authorize"])?;
        page.query_pairs_mut()
            .append_pair("client_id", &client.client_id)
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("redirect_uri", back.as_str())
            .append_pair("scope", &lasting())
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            // Backups go on as this account: which one is said each time, whoever the browser is signed in as.
            .append_pair("prompt", "select_account");
        Ok(page)
    }

    async fn redeem(
        &self,
        client: &OauthClient,
        proof: &Proof,
        back: &Url,
        code: &SecretString,
        verifier: &SecretString,
    ) -> Result<SecretString> {
        let scope = lasting();
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", back.as_str()),
            ("code_verifier", verifier.expose_secret()),
            ("scope", scope.as_str()),
        ];
        let granted = self.entra.grant(client, Some(proof), &grant).await?;
        granted.refresh_token.ok_or_else(|| {
            Error::misconfigured("Entra lets us act for an hour only, not for longer")
                .hint("a policy of the tenant forbids it; connect a service principal instead")
        })
    }

    fn refused(&self, client: &OauthClient, error: &str, description: &str) -> Error {
        entra::explain(client, &Complaint::in_address(error, description))
    }
}

/// With `offline_access`, or there is no refresh token.
fn lasting() -> String {
    format!("{SCOPE} offline_access openid profile")
}
