//! Which repositories an owner has.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::api::Api;
use super::survey;
use crate::domain::{Availability, Error, Kind, RemoteRepository, Result};
use crate::forge::Surveyed;

/// What kind of account an owner is, as far as listing needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    Organization,
    /// The credential's own.
    Own,
    OtherUser,
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    full_name: String,
    private: Option<bool>,
    archived: Option<bool>,
    default_branch: Option<String>,
    visibility: Option<String>,
    pushed_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

/// Every repository of an owner that the credential can see, and what the owner turned out to be.
pub(super) async fn find(api: &Api, owner: &str) -> Result<(Account, Vec<Surveyed>)> {
    if !is_name(owner) {
        return Err(Error::bad_request(format!("`{}` is not the name of an owner", owner.escape_debug())));
    }
    if let Some(repositories) = list(api, Account::Organization, owner).await? {
        return Ok((Account::Organization, repositories));
    }
    let own = login(api).await?.is_some_and(|login| login.eq_ignore_ascii_case(owner));
    let account = if own { Account::Own } else { Account::OtherUser };
    let repositories = list(api, account, owner).await?.ok_or_else(|| {
        Error::not_found(format!(
            "{} knows no organization or user called `{owner}`, or the token may not see it",
            api.host.name()
        ))
        .hint("check the spelling; a fine-grained token must have been made for this owner")
    })?;
    Ok((account, repositories))
}

/// Every repository that an installation was given.
pub(super) async fn installed(api: &Api) -> Result<Vec<Surveyed>> {
    let listed = api.list_in::<Listed>("/installation/repositories?per_page=100", "repositories").await;
    listed.map(once_each).map_err(|error| error.while_doing("listing the repositories of an installation"))
}

/// Who the credential acts as. `None` where it is not a person's, or the host does not say.
pub(super) async fn login(api: &Api) -> Result<Option<String>> {
    let answer = api.get_good("/user").await;
    match answer {
        Ok(answer) => api.read::<User>(&answer).map(|user| Some(user.login)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// One path for a name: nothing that would be a way out of it.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '/' | '\\' | '?' | '#' | '%');
    !matches!(name, "" | "." | "..") && name.chars().all(plain)
}

/// What a repository of another owner, or of another forge, is called at this one: GitHub itself makes `-` of whatever it does
/// not take in a name.
pub(super) fn name_at(owner: &str, full_name: &str) -> String {
    let name = full_name.rsplit_once('/').map_or(full_name, |(_, name)| name);
    let taken = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    format!("{owner}/{}", name.chars().map(taken).collect::<String>())
}

/// `None`: there is no such account.
async fn list(api: &Api, account: Account, owner: &str) -> Result<Option<Vec<Surveyed>>> {
    let path = match account {
        Account::Organization => format!("/orgs/{owner}/repos?per_page=100&type=all"),
        Account::Own => "/user/repos?per_page=100&affiliation=owner".to_owned(),
        Account::OtherUser => format!("/users/{owner}/repos?per_page=100&type=owner"),
    };
    let listed = match api.list::<Listed>(&path).await {
        Ok(listed) => listed,
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error.while_doing(format!("listing the repositories of `{owner}`"))),
    };
    Ok(Some(once_each(listed)))
}

/// Pages shift when something is created meanwhile: the same repository may come twice.
fn once_each(listed: Vec<Listed>) -> Vec<Surveyed> {
    let mut seen = HashSet::new();
    listed.into_iter().filter(|repository| seen.insert(repository.id)).map(Listed::into_ours).collect()
}

impl Listed {
    fn into_ours(self) -> Surveyed {
        let private = self.private.unwrap_or(true);
        let visibility = self.visibility.or_else(|| (!private).then(|| "public".to_owned()));
        let repository = RemoteRepository {
            forge_id: self.id.to_string(),
            full_name: self.full_name,
            private,
            archived: self.archived.unwrap_or(false),
            default_branch: self.default_branch.filter(|branch| !branch.is_empty()),
        };
        let mark = survey::mark(self.pushed_at, None, &[]);
        Surveyed { repository, visibility, mark, availability: Availability::Open, scope: None }
    }
}
