//! Who somebody is in Entra, and what they may do in a repository.

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::{AzureDevops, unbuilt};
use crate::domain::Result;
use crate::forge::{Access, DeviceCode, ForgeUser, People, Place, Polled, Rights};

#[async_trait]
impl People for AzureDevops {
    async fn begin(&self, _url: &Url, _client_id: &str) -> Result<DeviceCode> {
        Err(unbuilt())
    }

    async fn poll(&self, _url: &Url, _client_id: &str, _device_code: &SecretString) -> Result<Polled> {
        Err(unbuilt())
    }

    async fn rights(&self, _access: &Access, _repository: Place<'_>, _user: &ForgeUser) -> Result<Rights> {
        Err(unbuilt())
    }
}
