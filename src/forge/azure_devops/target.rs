//! A repository as the target of a push: it is there, under this very name, and something of ours may write to it.

use std::sync::Arc;

use super::api::Api;
use super::login::PoolLogin;
use super::repositories::{self, Found, split};
use super::{AzureDevops, git_address, rights};
use crate::domain::{Error, Kind, Result};
use crate::forge::{Access, Credential, Takes};
use crate::git::Remote;

/// <https://learn.microsoft.com/azure/devops/repos/git/limits>: 5 GB in a push. `refs/pull/*/merge` is the server's own.
pub(super) const TAKES: Takes = Takes { largest_push: Some(5 << 30), sha256: false, reserved: &["refs/pull/"] };

impl AzureDevops {
    /// With the first credential that will do.
    pub(super) async fn find_target(&self, access: &Access, full_name: &str, forge_id: Option<&str>) -> Result<Remote> {
        let url = git_address(&access.url, full_name)?;
        let mut trouble = Trouble::default();
        for credential in &access.credentials {
            match self.writable(access, credential, full_name, forge_id).await {
                Ok(()) => {
                    let alone = Access { credentials: vec![credential.clone()], ..access.clone() };
                    let login = PoolLogin::new(&alone, self.net.quotas.clone(), Arc::clone(&self.entra))?;
                    return Ok(Remote { url, credential: Some(Arc::new(login)) });
                }
                Err(error) => trouble.note(error)?,
            }
        }
        Err(trouble.told())
    }

    /// Fails unless the repository is there and this credential may write to it.
    async fn writable(
        &self,
        access: &Access,
        credential: &Credential,
        full_name: &str,
        forge_id: Option<&str>,
    ) -> Result<()> {
        let api = self.api(access, credential)?;
        let host = api.host.name();
        let Some(found) = repositories::by_name(&api, full_name).await? else {
            return Err(missing(&api, full_name).await?);
        };
        // An id is taken for a name, too.
        if found.full_name().to_lowercase() != full_name.to_lowercase() {
            let text = format!("{full_name} is called {} on {host} now", found.full_name());
            return Err(
                Error::not_found(text).hint("restore to that one by its name: --to CONNECTION:PROJECT/REPOSITORY")
            );
        }
        if forge_id.is_some_and(|known| !known.eq_ignore_ascii_case(&found.id)) {
            let text = format!("{full_name} is another repository on {host} than the one that we know");
            return Err(Error::not_found(text).hint("`refward repos sync` looks what is where now"));
        }
        if found.is_disabled {
            return Err(disabled(full_name, &host));
        }
        let token = format!("repoV2/{}/{}", found.project.id, found.id);
        if rights::may(&api, rights::CONTRIBUTE, &token).await? {
            return Ok(());
        }
        Err(Error::misconfigured(format!(
            "the credential `{}` may not push to {full_name}: its identity lacks the right “{}”",
            credential.label,
            rights::CONTRIBUTE.called
        ))
        .hint("give it that: Project settings, Repositories, Security; or use another: `refward credentials --help`"))
    }
}

/// What came of the credentials that were tried. Where none does, the first one's trouble is the person's to mend.
#[derive(Default)]
pub(super) struct Trouble(Option<Error>);

impl Trouble {
    /// Fails where another credential would not do better.
    pub fn note(&mut self, error: Error) -> Result<()> {
        if error.kind().is_transient() {
            return Err(error);
        }
        // That it may not tells more than that another credential does not see it.
        if self.0.as_ref().is_none_or(|first| first.kind() == Kind::NotFound) {
            self.0 = Some(error);
        }
        Ok(())
    }

    pub fn told(self) -> Error {
        self.0.unwrap_or_else(|| Error::misconfigured("there is no credential to push with"))
    }
}

/// Why it is not there: what is disabled, and what is in no project, answers in the same way.
async fn missing(api: &Api, full_name: &str) -> Result<Error> {
    let (project, _) = split(full_name)?;
    let host = api.host.name();
    let listed = api.list::<Found>(&[project, "_apis", "git", "repositories"], &[("includeHidden", "true")]).await;
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) if error.kind() == Kind::NotFound => return Ok(no_project(&host, project)),
        Err(error) => return Err(error),
    };
    let named = |found: &Found| found.full_name().to_lowercase() == full_name.to_lowercase();
    if listed.iter().any(|found| found.is_disabled && named(found)) {
        return Ok(disabled(full_name, &host));
    }
    let text = format!("{host} has no repository {full_name}, or the credential may not see it");
    Ok(Error::not_found(text).hint("--create makes it, empty; or make it yourself, without a README"))
}

pub(super) fn no_project(host: &str, project: &str) -> Error {
    Error::misconfigured(format!("{host} has no project {project}, or the credential may not see it"))
        .hint("projects are made by people; or name one that is there: --to CONNECTION:PROJECT/REPOSITORY")
}

fn disabled(full_name: &str, host: &str) -> Error {
    Error::misconfigured(format!("{full_name} is disabled on {host}: nobody can push to it"))
        .hint("enable it first: Project settings, Repositories, the repository's Settings")
}
