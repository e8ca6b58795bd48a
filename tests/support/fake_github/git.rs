//! Repositories, and git over HTTP.

use std::path::{Path, PathBuf};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use bytes::Bytes;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::reply::play;
use super::{FakeGithub, Token};
use crate::support::shell::git;

/// What a request for objects says in protocol v2; the one for references says something else.
const FETCH: &[u8] = b"command=fetch";

/// Faults and renames come before git is asked.
pub async fn before(
    github: FakeGithub,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let place = github.note(request.request(), Value::Null);
    if let Some(answer) = intercept(&github, &request) {
        github.noted(place, answer.status());
        return Ok(request.into_response(answer));
    }
    if request.path().ends_with("git-upload-pack") {
        let body = request.extract::<Bytes>().await?;
        if body.windows(FETCH.len()).any(|part| part == FETCH) {
            github.inner.fetches.pass().await;
        }
        request.set_payload(body.into());
    }
    let answer = next.call(request).await?;
    github.noted(place, answer.status());
    Ok(answer.map_into_boxed_body())
}

fn intercept(github: &FakeGithub, request: &ServiceRequest) -> Option<HttpResponse> {
    let mut state = github.state();
    if let Some(fault) = state.git_faults.pop_front() {
        return Some(play(&fault));
    }
    let mut parts = request.path().trim_start_matches('/').splitn(3, '/');
    let (owner, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let moved = state.by_former_name(&format!("{owner}/{}", name.trim_end_matches(".git")))?;
    let query = request.query_string();
    let location = format!("{}{}.git/{rest}?{query}", github.url(), moved.full_name());
    Some(HttpResponse::MovedPermanently().insert_header((header::LOCATION, location)).finish())
}

/// A repository of the double. Its name may change; it stays the same.
#[derive(Clone)]
pub struct Repo {
    pub(super) github: FakeGithub,
    /// GitHub's number.
    pub id: u64,
}

impl Repo {
    pub(super) async fn create(github: &FakeGithub, owner: &str, name: &str, private: bool) -> Self {
        let root = github.inner.root.path();
        git(root, &["init", "--quiet", "--bare", "--initial-branch=main", &format!("{owner}/{name}.git")]).await;
        let id = github.state().add_repository(owner, name, private);
        let repo = Self { github: github.clone(), id };
        github.announce_repository(id, "created", Value::Null);
        repo
    }

    /// One that is there.
    pub(super) fn named(github: &FakeGithub, full_name: &str) -> Self {
        let id = github.state().by_name(full_name).expect("there is no such repository").id;
        Self { github: github.clone(), id }
    }

    /// `OWNER/NAME` now.
    pub fn full_name(&self) -> String {
        self.github.state().by_id(self.id).full_name()
    }

    /// The bare repository on disk.
    pub fn folder(&self) -> PathBuf {
        self.github.inner.root.path().join(format!("{}.git", self.full_name()))
    }

    /// Gives it another name; the old one redirects from now on.
    pub fn rename(&self, name: &str) {
        let (before, former) = (self.folder(), self.full_name());
        {
            let mut state = self.github.state();
            let repository = state.by_id(self.id);
            repository.former.push(former.clone());
            name.clone_into(&mut repository.name);
        }
        std::fs::rename(before, self.folder()).unwrap();
        let former = former.split_once('/').unwrap().1;
        let changes = json!({ "repository": { "name": { "from": former } } });
        self.github.announce_repository(self.id, "renamed", changes);
    }

    /// Somebody writes into a pull request; nobody pushes.
    pub fn pull_request_changes(&self) {
        let mut state = self.github.state();
        let now = state.now();
        let updated = &mut state.by_id(self.id).pull_updated;
        *updated = Some(updated.map_or(now, |before| now.max(before + chrono::TimeDelta::seconds(1))));
    }

    /// Makes it read-only.
    pub fn archive(&self) {
        self.github.state().by_id(self.id).archived = true;
        self.github.announce_repository(self.id, "archived", Value::Null);
    }

    /// Lets everybody read it.
    pub fn publish(&self) {
        self.github.state().by_id(self.id).private = false;
        self.github.announce_repository(self.id, "publicized", Value::Null);
    }

    /// Gives it to another owner, whose hooks hear of it; the old name redirects from now on.
    pub fn transfer(&self, owner: &str) {
        let before = self.folder();
        let from = {
            let mut state = self.github.state();
            let repository = state.by_id(self.id);
            let (full_name, from) = (repository.full_name(), repository.owner.clone());
            repository.former.push(full_name);
            owner.clone_into(&mut repository.owner);
            state.account_json(&from)
        };
        std::fs::create_dir_all(self.github.inner.root.path().join(owner)).unwrap();
        std::fs::rename(before, self.folder()).unwrap();
        let changes = json!({ "owner": { "from": { "organization": from } } });
        self.github.announce_repository(self.id, "transferred", changes);
    }

    /// Deletes it for good.
    pub fn delete(&self) {
        self.github.announce_repository(self.id, "deleted", Value::Null);
        std::fs::remove_dir_all(self.folder()).unwrap();
        self.github.state().repositories.retain(|repository| repository.id != self.id);
    }

    /// Names its objects by SHA-256 from now on; to be called before anything is in it.
    pub async fn use_sha256(&self) {
        std::fs::remove_dir_all(self.folder()).unwrap();
        let folder = self.folder();
        let arguments = ["init", "--quiet", "--bare", "--initial-branch=main", "--object-format=sha256"];
        git(self.github.inner.root.path(), &[&arguments[..], &[folder.to_str().unwrap()]].concat()).await;
    }

    /// A fresh working copy of somebody who may push.
    pub async fn work(&self) -> Work {
        let folder = TempDir::new().unwrap();
        let token = self.github.token(Token::classic("mona"));
        let mut url: Url = self.github.url().join(&format!("{}.git", self.full_name())).unwrap();
        url.set_username("mona").unwrap();
        url.set_password(Some(token.expose_secret())).unwrap();
        let format = git(&self.folder(), &["rev-parse", "--show-object-format"]).await;
        let format = format!("--object-format={format}");
        git(folder.path(), &["init", "--quiet", "--initial-branch=main", &format]).await;
        git(folder.path(), &["remote", "add", "origin", url.as_str()]).await;
        Work { folder }
    }

    /// The value of a reference on the server.
    pub async fn tip(&self, reference: &str) -> String {
        git(&self.folder(), &["rev-parse", "--verify", reference]).await
    }
}

/// A working copy.
pub struct Work {
    folder: TempDir,
}

impl Work {
    /// One that is there, with its `origin`.
    pub fn at(folder: TempDir) -> Self {
        Self { folder }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Any git command in it.
    pub async fn git(&self, arguments: &[&str]) -> String {
        git(self.folder.path(), arguments).await
    }

    /// Writes a file with `message` in it and commits that; gives the commit.
    pub async fn commit(&self, message: &str) -> String {
        std::fs::write(self.folder.path().join("file.txt"), message).unwrap();
        self.git(&["add", "."]).await;
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]).await;
        self.git(&["rev-parse", "HEAD"]).await
    }

    /// Pushes refspecs; options such as `--force` may be among them.
    pub async fn push(&self, refspecs: &[&str]) {
        self.git(&[&["push", "--quiet", "origin"], refspecs].concat()).await;
    }
}
