//! Who somebody is in Entra, and what they may do in a repository.

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::{AzureDevops, unbuilt};
use crate::domain::{Error, Result};
use crate::forge::{Access, DeviceCode, ForgeUser, OauthClient, People, Place, Polled, Rights};

#[async_trait]
impl People for AzureDevops {
    fn no_client(&self, _url: &Url) -> Error {
        unbuilt()
    }

    async fn begin(&self, _client: &OauthClient) -> Result<DeviceCode> {
        Err(unbuilt())
    }

    async fn poll(&self, _client: &OauthClient, _device_code: &SecretString) -> Result<Polled> {
        Err(unbuilt())
    }

    async fn rights(&self, _access: &Access, _repository: Place<'_>, _user: &ForgeUser) -> Result<Rights> {
        Err(unbuilt())
    }
}
