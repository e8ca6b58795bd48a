//! Why a push is refused.

use uuid::Uuid;

use super::Repo;
use super::state::{NOTHING, Organization, RefUpdate, Repository};

/// Pushes to a branch are refused.
#[derive(Clone)]
pub struct Policy {
    /// In full.
    pub branch: String,
    /// With its code.
    pub words: String,
}

impl Repo {
    /// Nobody but those who may bypass policies pushes to a branch. `words`: with the code; empty: the usual ones.
    pub fn policy(&self, branch: &str, words: &str) {
        let usual =
            "TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.";
        let words = if words.is_empty() { usual } else { words }.to_owned();
        let policy = Policy { branch: format!("refs/heads/{branch}"), words };
        self.change(|repository| repository.policies.push(policy));
    }
}

/// Why a reference may not be changed like that; `None`: it may. `forced`: commits would be lost.
pub fn refusal(
    org: &Organization,
    repository: &Repository,
    person: Uuid,
    update: &RefUpdate,
    forced: bool,
) -> Option<String> {
    let token = format!("repoV2/{}/{}", repository.project, repository.id);
    let lacks = |permission: &str| {
        let who = org.person(person).map(|person| person.account(&org.name)).unwrap_or_default();
        (!org.allows(person, &token, permission)).then(|| {
            format!(
                "TF401027: You need the Git '{permission}' permission to perform this action. Details: identity \
                 '{who}', scope 'branch'."
            )
        })
    };
    if update.name.starts_with("refs/pull/") {
        return Some("The current action can only be performed by the system.".to_owned());
    }
    if let Some(by) = repository.locks.get(&update.name).filter(|by| **by != person) {
        let who = org.person(*by).map(|person| person.account(&org.name)).unwrap_or_default();
        return Some(format!("TF402467: The branch is locked by {who}."));
    }
    let (is_new, is_gone) = (update.old == NOTHING, update.new == NOTHING);
    let needed = match update.name.as_str() {
        name if name.starts_with("refs/notes/") => "ManageNote",
        name if name.starts_with("refs/tags/") && is_new => "CreateTag",
        _ if is_gone || forced => "ForcePush",
        _ if is_new => "CreateBranch",
        _ => "GenericContribute",
    };
    if let Some(refusal) = lacks("GenericContribute").or_else(|| lacks(needed)) {
        return Some(refusal);
    }
    let policy = repository.policies.iter().find(|policy| policy.branch == update.name)?;
    (!org.allows(person, &token, "PolicyExempt")).then(|| policy.words.clone())
}
