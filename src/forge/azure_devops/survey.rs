//! A look at all repositories of an organization.
//!
//! One request tells of all of them, disabled and hidden ones included, another of the projects in the recycle bin. A deleted
//! repository is in a bin of its project's; to look into one costs a request, so after the first look only those are opened
//! from which something has vanished since the one before.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::api::Api;
use super::product::Version;
use super::repositories::{self, Found, Project};
use crate::domain::{Availability, Error, Result};
use crate::forge::quota::Domain;
use crate::forge::{Mark, Scope, Survey, Surveyed};

/// Before that, the bins of projects were a preview.
const BINS_RELEASED: Version = Version { major: 7, minor: 0 };

/// What the last look at an address found, in this process: by address, and by who looked, as another may see less.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<(String, Domain), Vec<Seen>>>);

/// A repository as it was last seen, in its project's recycle bin or not.
#[derive(Clone)]
struct Seen {
    found: Found,
    recycled: bool,
}

/// A repository in a recycle bin.
#[derive(Deserialize)]
struct Deleted {
    id: String,
    name: String,
    project: Project,
}

/// Everything that is there or can be brought back.
pub(super) async fn survey(api: &Api, memory: &Memory) -> Result<Survey> {
    let look = look(api, memory.of(api)).await;
    let (seen, deleted) =
        look.map_err(|error| error.while_doing(format!("listing the repositories of `{}`", api.host.owner())))?;
    let repositories = seen.iter().map(Seen::surveyed).collect();
    let recycled = deleted.into_iter().map(|Project { id, name, .. }| Scope { id, name }).collect();
    memory.keep(api, seen);
    Ok(Survey { repositories, recycled, requests: api.requests(), complete: false })
}

/// The repositories that are there or in a bin of their project's, and the deleted projects.
async fn look(api: &Api, before: Option<Vec<Seen>>) -> Result<(Vec<Seen>, Vec<Project>)> {
    let found = repositories::all(api).await?;
    let deleted = projects(api, "deleted").await?;
    let listed: BTreeSet<&str> = found.iter().map(|found| found.id.as_str()).collect();
    let is_deleted = |project: &Project| deleted.iter().any(|deleted| deleted.id == project.id);
    let lost = before.map(|mut before| {
        before.retain(|Seen { found, .. }| !listed.contains(found.id.as_str()) && !is_deleted(&found.project));
        before
    });
    let bins: BTreeSet<String> = match &lost {
        None => projects(api, "wellFormed").await?.into_iter().map(|project| project.id).collect(),
        Some(lost) => lost.iter().map(|seen| seen.found.project.id.clone()).collect(),
    };
    let mut recycled = Vec::new();
    for project in bins {
        recycled.extend(bin(api, &project).await?);
    }
    recycled.retain(|found| !listed.contains(found.id.as_str()));
    if found.is_empty() && recycled.is_empty() && lost.is_some_and(|lost| lost.iter().any(|seen| !seen.recycled)) {
        return Err(sees_nothing_more(api));
    }
    let there = found.into_iter().map(|found| Seen { found, recycled: false });
    Ok((there.chain(recycled.into_iter().map(|found| Seen { found, recycled: true })).collect(), deleted))
}

/// Whoever may not list the projects is told so by the inspection; repositories are listed all the same.
async fn projects(api: &Api, state: &str) -> Result<Vec<Project>> {
    match repositories::projects(api, state).await {
        Err(error) if !error.kind().is_transient() => {
            tracing::debug!(state, "no look at the projects: {}", error.for_log());
            Ok(Vec::new())
        }
        outcome => outcome,
    }
}

async fn bin(api: &Api, project: &str) -> Result<Vec<Found>> {
    let path = [project, "_apis", "git", "recycleBin", "repositories"];
    let version = api.product().await?.version;
    let preview = version.preview();
    let query: &[(&str, &str)] = if version < BINS_RELEASED { &[("api-version", &preview)] } else { &[] };
    match api.list::<Deleted>(&path, query).await {
        Ok(deleted) => Ok(deleted.into_iter().map(Deleted::found).collect()),
        Err(error) if error.kind().is_transient() => Err(error),
        // The project is gone for good, or its bin is not ours to see.
        Err(error) => {
            tracing::debug!(project, "no look at its recycle bin: {}", error.for_log());
            Ok(Vec::new())
        }
    }
}

/// Lists leave out what the caller may not see, without a word.
fn sees_nothing_more(api: &Api) -> Error {
    let owner = api.host.owner();
    Error::misconfigured(format!("the credential sees no repository of `{owner}` any more")).hint(format!(
        "it has lost the permission Read or, with the access level Stakeholder, the sight of all code: {}",
        super::reach::users(&api.host)
    ))
}

impl Memory {
    fn of(&self, api: &Api) -> Option<Vec<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&Self::place(api)).cloned()
    }

    fn place(api: &Api) -> (String, Domain) {
        (api.host.web.to_string(), api.domain.clone())
    }

    fn keep(&self, api: &Api, seen: Vec<Seen>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(Self::place(api), seen);
    }
}

impl Seen {
    /// The list says nothing of pushes (`size` lags, and stays the same when references move), and to ask for the last push of
    /// each repository would cost what asking git costs, which tells more. So git is asked.
    fn surveyed(&self) -> Surveyed {
        let availability = if self.recycled { Availability::Recycled } else { self.found.availability() };
        let (repository, scope) = (self.found.remote(), Some(self.found.scope()));
        Surveyed {
            repository,
            visibility: self.found.project.visibility.clone(),
            mark: Mark::Untold,
            availability,
            scope,
        }
    }
}

impl Deleted {
    fn found(self) -> Found {
        let Self { id, name, project } = self;
        Found { id, name, project, default_branch: None, is_disabled: false }
    }
}
