//! Azure DevOps: Services (dev.azure.com) and Server.

mod access;
mod api;
mod create;
mod entra;
mod errors;
mod history;
mod hooks;
mod hosts;
pub mod limits;
mod login;
mod payload;
mod people;
mod product;
mod reach;
mod refusals;
mod repositories;
mod rights;
mod sign_in;
mod survey;
mod target;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use self::entra::Entra;
use self::hosts::Host;
use self::login::PoolLogin;
use self::product::Products;
use self::survey::Memory;
use super::quota::{Domain, Resource};
use super::{
    Access, Credential, Delivery, Forge, HookSecret, Hooks, Inspection, Manners, Net, Page, People, Place, Posted,
    Reached, Refusal, Rejected, SignIn, Survey, Takes, Verified,
};
use crate::domain::{Error, Kind, RefName, RemoteRepository, Result};
use crate::git::Remote;

/// The word for Azure DevOps in paths, the database and the vault.
pub const SLUG: &str = "azure-devops";

/// Azure DevOps, reached through `net`.
pub fn connect(net: Net) -> Box<dyn Forge> {
    let entra = Arc::new(Entra::new(net.clone()));
    Box::new(AzureDevops { net, entra, products: Arc::default(), memory: Memory::default() })
}

struct AzureDevops {
    net: Net,
    entra: Arc<Entra>,
    products: Arc<Products>,
    memory: Memory,
}

impl AzureDevops {
    /// The main credential while its limits last, then whichever may go on soonest.
    fn choose<'a>(&self, access: &'a Access) -> Result<&'a Credential> {
        let host = Host::at(&access.url)?.name();
        let domain = |credential: &Credential| Domain { host: host.clone(), who: credential.who.clone() };
        let main = access.credentials.first().ok_or_else(|| Error::misconfigured("there is no credential to use"))?;
        let choose = |from: &[Domain]| self.net.quotas.choose(from, Resource::Rest, access.urgency, &limits::SERVICES);
        if choose(&[domain(main)]).is_ok() {
            return Ok(main);
        }
        let all: Vec<Domain> = access.credentials.iter().map(domain).collect();
        Ok(&access.credentials[choose(&all)?])
    }
}

#[async_trait]
impl Forge for AzureDevops {
    fn slug(&self) -> &'static str {
        SLUG
    }

    fn title(&self) -> &'static str {
        "Azure DevOps"
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
        Host::at(url).map(|host| host.web)
    }

    fn owner_in(&self, url: &Url) -> Option<String> {
        Host::at(url).ok().map(|host| host.owner())
    }

    async fn inspect(&self, access: &Access) -> Result<Inspection> {
        let credential = access.credentials.first();
        let credential = credential.ok_or_else(|| Error::misconfigured("there is no credential to look at"))?;
        access::inspect(&self.api(access, credential)?).await
    }

    async fn survey(&self, access: &Access) -> Result<Survey> {
        let main = access.credentials.first().map(|credential| credential.label.clone());
        let mut access = access.clone();
        loop {
            let credential = self.choose(&access)?.clone();
            let error = match survey::survey(&self.api(&access, &credential)?, &self.memory).await {
                Ok(survey) => return Ok(Survey { complete: Some(credential.label) == main, ..survey }),
                Err(error) => error,
            };
            access.credentials.retain(|other| other.label != credential.label);
            let lost_or_spent = matches!(error.kind(), Kind::Misconfigured | Kind::Throttled { .. });
            if access.credentials.is_empty() || !lost_or_spent {
                return Err(error);
            }
            tracing::warn!(credential = credential.label, "{}; going on with another credential", error.for_log());
        }
    }

    fn remote(&self, access: &Access, repository: Place<'_>) -> Result<Remote> {
        let url = git_address(&access.url, repository.full_name)?;
        let login = PoolLogin::new(access, self.net.quotas.clone(), Arc::clone(&self.entra))?;
        Ok(Remote { url, credential: Some(Arc::new(login)) })
    }

    async fn target(&self, access: &Access, full_name: &str, forge_id: Option<&str>) -> Result<Remote> {
        self.find_target(access, full_name, forge_id).await
    }

    async fn create(&self, access: &Access, full_name: &str) -> Result<RemoteRepository> {
        self.make(access, full_name).await
    }

    async fn set_default_branch(&self, access: &Access, full_name: &str, branch: &RefName) -> Result<()> {
        self.point_default(access, full_name, branch).await
    }

    fn name_at(&self, _owner: &str, full_name: &str) -> String {
        create::name_at(full_name)
    }

    fn takes(&self, _url: &Url) -> Takes {
        target::TAKES
    }

    async fn reach(&self, url: &Url) -> Result<Vec<Reached>> {
        Ok(reach::reach(&self.anybody(Host::at(url)?)?).await)
    }

    fn page(&self, url: &Url, page: Page<'_>) -> Result<Url> {
        reach::page(&Host::at(url)?, page)
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

    fn refused(&self, why: &str) -> Option<Refusal> {
        refusals::explain(why)
    }
}

/// Where git finds `PROJECT/REPOSITORY`: without `.git`, which is part of the name there.
fn git_address(web: &Url, full_name: &str) -> Result<Url> {
    let (project, name) = repositories::split(full_name)?;
    Host::at(web)?.below(&[project, "_git", name])
}
