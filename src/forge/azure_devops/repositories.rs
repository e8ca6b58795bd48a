//! Repositories as Azure DevOps tells of them.

use serde::Deserialize;

use super::api::Api;
use crate::domain::{Availability, Error, RemoteRepository, Result};
use crate::forge::Scope;

/// A repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    /// A GUID; stays when it is renamed.
    pub id: String,
    pub name: String,
    pub project: Project,
    /// `refs/heads/main`; not told of one that is empty.
    pub default_branch: Option<String>,
    #[serde(default)]
    pub is_disabled: bool,
}

/// A project, as far as it is told with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Project {
    /// A GUID.
    pub id: String,
    pub name: String,
    /// `wellFormed`, `deleting`, `deleted`, …
    pub state: Option<String>,
    /// `private`, `organization`, `public`.
    pub visibility: Option<String>,
}

impl Found {
    /// `PROJECT/REPOSITORY`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.project.name, self.name)
    }

    /// In our words.
    pub fn remote(&self) -> RemoteRepository {
        let branch = self.default_branch.as_deref();
        RemoteRepository {
            forge_id: self.id.clone(),
            full_name: self.full_name(),
            private: self.project.visibility.as_deref() != Some("public"),
            archived: false,
            default_branch: branch.map(|name| name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()),
        }
    }

    /// Whether it can be read.
    pub fn availability(&self) -> Availability {
        if self.is_disabled { Availability::Disabled } else { Availability::Open }
    }

    /// What its hooks belong to.
    pub fn scope(&self) -> Scope {
        Scope { id: self.project.id.clone(), name: self.project.name.clone() }
    }
}

/// The repository `PROJECT/REPOSITORY`. `None`: there is none that the credential may see; disabled ones answer as if they
/// were not there.
pub(super) async fn by_name(api: &Api, full_name: &str) -> Result<Option<Found>> {
    let (project, name) = split(full_name)?;
    api.find(&[project, "_apis", "git", "repositories", name], &[]).await
}

/// Every repository of the whole organization, those that are disabled or hidden (of wikis) among them.
pub(super) async fn all(api: &Api) -> Result<Vec<Found>> {
    api.list(&["_apis", "git", "repositories"], &[("includeHidden", "true")]).await
}

/// The projects in this state: `wellFormed`; `deleted`, in the recycle bin. `all` leaves those out.
/// <https://learn.microsoft.com/rest/api/azure/devops/core/projects/list>
pub(super) async fn projects(api: &Api, state: &str) -> Result<Vec<Project>> {
    api.list_paged(&["_apis", "projects"], &[("stateFilter", state), ("$top", "1000")]).await
}

/// `PROJECT/REPOSITORY`; neither holds a slash.
pub(super) fn split(full_name: &str) -> Result<(&str, &str)> {
    match full_name.split_once('/') {
        Some((project, name)) if is_name(project) && is_name(name) => Ok((project, name)),
        _ => Err(Error::bad_request(format!("`{}` is not PROJECT/REPOSITORY", full_name.escape_debug()))),
    }
}

/// <https://learn.microsoft.com/azure/devops/organizations/settings/naming-restrictions#azure-repos-git>
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '#');
    !matches!(name, "" | "." | "..") && name.chars().all(plain)
}
