//! Repositories, as tests handle them.

use std::path::PathBuf;

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use super::events::What;
use super::state::Repository;
use super::{FakeAzureDevops, Project, Work};
use crate::support::shell::git;

/// A repository of the double. Its name may change; it stays the same.
#[derive(Clone)]
pub struct Repo {
    pub(super) azure: FakeAzureDevops,
    pub(super) org: String,
    pub(super) project: Uuid,
    pub(super) id: Uuid,
}

impl Repo {
    pub(super) async fn create(project: &Project, name: &str) -> Self {
        let (azure, org) = (project.org.azure.clone(), project.org.name.clone());
        let id = azure.state().add_repository(&org, project.id(), name);
        let repo = Self { azure, org, project: project.id(), id };
        repo.make().await;
        repo.announce(What::RepositoryCreated);
        repo
    }

    /// The folder, empty.
    pub(super) async fn make(&self) {
        let folder = self.path();
        let root = self.azure.inner.root.path();
        git(root, &["init", "--quiet", "--bare", "--initial-branch=main", folder.to_str().unwrap()]).await;
    }

    /// The folder, with all that another one has.
    pub(super) async fn fork_from(&self, parent: &Self) {
        let (from, to) = (parent.path(), self.path());
        let root = self.azure.inner.root.path();
        git(root, &["clone", "--quiet", "--bare", from.to_str().unwrap(), to.to_str().unwrap()]).await;
        self.change(|repository| repository.parent = Some(parent.id));
        super::refs::look_again(self);
        self.announce(What::RepositoryForked { parent: parent.id });
    }

    /// A fork in the same project.
    pub async fn fork(&self, name: &str) -> Self {
        let id = self.azure.state().add_repository(&self.org, self.project, name);
        let fork = Self { id, ..self.clone() };
        fork.fork_from(self).await;
        fork
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Repository) -> T) -> T {
        change(self.azure.state().org_mut(&self.org).by_id(self.id))
    }

    /// Tells of it as something that its administrator did.
    pub(super) fn announce(&self, what: What) {
        let by = self.azure.org(&self.org).admin().id;
        self.azure.announce(&self.org, self.project, Some(self.id), by, what);
    }

    /// Its id, which stays.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The project's id.
    pub fn project_id(&self) -> Uuid {
        self.project
    }

    /// Its name now.
    pub fn name(&self) -> String {
        self.change(|repository| repository.name.clone())
    }

    /// `PROJECT/REPOSITORY` now.
    pub fn full_name(&self) -> String {
        let mut state = self.azure.state();
        let org = state.org_mut(&self.org);
        format!("{}/{}", org.project_by_id(self.project).name.clone(), org.by_id(self.id).name)
    }

    /// The bare repository on disk.
    pub fn path(&self) -> PathBuf {
        self.azure.inner.root.path().join(folder_of(&self.org)).join(format!("{}.git", self.id))
    }

    /// Where git finds it: percent-encoded, without `.git`.
    pub fn git_url(&self) -> Url {
        let full_name = self.full_name();
        let (project, name) = full_name.split_once('/').unwrap();
        let mut url = self.azure.inner.url.clone();
        url.path_segments_mut().unwrap().pop_if_empty().extend([self.org.as_str(), project, "_git", name]);
        url
    }

    /// Lists it, and answers nothing else about it.
    pub fn disable(&self) {
        self.change(|repository| repository.disabled = true);
        self.announce(What::RepositoryStatusChanged { disabled: true });
    }

    /// Opens it again.
    pub fn enable(&self) {
        self.change(|repository| repository.disabled = false);
        self.announce(What::RepositoryStatusChanged { disabled: false });
    }

    /// Gives it another name; the old one is nobody's.
    pub fn rename(&self, name: &str) {
        let old_name = self.change(|repository| std::mem::replace(&mut repository.name, name.to_owned()));
        self.announce(What::RepositoryRenamed { old_name, new_name: name.to_owned() });
    }

    /// Puts it into the recycle bin.
    pub fn delete(&self) {
        let now = self.azure.state().now();
        let name = self.change(|repository| {
            repository.deleted = Some(now);
            repository.name.clone()
        });
        self.announce(What::RepositoryDeleted { name, hard: false });
    }

    /// Deletes it for good.
    pub fn destroy(&self) {
        let name = self.name();
        let _ = std::fs::remove_dir_all(self.path());
        self.azure.state().org_mut(&self.org).repositories.retain(|repository| repository.id != self.id);
        self.announce(What::RepositoryDeleted { name, hard: true });
    }

    /// Takes it out of the recycle bin.
    pub fn undelete(&self) {
        self.change(|repository| repository.deleted = None);
    }

    /// Somebody may change that branch alone.
    pub fn lock(&self, branch: &str, by: &super::Person) {
        self.change(|repository| repository.locks.insert(format!("refs/heads/{branch}"), by.id));
    }

    /// The clock of its pushes was that much behind.
    pub fn pushes_were_earlier(&self, by: TimeDelta) {
        self.change(|repository| repository.pushes.iter_mut().for_each(|push| push.at -= by));
    }

    /// Every reference that git has, and what it points to.
    pub async fn refs(&self) -> Vec<(String, String)> {
        let listed = git(&self.path(), &["for-each-ref", "--format=%(refname) %(objectname)"]).await;
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
    }

    /// The value of a reference on the server.
    pub async fn tip(&self, reference: &str) -> String {
        git(&self.path(), &["rev-parse", "--verify", reference]).await
    }

    /// A fresh working copy of somebody who may push.
    pub async fn work(&self) -> Work {
        let folder = TempDir::new().unwrap();
        let token = self.azure.full_pat(&self.org);
        let mut url = self.git_url();
        url.set_username("admin").unwrap();
        url.set_password(Some(token.expose_secret())).unwrap();
        git(folder.path(), &["init", "--quiet", "--initial-branch=main"]).await;
        git(folder.path(), &["remote", "add", "origin", url.as_str()]).await;
        Work::at(folder)
    }
}

/// A plain name for an organization, whatever it is called.
pub fn folder_of(org: &str) -> String {
    hex::encode(org.to_lowercase())
}
