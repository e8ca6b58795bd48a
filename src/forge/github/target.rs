//! A repository as the target of a push: it is there, under this very name, and something of ours may write to it.

use std::sync::Arc;

use serde::Deserialize;

use super::api::{Answer, Api};
use super::login::PoolLogin;
use super::tokens::{PUSH, Purpose};
use super::{Github, errors, git_address, reach};
use crate::domain::{Error, Kind, Result};
use crate::forge::{Access, Credential, CredentialKind, Page};
use crate::git::Remote;

#[derive(Deserialize)]
struct Found {
    id: u64,
    full_name: String,
    archived: Option<bool>,
    private: Option<bool>,
    permissions: Option<Permissions>,
}

/// What the user behind a token may do; not told of Apps.
#[derive(Deserialize)]
struct Permissions {
    push: bool,
}

impl Github {
    /// With the first credential that will do. Where none does, the first one's trouble is the person's to mend.
    pub(super) async fn find_target(&self, access: &Access, full_name: &str, forge_id: Option<&str>) -> Result<Remote> {
        // Refuses what is no OWNER/NAME before it becomes part of a path.
        let url = git_address(&access.url, full_name)?;
        let mut trouble = None;
        for credential in &access.credentials {
            match self.find_with(access, credential, full_name, forge_id).await {
                Ok(id) => {
                    let pool = std::slice::from_ref(credential);
                    let login = PoolLogin::new(pool, &id, PUSH, Arc::clone(&self.tokens));
                    return Ok(Remote { url, credential: Some(Arc::new(login)) });
                }
                Err(error) if error.kind().is_transient() => return Err(error),
                // That it may not be written to tells more than that another credential does not see it.
                Err(error) if trouble.as_ref().is_none_or(is_not_found) => trouble = Some(error),
                Err(_) => {}
            }
        }
        Err(trouble.unwrap_or_else(|| Error::misconfigured("there is no credential to push with")))
    }

    /// The repository's id, if this credential may write to it.
    async fn find_with(
        &self,
        access: &Access,
        credential: &Credential,
        full_name: &str,
        forge_id: Option<&str>,
    ) -> Result<String> {
        let api = self.api(access, credential, PUSH)?;
        let answer = api.get(&format!("/repos/{full_name}")).await?;
        let found: Found = match errors::refusal(&api.host, &answer) {
            None => api.read(&answer)?,
            Some(error) if error.kind() == Kind::NotFound => return Err(missing(&api, full_name)),
            Some(error) => return Err(error),
        };
        if !found.full_name.eq_ignore_ascii_case(full_name) {
            let text = format!("{full_name} is called {} on {} now", found.full_name, api.host.name());
            return Err(Error::not_found(text).hint("restore to that one by its address: --to-url"));
        }
        if forge_id.is_some_and(|known| known != found.id.to_string()) {
            let text = format!("{full_name} is another repository on {} than the one that we know", api.host.name());
            return Err(Error::not_found(text).hint("`refward repos sync` looks what is where now"));
        }
        if found.archived == Some(true) {
            return Err(Error::misconfigured(format!("{full_name} is archived on {}: read-only", api.host.name()))
                .hint("unarchive it there first: the repository's settings, Danger zone"));
        }
        if let CredentialKind::Token(_) = credential.kind
            && let Some(lack) = lacks(&found, &answer)
        {
            let text = format!("the credential `{}` may not push to {full_name}: {lack}", credential.label);
            return Err(Error::misconfigured(text)
                .hint("give it that on the forge, or use another: `refward credentials --help`"));
        }
        let id = found.id.to_string();
        if let CredentialKind::Installation { app, id: installation, .. } = &credential.kind {
            let (installation, repository) = (installation.clone(), Some(id.clone()));
            self.tokens.get(app, &Purpose { installation, repository, rights: PUSH, short: false }).await?;
        }
        Ok(id)
    }
}

fn is_not_found(error: &Error) -> bool {
    error.kind() == Kind::NotFound
}

fn missing(api: &Api, full_name: &str) -> Error {
    let text = format!("{} has no repository {full_name}, or the credential may not see it", api.host.name());
    let error = Error::not_found(text);
    match reach::page(&api.host, Page::NewRepository(full_name)) {
        Ok(page) => error.hint(format!("make an empty one (no README, no licence) and restore again: {page}")),
        Err(_) => error,
    }
}

/// What a token lacks, as far as GitHub says: that a fine-grained one may write shows in the push alone.
fn lacks(found: &Found, answer: &Answer) -> Option<String> {
    let scopes = answer.headers.get("x-oauth-scopes").and_then(|value| value.to_str().ok());
    let enough = |scope: &str| scope == "repo" || (scope == "public_repo" && found.private == Some(false));
    if scopes.is_some_and(|scopes| !scopes.split(',').any(|scope| enough(scope.trim()))) {
        return Some("it lacks the scope `repo`".to_owned());
    }
    let may = found.permissions.as_ref().is_none_or(|permissions| permissions.push);
    (!may).then(|| "its user lacks the role Write in the repository".to_owned())
}
