//! Why Azure DevOps did not take a push, in its words, and the way out.
//!
//! Codes begin with TF or VS and stand in place of a reference's result, or behind `remote unpack failed`. Microsoft lists
//! few of them; those marked [C] are as people have met them.
//! <https://learn.microsoft.com/azure/devops/organizations/security/permissions#git-repository-object-level>

use super::rights;
use crate::forge::Refusal;

/// What it says, in lower case, whatever else it says; what that means; the way out.
type Known = (&'static [&'static str], &'static str, &'static str);

const KNOWN: &[Known] = &[
    // [C]
    (
        &["vs403654", "might contain credentials or other secrets", "contains one or more secrets"],
        "push protection: the commits hold what Azure DevOps takes for secrets",
        "download the commits instead, or switch “Block secrets on push” off for a moment: Project settings, Repositories, the \
         repository, Advanced Security",
    ),
    // [C]
    (
        &["vs403702", "which does not match the policy-specified patterns"],
        "a policy of the repository takes commits of certain authors alone, by their e-mail addresses",
        "commits come back exactly as they were: switch “Commit author email validation” off for a moment: Project settings, \
         Repositories, Policies",
    ),
    // [C]
    (
        &["tf402462", "its size is greater than the"],
        "the push is larger than the server takes at once",
        "say what it takes, and it is pushed in slices: the setting `restore.largest_push`",
    ),
    // [C]
    (
        &["will increase this repository size by"],
        "a file is larger than a policy of the repository takes",
        "raise “Maximum file size” for a moment: Project settings, Repositories, Policies",
    ),
    // [C] The words differ between versions; each names what its policy is called.
    (
        &["differ only in case", "differs only in case", "differ only by case", "case enforcement"],
        "a policy of the repository refuses names that differ in nothing but upper and lower case",
        "switch “Case enforcement” off for a moment: Project settings, Repositories, Policies",
    ),
    (
        &["reserved name", "reserved names"],
        "a policy of the repository refuses file names that Windows keeps for itself",
        "switch “Reserved names” off for a moment: Project settings, Repositories, Policies",
    ),
    (
        &["maximum path length", "path length"],
        "a policy of the repository refuses paths that are this long",
        "raise “Maximum path length” for a moment: Project settings, Repositories, Policies",
    ),
    // [C]
    (
        &["name conflicts with"],
        "a branch or tag there has the same name but for upper and lower case, or is called like a folder of this one",
        "restore it under another name (--prefix), or rename the one that is there",
    ),
    // [C]
    (
        &["can only be performed by the system"],
        "Azure DevOps keeps this reference itself: nobody can push to it",
        "restore what it pointed to into a new branch",
    ),
    (
        &["tf402467", "the branch is locked", "is locked by"],
        "somebody has locked the branch",
        "whoever locked it can unlock it, or somebody with the right “Remove others' locks”: Repos, Branches",
    ),
    // [C]
    (
        &["tf401028", "has already been updated by another client"],
        "somebody has moved the reference just now",
        "look at it, and restore again",
    ),
    // [C]
    (
        &["tf401019"],
        "the repository is not there any more, is disabled, or our credential may not see it",
        "see whether it is listed: Project settings, Repositories",
    ),
    // <https://learn.microsoft.com/azure/devops/repos/git/limits#repository-size>
    (
        &["pack file limit has been reached"],
        "the repository is being rearranged by the server, and takes nothing meanwhile",
        "restore again later",
    ),
];

/// `why`: what `git push` printed, or the server's lines of it. `None`: nothing that we know.
pub(super) fn explain(why: &str) -> Option<Refusal> {
    let lower = why.to_ascii_lowercase();
    if lower.contains("tf402455") || lower.contains("you must use a pull request") {
        return Some(policy());
    }
    if lower.contains("tf401027") || lower.contains("you need the git") {
        return Some(lacking(why));
    }
    let known = KNOWN.iter().find(|(signs, ..)| signs.iter().any(|sign| lower.contains(sign)));
    known.map(|(_, rule, way_out)| refusal(*rule, *way_out))
}

/// <https://learn.microsoft.com/azure/devops/repos/git/branch-policies#bypass-branch-policies>
fn policy() -> Refusal {
    refusal(
        "a branch policy: changes come by pull requests alone",
        format!(
            "restore into a new branch, or allow our identity “{}” ({}) on this branch: Project settings, Repositories, Security",
            rights::BYPASS.called,
            rights::BYPASS.name
        ),
    )
}

/// `TF401027: You need the Git 'ForcePush' permission to perform this action.`
fn lacking(why: &str) -> Refusal {
    let quoted = why.split_once("Git '").and_then(|(_, rest)| rest.split_once('\'')).map(|(name, _)| name);
    let known = quoted.and_then(|name| rights::ALL.iter().find(|right| right.name.eq_ignore_ascii_case(name)));
    let right = match (known, quoted) {
        (Some(right), _) => format!("“{}” ({})", right.called, right.name),
        (None, Some(name)) if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!("“{name}”"),
        (None, _) => "to push".to_owned(),
    };
    refusal(
        format!("our identity lacks the right {right}"),
        "an administrator of the project can give it: Project settings, Repositories, Security; a token also needs the scope \
         `Code (read & write)`, and `Code (manage)` for a new repository",
    )
}

fn refusal(rule: impl Into<String>, way_out: impl Into<String>) -> Refusal {
    Refusal { rule: rule.into(), way_out: way_out.into() }
}
