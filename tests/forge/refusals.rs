//! Why GitHub did not take a push: the rule in its words, and the way out.

use proptest::prelude::*;
use refward::git::program::{self, Net, Outcome, Refspec};
use tempfile::TempDir;

use crate::github;
use crate::people::seen;
use crate::support::fake_github::{FakeGithub, Repo, Token};
use crate::support::shell::git;

fn explained(why: &str) -> String {
    github().refused(why).map_or_else(|| "-".to_owned(), |refusal| format!("{}\n→ {}", refusal.rule, refusal.way_out))
}

/// What `git push` printed, from reports of people who met it.
#[test]
fn protected_branches() {
    insta::assert_snapshot!(explained("\
remote: error: GH006: Protected branch update failed for refs/heads/main.        
remote: error: Cannot force-push to this branch        
To https://github.com/acme/api.git
 ! [remote rejected] main -> main (protected branch hook declined)
error: failed to push some refs to 'https://github.com/acme/api.git'"), @"
    the protection of refs/heads/main: Cannot force-push to this branch
    → restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: Settings, Branches
    ");
    insta::assert_snapshot!(explained("\
remote: error: GH006: Protected branch update failed for refs/heads/stable.
remote: error: 2 of 2 required status checks have not succeeded: 1 expected. You're not authorized to push to this branch. \
Visit https://docs.github.com/articles/about-protected-branches/ for more information."), @"
    the protection of refs/heads/stable: 2 of 2 required status checks have not succeeded: 1 expected. You're not authorized to push to this branch.
    → restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: Settings, Branches
    ");
    insta::assert_snapshot!(explained("\
remote: error: GH006: Protected branch update failed for refs/heads/main.
remote: error: Commits must have valid signatures. Changes must be made through a pull request."), @"
    the protection of refs/heads/main: Commits must have valid signatures. Changes must be made through a pull request.
    → commits come back exactly as they were, signed or not: restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: Settings, Branches
    ");
}

#[test]
fn rulesets() {
    insta::assert_snapshot!(explained("\
remote: error: GH013: Repository rule violations found for refs/heads/release/v0.2.21.
remote: Review all repository rules at https://github.com/acme/api/rules?ref=refs%2Fheads%2Frelease%2Fv0.2.21
remote: 
remote: - Changes must be made through a pull request.
remote: 
remote: - 12 of 12 required status checks are expected.
remote: 
To https://github.com/acme/api.git
 ! [remote rejected]     release/v0.2.21 -> release/v0.2.21 (push declined due to repository rule violations)"), @"
    a ruleset for refs/heads/release/v0.2.21: Changes must be made through a pull request. 12 of 12 required status checks are expected.
    → restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: https://github.com/acme/api/rules?ref=refs%2Fheads%2Frelease%2Fv0.2.21
    ");
    insta::assert_snapshot!(explained("\
remote: error: GH013: Repository rule violations found for refs/heads/main.
remote: Review all repository rules at https://github.com/acme/api/rules?ref=refs%2Fheads%2Fmain
remote: 
remote: - Commits must have verified signatures.
remote:   Found 1 violation:
remote: 
remote:   027faa7121ee9df79db623e1a2848d2cc88a8dba
remote: "), @"
    a ruleset for refs/heads/main: Commits must have verified signatures. Found 1 violation: 027faa7121ee9df79db623e1a2848d2cc88a8dba
    → commits come back exactly as they were, signed or not: restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: https://github.com/acme/api/rules?ref=refs%2Fheads%2Fmain
    ");
    // Of two references, and without a page.
    insta::assert_snapshot!(explained("\
[remote rejected] (push declined due to repository rule violations): error: GH013: Repository rule violations found for \
refs/heads/a.  - Cannot force-push to this branch  error: GH013: Repository rule violations found for refs/heads/b. - \
Cannot delete this protected branch."), @"
    a ruleset for refs/heads/a: Cannot force-push to this branch
    → restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: Settings, Rules
    ");
    insta::assert_snapshot!(explained("remote: error: GH013: Repository rule violations found for refs/tags/v1."), @"
    a ruleset for refs/tags/v1: a push like this one is not allowed
    → restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: Settings, Rules
    ");
}

#[test]
fn secrets_and_everything_else() {
    insta::assert_snapshot!(explained("\
remote: error: GH013: Repository rule violations found for refs/heads/main.
remote:
remote: - GITHUB PUSH PROTECTION
remote:   —————————————————————————————————————————
remote:     Resolve the following violations before pushing again
remote:
remote:     - Push cannot contain secrets
remote:
remote:       —— GitHub Personal Access Token ——————————————————————
remote:        locations:
remote:          - commit: 5477a7dd26384ed3c8b3814ee677f755ad27a597
remote:            path: src/api/github.ts:34"), @"
    push protection: the commits hold what GitHub takes for secrets
    → download the commits instead, or let somebody allow these secrets who may bypass push protection: the repository's Security tab
    ");
    for (why, rule) in [
        ("error: GH009: Secrets detected! This push failed.", "hold what GitHub takes for secrets"),
        (
            " ! [remote rejected] main -> main (refusing to allow a GitHub App to create or update workflow \
             `.github/workflows/dlc.yml` without `workflows` permission)",
            "change a workflow",
        ),
        (
            "[remote rejected] (refusing to allow an OAuth App to create or update workflow `.github/workflows/ci.yml` \
             without `workflow` scope)",
            "change a workflow",
        ),
        ("remote: error: GH003: Sorry, force-pushing to main is not allowed.", "every forced push"),
        ("remote: error: denying non-fast-forward refs/heads/main (you should pull first)", "every forced push"),
        (
            "remote: error: GH001: Large files detected. You may want to try Git Large File Storage\nremote: error: File \
             big.bin is 150.00 MB; this exceeds GitHub's file size limit of 100.00 MB",
            "larger than GitHub takes",
        ),
        ("remote: fatal: pack exceeds maximum allowed size (2.00 GiB)", "larger than GitHub takes at once"),
        ("remote: error: GH008: Your push referenced at least 1 unknown Git LFS object:", "Git LFS objects"),
        ("remote: error: GH007: Your push would publish a private email address.", "keeps private"),
        (
            "remote: This repository was archived so it is read-only.\nfatal: unable to access \
             'https://github.com/acme/api.git/': The requested URL returned error: 403",
            "archived",
        ),
        (
            " ! [remote rejected] refs/pull/1/head -> refs/pull/1/head (deny updating a hidden ref)",
            "keeps this reference",
        ),
        (" ! [remote rejected] main (refusing to delete the current branch: refs/heads/main)", "the default branch"),
        ("remote: Write access to repository not granted.", "may not push"),
        ("remote: Permission to acme/api.git denied to mona.", "may not push"),
        ("remote: The 'acme' organization has enabled or enforced SAML SSO.", "single sign-on"),
    ] {
        let told = explained(why);
        assert!(told.contains(rule), "{why}: {told}");
    }
    for unknown in ["", "[rejected] (stale info)", "[remote rejected] (pre-receive hook declined): no", "GH999: new"] {
        assert_eq!(explained(unknown), "-", "{unknown}");
    }
}

proptest! {
    #[test]
    fn whatever_a_server_says_is_told_in_a_few_plain_words(
        first in "[ -~\\n\\t\\x1b\u{2014}]{0,60}",
        number in prop::sample::select(vec![
            "GH013: Repository rule violations found for ",
            "GH006: Protected branch update failed for ",
            "rules at https://",
            "GH009",
            " - ",
        ]),
        rest in "(remote: |error: GH0|refs/heads/|\u{e9}|\x07| - |[ -~\n]){0,400}",
    ) {
        if let Some(told) = github().refused(&format!("{first}{number}{rest}")) {
            let told = format!("{}{}", told.rule, told.way_out);
            prop_assert!(told.chars().count() < 1_300 && !told.chars().any(char::is_control), "{told}");
        }
    }
}

/// What becomes of a forced push of an older commit to `main`.
async fn force(host: &FakeGithub, repo: &Repo, work: &std::path::Path, to: &str) -> Outcome {
    let token = host.token(Token::classic("mona"));
    let remote = github().target(&host.access("acme", &token), &repo.full_name(), None).await.unwrap();
    let id = |text: String| text.parse().unwrap();
    let refspec = Refspec {
        local: Some(id(to.to_owned())),
        name: "refs/heads/main".parse().unwrap(),
        expected: Some(Some(id(repo.tip("refs/heads/main").await))),
    };
    let pushed = program::push(work, &remote, &[refspec], &Net::default()).await.unwrap();
    pushed.into_iter().next().unwrap().outcome
}

#[tokio::test]
async fn a_push_that_a_rule_forbids_is_explained() {
    let host = FakeGithub::start().await;
    let api = host.org("acme").repo("api").await;
    let work = api.work().await;
    let one = work.commit("one").await;
    work.commit("two").await;
    work.push(&["main"]).await;
    let push = async || {
        let bare = TempDir::new().unwrap();
        git(bare.path(), &["clone", "--quiet", "--bare", work.path().to_str().unwrap(), "."]).await;
        match force(&host, &api, bare.path(), &one).await {
            Outcome::Rejected(why) => seen(&host, &explained(&why)),
            other => format!("{other:?}"),
        }
    };
    api.protect("main", &["Cannot force-push to this branch"]);
    insta::assert_snapshot!(push().await, @"
    the protection of refs/heads/main: Cannot force-push to this branch
    → restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: Settings, Branches
    ");
    // What goes forward is no forced push.
    work.commit("three").await;
    work.push(&["main"]).await;
    api.unprotect();
    api.ruleset("refs/heads/main", &["Changes must be made through a pull request."]);
    insta::assert_snapshot!(push().await, @"
    a ruleset for refs/heads/main: Changes must be made through a pull request.
    → restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: http://127.0.0.1:PORT/acme/api/rules?ref=refs%2Fheads%2Fmain
    ");
    api.unprotect();
    assert_eq!(push().await, "Done");
}
