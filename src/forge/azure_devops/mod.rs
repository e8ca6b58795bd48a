//! Azure DevOps: Services (dev.azure.com) and Server.

mod entra;
mod hooks;
mod payload;
mod people;
mod sign_in;
mod verify;

use async_trait::async_trait;
use url::Url;

use self::entra::Entra;
use super::{
    Access, Delivery, Forge, HookSecret, Hooks, Inspection, Manners, Net, Page, People, Place, Posted, Reached,
    Rejected, SignIn, Survey, Takes, Verified,
};
use crate::domain::{Error, RemoteRepository, Result};
use crate::git::Remote;

/// The word for Azure DevOps in paths, the database and the vault.
pub const SLUG: &str = "azure-devops";

/// Azure DevOps, reached through `net`.
pub fn connect(net: Net) -> Box<dyn Forge> {
    Box::new(AzureDevops { entra: Entra::new(net.clone()), net })
}

struct AzureDevops {
    net: Net,
    entra: Entra,
}

#[async_trait]
impl Forge for AzureDevops {
    fn slug(&self) -> &'static str {
        SLUG
    }

    fn verify(&self, posted: Posted<'_>, secrets: &[HookSecret]) -> Result<Verified, Rejected> {
        verify::verify(posted, secrets)
    }

    fn read(&self, verified: &Verified) -> Result<Delivery, Rejected> {
        payload::read(verified)
    }

    fn manners(&self) -> Manners {
        Manners::Forbearing
    }

    fn settle_url(&self, url: &Url) -> Result<Url> {
        Ok(url.clone())
    }

    async fn inspect(&self, _access: &Access) -> Result<Inspection> {
        _ = (&self.net, &self.entra);
        Err(unbuilt())
    }

    async fn survey(&self, _access: &Access) -> Result<Survey> {
        Err(unbuilt())
    }

    fn remote(&self, _access: &Access, _repository: Place<'_>) -> Result<Remote> {
        Err(unbuilt())
    }

    async fn target(&self, _access: &Access, _full_name: &str, _forge_id: Option<&str>) -> Result<Remote> {
        Err(unbuilt())
    }

    async fn create(&self, _access: &Access, _full_name: &str) -> Result<RemoteRepository> {
        Err(unbuilt())
    }

    fn takes(&self, _url: &Url) -> Takes {
        Takes { largest_push: Some(5 << 30), sha256: false }
    }

    async fn reach(&self, _url: &Url) -> Result<Vec<Reached>> {
        Err(unbuilt())
    }

    fn page(&self, _url: &Url, _page: Page<'_>) -> Result<Url> {
        Err(unbuilt())
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(self)
    }

    fn sign_in(&self) -> Option<&dyn SignIn> {
        Some(self)
    }

    fn people(&self) -> Option<&dyn People> {
        Some(self)
    }
}

fn unbuilt() -> Error {
    Error::bug("not built yet")
}
