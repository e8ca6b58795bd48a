//! Letting us act for somebody, or for a whole organization: they agree in a browser, on the pages of an OAuth authority.

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::{OauthClient, Proof};
use crate::domain::Result;

/// What a forge's OAuth authority does in a browser. <https://datatracker.ietf.org/doc/html/rfc6749#section-4.1>
#[async_trait]
pub trait SignIn: Send + Sync {
    /// The page on which an administrator agrees for the whole organization. The browser comes back to `back`.
    fn consent_page(&self, client: &OauthClient, back: &Url, state: &str) -> Result<Url>;

    /// The page on which somebody signs in and lets us act for them. `challenge`: the hash of a verifier that only we know,
    /// <https://datatracker.ietf.org/doc/html/rfc7636>.
    fn sign_in_page(&self, client: &OauthClient, back: &Url, state: &str, challenge: &str) -> Result<Url>;

    /// Exchanges the code that the browser came back with for a refresh token. It works once.
    async fn redeem(
        &self,
        client: &OauthClient,
        proof: &Proof,
        back: &Url,
        code: &SecretString,
        verifier: &SecretString,
    ) -> Result<SecretString>;
}
