//! Letting us act for somebody, or for a whole organization: they agree in a browser, on the pages of an OAuth authority.

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::{OauthClient, Proof};
use crate::domain::{Error, Result};

/// What a forge's OAuth authority does in a browser. <https://datatracker.ietf.org/doc/html/rfc6749#section-4.1>
#[async_trait]
pub trait SignIn: Send + Sync {
    /// The authority of whoever names none.
    fn authority(&self) -> Url;

    /// A client as it is stored. Refuses what cannot be one: plain http beyond loopback, ids that would lead elsewhere.
    fn settle_client(&self, client: &OauthClient) -> Result<OauthClient>;

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

    /// Why the browser came back without what it went for, from what the authority has it say: a word and a description.
    /// Anybody can write those.
    fn refused(&self, client: &OauthClient, error: &str, description: &str) -> Error;
}
