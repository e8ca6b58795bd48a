//! What git signs in with: the main credential, and another of the pool where that one has come to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;

use super::entra::{Bearer, Entra};
use super::hosts::Host;
use super::limits;
use crate::domain::{Error, Kind, Result};
use crate::forge::quota::{Domain, Quotas, Resource};
use crate::forge::{Access, Credential};
use crate::git;

/// For one repository, for as long as a job lasts.
pub(super) struct PoolLogin {
    access: Access,
    host: String,
    quotas: Quotas,
    entra: Arc<Entra>,
    current: AtomicUsize,
    /// A token that had been good was refused, and another was made in its place.
    renewed: AtomicBool,
}

impl PoolLogin {
    pub fn new(access: &Access, quotas: Quotas, entra: Arc<Entra>) -> Result<Self> {
        let at = Host::at(&access.url)?;
        access.credentials.iter().try_for_each(|credential| at.check_kind(&credential.kind))?;
        let (current, renewed) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Self { access: access.clone(), host: at.name(), quotas, entra, current, renewed })
    }

    fn current(&self) -> Result<&Credential> {
        let credential = self.access.credentials.get(self.current.load(Ordering::Relaxed));
        credential.ok_or_else(|| Error::misconfigured("there is no credential to fetch with"))
    }

    fn domain(&self, credential: &Credential) -> Domain {
        Domain { host: self.host.clone(), who: credential.who.clone() }
    }

    /// git counts like calls do: whoever was asked to rest does not go on with git.
    /// <https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits>
    async fn bearer(&self, credential: &Credential) -> Result<Bearer> {
        let call = limits::call(true, self.domain(credential), self.access.urgency, &Method::GET);
        // What it will have cost is not told.
        drop(self.quotas.admit(call).await?);
        self.entra.bearer(&credential.kind).await
    }

    /// On to the next credential, if there is one.
    fn advance(&self) -> bool {
        let next = self.current.fetch_add(1, Ordering::Relaxed) + 1;
        if next < self.access.credentials.len() {
            self.renewed.store(false, Ordering::Relaxed);
            return true;
        }
        self.current.store(self.access.credentials.len().saturating_sub(1), Ordering::Relaxed);
        false
    }
}

#[async_trait]
impl git::Login for PoolLogin {
    async fn credential(&self) -> Result<git::Credential> {
        loop {
            match self.bearer(self.current()?).await {
                // Any name goes with a token, and none is the one that Microsoft documents.
                Ok(Bearer::Pat(password)) => return Ok(git::Credential::Basic { username: String::new(), password }),
                Ok(Bearer::Token(token)) => return Ok(git::Credential::Bearer(token)),
                Err(error)
                    if matches!(error.kind(), Kind::Misconfigured | Kind::Throttled { .. }) && self.advance() =>
                {
                    tracing::warn!("{}; going on with another credential", error.for_log());
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn slow_down(&self, pause: Duration) {
        if let Ok(credential) = self.current() {
            self.quotas.rest(&self.domain(credential), Resource::Rest, pause);
        }
    }

    async fn try_again(&self, status: u16, _refused: &git::Credential) -> Result<bool> {
        if status == 401
            && !self.renewed.swap(true, Ordering::Relaxed)
            && self.entra.forget(&self.current()?.kind).await
        {
            return Ok(true);
        }
        Ok(self.advance())
    }
}
