//! Making a repository in a project that is there.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::repositories::{Found, split};
use super::target::{Trouble, no_project};
use super::{AzureDevops, errors, refusals};
use crate::domain::{Error, RefName, RemoteRepository, Result};
use crate::forge::Access;

#[derive(Deserialize)]
struct Project {
    id: String,
}

impl AzureDevops {
    /// Makes it, empty. It is as private as its project.
    /// <https://learn.microsoft.com/rest/api/azure/devops/git/repositories/create>
    pub(super) async fn make(&self, access: &Access, full_name: &str) -> Result<RemoteRepository> {
        let mut trouble = Trouble::default();
        for credential in &access.credentials {
            match make_with(&self.api(access, credential)?, full_name).await {
                Ok(made) => return Ok(made.remote()),
                Err(error) => trouble.note(error)?,
            }
        }
        Err(trouble.told())
    }

    /// <https://learn.microsoft.com/rest/api/azure/devops/git/repositories/update>
    pub(super) async fn point_default(&self, access: &Access, full_name: &str, branch: &RefName) -> Result<()> {
        let mut trouble = Trouble::default();
        for credential in &access.credentials {
            match point_with(&self.api(access, credential)?, full_name, branch).await {
                Ok(()) => return Ok(()),
                Err(error) => trouble.note(error)?,
            }
        }
        Err(trouble.told())
    }
}

async fn make_with(api: &Api, full_name: &str) -> Result<Found> {
    let (project, name) = split(full_name)?;
    let Some(Project { id }) = api.find(&["_apis", "projects", project], &[]).await? else {
        return Err(no_project(&api.host.name(), project));
    };
    let body = json!({ "name": name, "project": { "id": id } });
    let answer = api.send(&Method::POST, &[project, "_apis", "git", "repositories"], &[], Some(&body)).await?;
    let Some(error) = api.refusal(&answer) else { return api.read(&answer) };
    let said = errors::said(&answer);
    if answer.status == StatusCode::CONFLICT {
        return Err(Error::misconfigured(format!("{full_name} is there already, where we cannot see it: {said}"))
            .hint("it is disabled, or the credential may not read it; restore under another name: --to"));
    }
    Err(match refusals::explain(&said) {
        Some(known) => Error::misconfigured(known.rule).hint(known.way_out).detail(said),
        None => error,
    })
}

async fn point_with(api: &Api, full_name: &str, branch: &RefName) -> Result<()> {
    let (project, name) = split(full_name)?;
    let path = |repository| [project, "_apis", "git", "repositories", repository];
    let found: Found = api.read(&api.get_good(&path(name), &[]).await?)?;
    let body = json!({ "defaultBranch": branch });
    api.send_good(&Method::PATCH, &path(&found.id), &[], Some(&body)).await.map(drop)
}

/// What a repository that has this name elsewhere is called in an organization: the part before the name is the project.
pub(super) fn name_at(full_name: &str) -> String {
    full_name.to_owned()
}
