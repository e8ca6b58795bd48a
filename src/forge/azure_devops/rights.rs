//! What an identity may do with a repository: the bits of the security namespace of Git, as the settings pages call them.
//!
//! <https://learn.microsoft.com/azure/devops/organizations/security/namespace-reference#git-repositories>

use super::api::Api;
use crate::domain::Result;

pub(super) const NAMESPACE: &str = "2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87";

/// One of them.
pub(super) struct Right {
    pub bit: u32,
    /// In the API and in refusals.
    pub name: &'static str,
    /// On the pages for people.
    pub called: &'static str,
}

pub(super) const CONTRIBUTE: Right = Right { bit: 4, name: "GenericContribute", called: "Contribute" };
pub(super) const FORCE: Right =
    Right { bit: 8, name: "ForcePush", called: "Force push (rewrite history, delete branches and tags)" };
pub(super) const BYPASS: Right = Right { bit: 128, name: "PolicyExempt", called: "Bypass policies when pushing" };
pub(super) const CREATE_REPOSITORY: Right = Right { bit: 256, name: "CreateRepository", called: "Create repository" };

/// Those that a push or a new repository may lack.
pub(super) const ALL: &[Right] = &[
    CONTRIBUTE,
    FORCE,
    Right { bit: 16, name: "CreateBranch", called: "Create branch" },
    Right { bit: 32, name: "CreateTag", called: "Create tag" },
    Right { bit: 64, name: "ManageNote", called: "Manage notes" },
    BYPASS,
    CREATE_REPOSITORY,
];

/// Whether whoever calls may do this at a place: `repoV2/PROJECT/REPOSITORY`, by their ids.
/// <https://learn.microsoft.com/rest/api/azure/devops/security/permissions/has-permissions>
pub(super) async fn may(api: &Api, right: Right, place: &str) -> Result<bool> {
    let path = ["_apis", "permissions", NAMESPACE, &right.bit.to_string()];
    let told = api.list::<bool>(&path, &[("tokens", place)]).await?;
    Ok(told.first() == Some(&true))
}
