//! Why Azure DevOps did not take a push: the rule, and the right or the setting that would allow it.

use proptest::prelude::*;
use refward::forge::azure_devops;

use crate::{client, net};

fn explained(why: &str) -> String {
    let refusal = azure_devops::connect(net(client())).refused(why);
    refusal.map_or_else(|| "-".to_owned(), |refusal| format!("{}\n→ {}", refusal.rule, refusal.way_out))
}

/// As people have met it.
#[test]
fn a_branch_that_takes_pull_requests_alone_names_the_right_to_bypass_that() {
    insta::assert_snapshot!(explained("\
To https://dev.azure.com/contoso/web/_git/web
 ! [remote rejected] main -> main (TF402455: Pushes to this branch are not permitted; you must use a pull request to update \
this branch.)
error: failed to push some refs to 'https://dev.azure.com/contoso/web/_git/web'"), @"
    a branch policy: changes come by pull requests alone
    → restore into a new branch, or allow our identity “Bypass policies when pushing” (PolicyExempt) on this branch: Project settings, Repositories, Security
    ");
}

#[test]
fn a_right_that_is_missing_is_called_as_the_settings_call_it() {
    insta::assert_snapshot!(explained(
        " ! [remote rejected] topic -> topic (TF401027: You need the Git 'ForcePush' permission to perform this action. \
         Details: identity '93086622-abb9-4886-b994-502e7f2afc21\\mona@contoso.example', scope 'branch'.)"
    ), @"
    our identity lacks the right “Force push (rewrite history, delete branches and tags)” (ForcePush)
    → an administrator of the project can give it: Project settings, Repositories, Security; a token also needs the scope `Code (read & write)`, and `Code (manage)` for a new repository
    ");
    let lacking =
        |name: &str| explained(&format!("TF401027: You need the Git '{name}' permission to perform this action."));
    for (name, called) in [
        ("GenericContribute", "“Contribute” (GenericContribute)"),
        ("CreateBranch", "“Create branch” (CreateBranch)"),
        ("CreateTag", "“Create tag” (CreateTag)"),
        ("CreateRepository", "“Create repository” (CreateRepository)"),
        ("SomethingNew", "“SomethingNew”"),
    ] {
        assert!(lacking(name).contains(called), "{}", lacking(name));
    }
}

#[test]
fn everything_else_that_is_known() {
    for (why, rule) in [
        (
            "error: remote unpack failed: error VS403702: The push was rejected because one or more commits contain author \
             email 'mona@example.com' which does not match the policy-specified patterns.",
            "commits of certain authors",
        ),
        (
            "error VS403654: The push was rejected because it contains one or more secrets. Resolve the following secrets \
             before pushing again.",
            "push protection",
        ),
        (
            "TF402462: This push was rejected because its size is greater than the 5120 MB limit for pushes in this repository.",
            "larger than the server takes at once",
        ),
        (
            "(The blob object c369b024fcb95da6ee4682eab5c840c1c9cb1ba0 was rejected: The object will increase this \
             repository size by 7772458 bytes (the limit is 4194304 bytes).)",
            "a file is larger",
        ),
        ("[remote rejected] bug/4 -> bug/4 (Name conflicts with refs/heads/Bug/9)", "upper and lower case"),
        (
            "! [remote rejected] refs/pull/1/merge (The current action can only be performed by the system.)",
            "keeps this",
        ),
        ("TF402467: The branch is locked by lisa@contoso.example.", "locked the branch"),
        ("TF401028: The reference 'refs/heads/main' has already been updated by another client", "just now"),
        (
            "remote: TF401019: The Git repository with name or identifier web does not exist or you do not have permissions \
             for the operation you are attempting.",
            "is disabled",
        ),
        (
            "The Git pack file limit has been reached, write operations are temporarily unavailable while the repository is \
             updated.",
            "rearranged",
        ),
    ] {
        let told = explained(why);
        assert!(told.contains(rule), "{why}: {told}");
    }
    assert_eq!(explained("TF999999: Something that nobody has met yet."), "-");
    assert_eq!(explained(""), "-");
}

proptest! {
    #[test]
    fn whatever_a_server_prints_is_read(why in ".*", name in "[^']*") {
        explained(&why);
        explained(&format!("TF401027: You need the Git '{name}' permission {why}"));
    }
}
