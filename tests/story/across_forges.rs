//! From one forge to another and back: what travels, what is said beforehand to stay behind, and what is too much for one push.

use std::path::Path;
use std::process::Stdio;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::support::fake_azure_devops::{Project, Repo};
use crate::support::fake_github;
use crate::support::shell::git;
use crate::support::world::{World, eventually, fsck, refs};

/// `acme/api` on GitHub, backed up: `main`, `topic`, a tag and a pull request; and the project `Prój eñt` of `contoso` beside it.
struct Forges {
    world: World,
    api: fake_github::Repo,
    work: fake_github::Work,
    project: Project,
}

impl Forges {
    /// Both are connected.
    async fn new() -> Self {
        let forges = Self::with(&[]).await;
        forges.world.connect_azure("contoso").await;
        forges
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let world = World::with_azure(settings).await;
        let api = world.github.org("acme").repo("api").await;
        let work = api.work().await;
        let one = work.commit("one").await;
        work.git(&["tag", "-a", "v1", "-m", "first"]).await;
        work.push(&["main", "v1", "HEAD:refs/heads/topic"]).await;
        git(&api.folder(), &["update-ref", "refs/pull/7/head", &one]).await;
        world.connect("acme").await;
        world.ok(&["backup", "acme:acme/api", "--wait"]).await;
        let project = world.azure().org("contoso").project("Prój eñt");
        Self { world, api, work, project }
    }

    /// Restores to a repository of Azure DevOps by its address.
    fn to(&self, repo: &Repo) -> Vec<String> {
        self.to_as(repo, &self.world.azure().full_pat("contoso"))
    }

    /// With this token.
    fn to_as(&self, repo: &Repo, pat: &SecretString) -> Vec<String> {
        let file = self.world.secret_file("restore.pat", pat.expose_secret());
        let url = repo.git_url().to_string();
        ["restore", "acme:acme/api", "--to-url", &url, "--token-file", &file].map(str::to_owned).to_vec()
    }

    /// A clone of everything that the repository of Azure DevOps shows, whole and in order.
    async fn cloned(&self, full_name: &str) -> Value {
        let (project, name) = full_name.split_once('/').unwrap();
        let mut url = self.world.azure().url("contoso");
        url.path_segments_mut().unwrap().extend([project, "_git", name]);
        url.set_username("x").unwrap();
        url.set_password(Some(self.world.azure().full_pat("contoso").expose_secret())).unwrap();
        let folder = self.world.path(&format!("clones/{}", name.replace(' ', "-")));
        let _ = std::fs::remove_dir_all(&folder);
        git(Path::new("/"), &["clone", "--quiet", "--mirror", url.as_str(), &folder]).await;
        fsck(Path::new(&folder)).await;
        refs(Path::new(&folder)).await
    }

    /// What people read, without what is different each time.
    async fn reads(&self, arguments: &[&str]) -> String {
        let ran = self.world.refward(arguments).await;
        let host = self.world.azure().host().authority().to_owned();
        let github = self.world.github.url().authority().to_owned();
        let text = format!("{}{}", ran.stdout, ran.stderr).replace(&host, "AZURE").replace(&github, "GITHUB");
        let masked = |word: &str| match word {
            word if word.len() == 10 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "ID".to_owned(),
            word if word.starts_with("(20") => "(DAY".to_owned(),
            word if word.split(':').count() == 3 && word.bytes().all(|byte| byte == b':' || byte.is_ascii_digit()) => {
                "TIME".to_owned()
            }
            word => word.to_owned(),
        };
        let untimed = |line: &str| {
            line.strip_suffix(" ms").and_then(|line| line.rsplit_once(", ")).map(|(line, _)| line.to_owned())
        };
        let lines = text.lines().map(|line| untimed(line).unwrap_or_else(|| line.to_owned()));
        let lines = lines.map(|line| line.split(' ').map(masked).collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What a restore brings of a server: no pull requests.
fn without_pulls(mut refs: Value) -> Value {
    refs.as_object_mut().unwrap().retain(|name, _| !name.starts_with("refs/pull/"));
    refs
}

const NEW: &[&str] = &["restore", "acme:acme/api", "--to", "contoso:Prój eñt/api copy", "--create"];

#[tokio::test]
async fn a_repository_of_github_becomes_a_new_one_of_azure_devops() {
    let forges = Forges::new().await;
    git(&forges.api.folder(), &["symbolic-ref", "HEAD", "refs/heads/topic"]).await;
    forges.world.ok(&["backup", "acme:acme/api", "--wait"]).await;

    insta::assert_snapshot!(forges.reads(&[NEW, &["--plan"]].concat()).await, @"
    Plan: acme/api as of snapshot 2 (DAY TIME UTC)
      make       the repository http://AZURE/contoso/Pr%C3%B3j%20e%C3%B1t/_git/api%20copy
      create     refs/heads/main at ID
      create     refs/heads/topic at ID
      create     refs/tags/v1 at ID
      STAYS BEHIND: refs/pull/7/head: the server keeps it for itself; --prefix restores it under another name, --to-dir as it is
      STAYS BEHIND: issues, pull requests, settings, hooks, files in Git LFS: a restore to another repository brings what git has, and nothing else
    ");
    let plan = forges.world.ok(&[NEW, &["--plan"]].concat()).await;
    assert_eq!(plan["left_behind"].as_array().unwrap().len(), 2, "{plan}");
    assert!(plan["makes"].as_str().unwrap().ends_with("/contoso/Pr%C3%B3j%20e%C3%B1t/_git/api%20copy"), "{plan}");
    let made = |forges: &Forges| {
        forges.world.azure().seen().iter().filter(|seen| seen.method == "POST" && seen.path.contains("/_apis/")).count()
    };
    let before = made(&forges);

    let receipt = forges.world.ok(NEW).await;
    assert_eq!(receipt["written"].as_array().unwrap().len(), 3, "{receipt}");
    assert_eq!(made(&forges), before + 1, "the plan made nothing");
    let there = forges.cloned("Prój eñt/api copy").await;
    assert_eq!(there, without_pulls(forges.world.server_refs(&forges.api).await));
    assert_eq!(there["HEAD"], "ref: refs/heads/topic", "the default branch is that of the backup");

    // Once more: it is there, and nothing is left to do.
    let again = forges.world.ok(NEW).await;
    assert_eq!(again["written"], json!([]));
}

#[tokio::test]
async fn a_repository_is_not_made_without_being_asked_for_nor_in_a_project_that_is_not_there() {
    let forges = Forges::new().await;
    let ran = forges.world.refward(&["restore", "acme:acme/api", "--to", "contoso:Prój eñt/api", "--json"]).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (3, &json!("not_found")), "{ran:?}");
    assert!(ran.error()["hint"].as_str().unwrap().contains("--create"), "{ran:?}");
    for plan in [&["--plan"][..], &[]] {
        let nowhere = ["restore", "acme:acme/api", "--to", "contoso:mobile/api", "--create", "--json"];
        let ran = forges.world.refward(&[&nowhere[..], plan].concat()).await;
        assert_eq!((ran.code, &ran.error()["kind"]), (6, &json!("misconfigured")), "{ran:?}");
        assert!(ran.error()["message"].as_str().unwrap().contains("no project mobile"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_repository_of_azure_devops_comes_to_github() {
    let forges = Forges::with(&[]).await;
    let (world, repo) = (&forges.world, forges.project.repo("My Räpo").await);
    let work = repo.work().await;
    let one = work.commit("from over there").await;
    work.push(&["main", "HEAD:refs/tags/v7"]).await;
    git(&repo.path(), &["update-ref", "refs/pull/1/merge", &one]).await;
    world.connect_azure("contoso").await;
    world.ok(&["backup", "contoso:Prój eñt/My Räpo", "--wait"]).await;

    // GitHub lets no program of ours make one: the page is told.
    let back = ["restore", "contoso:Prój eñt/My Räpo", "--to", "acme:acme/My-R-po"];
    let ran = world.refward(&[&back[..], &["--create", "--json"]].concat()).await;
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.error()["hint"].as_str().unwrap().contains("/new?owner=acme&name=My-R-po"), "{ran:?}");

    let target = world.github.org("acme").repo("My-R-po").await;
    insta::assert_snapshot!(forges.reads(&[&back[..], &["--plan"]].concat()).await, @"
    Plan: Prój eñt/My Räpo as of snapshot 1 (DAY TIME UTC)
      create     refs/heads/main at ID
      create     refs/tags/v7 at ID
      STAYS BEHIND: refs/pull/1/merge: the server keeps it for itself; --prefix restores it under another name, --to-dir as it is
      STAYS BEHIND: the choice of main as the default branch: a push does not make it; the repository's settings do
      STAYS BEHIND: issues, pull requests, settings, hooks, files in Git LFS: a restore to another repository brings what git has, and nothing else
    ");
    world.ok(&back).await;
    assert_eq!(world.server_refs(&target).await, without_pulls(refs(&repo.path()).await));
    fsck(&target.folder()).await;

    // A peer takes it under the name that GitHub would give it.
    world.ok(&["connections", "pair", "contoso", "acme"]).await;
    let paired = world.ok(&["restore", "contoso:Prój eñt/My Räpo", "--plan"]).await;
    let actions: Vec<&str> = paired["refs"].as_array().unwrap().iter().filter_map(|to| to["action"].as_str()).collect();
    assert_eq!(actions, ["unchanged", "skip", "unchanged"], "{paired}");
}

#[tokio::test]
async fn a_policy_that_blocks_the_push_is_named_with_the_right_that_would_allow_it() {
    let forges = Forges::new().await;
    let (world, org, repo) = (&forges.world, forges.world.azure().org("contoso"), forges.project.repo("api").await);
    let there = repo.work().await;
    let theirs = there.commit("something else").await;
    there.push(&["main"]).await;
    repo.policy("main", "");
    org.person("bea").may(&repo, &["GenericRead", "GenericContribute", "CreateBranch", "CreateTag"]);
    let pat = world.azure().pat("bea", "contoso", &["vso.code_write", "vso.project"]);
    let file = world.secret_file("bea.pat", pat.expose_secret());
    world.ok(&["credentials", "add", "contoso", "--token-file", &file, "--label", "bea", "--enable"]).await;
    world.ok(&["credentials", "main", "contoso", "bea"]).await;
    world.ok(&["credentials", "disable", "contoso", "token"]).await;

    let over = ["restore", "acme:acme/api", "--to", "contoso:Prój eñt/api", "--ref", "main", "--force"];
    insta::assert_snapshot!(forges.reads(&over).await, @"
    Restored acme/api as of snapshot 1 (DAY TIME UTC) to http://AZURE/contoso/Pr%C3%B3j%20e%C3%B1t/_git/api: 0 references, 1 pack
      refused by the server: refs/heads/main: our identity lacks the right “Force push (rewrite history, delete branches and tags)” (ForcePush)
        an administrator of the project can give it: Project settings, Repositories, Security; a token also needs the scope `Code (read & write)`, and `Code (manage)` for a new repository
    error: references that were not restored: 1
      the server said why; allow it there and restore again
    ");
    org.person("bea").may(&repo, &["ForcePush"]);
    insta::assert_snapshot!(forges.reads(&over).await, @"
    Restored acme/api as of snapshot 1 (DAY TIME UTC) to http://AZURE/contoso/Pr%C3%B3j%20e%C3%B1t/_git/api: 0 references, 1 pack
      refused by the server: refs/heads/main: a branch policy: changes come by pull requests alone
        restore into a new branch, or allow our identity “Bypass policies when pushing” (PolicyExempt) on this branch: Project settings, Repositories, Security
    error: references that were not restored: 1
      the server said why; allow it there and restore again
    ");
    assert_eq!(repo.tip("main").await, theirs, "nothing was overwritten");

    // Beside it there is no policy, and with the right there is no obstacle.
    let beside = [&over[..], &["--prefix", "refs/heads/restored/"]].concat();
    world.ok(&beside).await;
    assert_eq!(repo.tip("restored/main").await, forges.api.tip("main").await);
    org.person("bea").may(&repo, &["PolicyExempt"]);
    world.ok(&over).await;
    assert_eq!(repo.tip("main").await, forges.api.tip("main").await);
}

/// What nothing makes much smaller.
fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes / 16).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect()
}

/// So many commits, each with a file of its own.
async fn grows(work: &fake_github::Work, commits: u32, bytes: usize) {
    for number in 0..commits {
        std::fs::write(work.path().join(format!("noise-{number}")), noise(bytes)).unwrap();
        work.commit(&format!("noise {number}")).await;
    }
    work.push(&["main"]).await;
}

/// So many commits that make the same file longer: each version is a small difference to another.
async fn grows_longer(work: &fake_github::Work, commits: u32, bytes: usize) {
    let mut diary = Vec::new();
    for number in 0..commits {
        diary.extend(noise(bytes));
        std::fs::write(work.path().join("diary"), &diary).unwrap();
        work.commit(&format!("day {number}")).await;
    }
    work.push(&["main"]).await;
}

/// Tags that only a push in slices needs.
async fn unfinished(repo: &Repo) -> usize {
    repo.refs().await.iter().filter(|(name, _)| name.starts_with("refs/tags/refward-unfinished/")).count()
}

#[tokio::test]
async fn what_is_too_much_for_one_push_goes_in_slices() {
    let forges = Forges::with(&[("restore.largest_push", "100000")]).await;
    let (world, repo) = (&forges.world, forges.project.repo("api").await);
    grows_longer(&forges.work, 12, 6_000).await;
    grows(&forges.work, 10, 30_000).await;
    // Two lines of history that meet again.
    forges.work.git(&["checkout", "--quiet", "-b", "aside", "HEAD~5"]).await;
    grows(&forges.work, 2, 30_000).await;
    forges.work.git(&["merge", "--quiet", "-X", "ours", "-m", "together", "main"]).await;
    forges.work.push(&["HEAD:refs/heads/aside"]).await;
    world.ok(&["backup", "acme:acme/api", "--wait"]).await;

    // The server refuses what is larger than the setting says that it takes.
    world.azure().push_limit(100_000);
    let arguments = forges.to(&repo);
    let receipt = world.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!((&receipt["refused"], receipt.get("left_over")), (&json!([]), None), "{receipt}");
    assert_eq!(forges.cloned("Prój eñt/api").await, without_pulls(world.server_refs(&forges.api).await));
    let pushes =
        world.azure().seen().iter().filter(|seen| seen.method == "POST" && seen.path.ends_with("receive-pack")).count();
    assert!(pushes > 4, "{pushes}");
}

#[tokio::test]
async fn a_push_in_slices_that_was_killed_goes_on_where_it_was() {
    let forges = Forges::with(&[("restore.largest_push", "40000")]).await;
    let (world, repo) = (&forges.world, forges.project.repo("api").await);
    grows(&forges.work, 30, 30_000).await;
    world.ok(&["backup", "acme:acme/api", "--wait"]).await;
    let arguments = forges.to(&repo);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let mut first = world.command(&arguments);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually(async || (unfinished(&repo).await > 2).then_some(()), || "some slices to arrive".to_owned()).await;
    first.kill().await.unwrap();
    let left = unfinished(&repo).await;
    assert!(left > 2, "it left what is there already");
    assert!(
        repo.refs().await.iter().all(|(name, _)| name.starts_with("refs/tags/refward-unfinished/")),
        "nothing is half there"
    );

    let before = world.azure().seen().len();
    world.ok(&arguments).await;
    assert_eq!(forges.cloned("Prój eñt/api").await, without_pulls(world.server_refs(&forges.api).await));
    let seen = world.azure().seen();
    let pushes =
        seen[before..].iter().filter(|seen| seen.method == "POST" && seen.path.ends_with("receive-pack")).count();
    assert!(pushes <= 30 - left + 3, "{pushes} pushes, although {left} slices were there");
}

#[tokio::test]
async fn one_file_that_no_push_can_hold_is_named() {
    let forges = Forges::with(&[("restore.largest_push", "40000")]).await;
    let (world, repo) = (&forges.world, forges.project.repo("api").await);
    grows(&forges.work, 1, 60_000).await;
    world.ok(&["backup", "acme:acme/api", "--wait"]).await;
    let arguments = forges.to(&repo);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--json"]).collect();
    let ran = world.refward(&arguments).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (2, &json!("bad_request")), "{ran:?}");
    let blob = git(&forges.api.folder(), &["rev-parse", "main:noise-0"]).await;
    assert!(ran.error()["message"].as_str().unwrap().contains(&format!("the blob {blob} has ")), "{ran:?}");
    assert_eq!(repo.refs().await, []);
}

#[tokio::test]
async fn what_slices_need_on_the_way_is_named_where_it_is_refused_or_left_over() {
    let forges = Forges::with(&[("restore.largest_push", "40000")]).await;
    let (world, repo) = (&forges.world, forges.project.repo("api").await);
    let bea = world.azure().org("contoso").person("bea");
    bea.may(&repo, &["GenericRead", "GenericContribute", "CreateBranch"]);
    let pat = world.azure().pat("bea", "contoso", &["vso.code_write"]);
    grows(&forges.work, 3, 30_000).await;
    world.ok(&["backup", "acme:acme/api", "--wait"]).await;
    let arguments = forges.to_as(&repo, &pat);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--ref", "main"]).collect();

    let refused = world.refward(&[&arguments[..], &["--json"]].concat()).await.json();
    let rule = refused["refused"][0]["rule"].as_str().unwrap();
    assert!(rule.contains("“Create tag”"), "{refused}");
    assert_eq!((refused.get("left_over"), repo.refs().await.len()), (None, 0), "{refused}");

    // A tag that it may make and not delete is there when all else is done.
    bea.may(&repo, &["CreateTag"]);
    let done = world.ok(&arguments).await;
    assert_eq!((&done["written"], &done["refused"]), (&json!(["refs/heads/main"]), &json!([])));
    let left = done["left_over"].as_array().unwrap();
    assert_eq!(left.len(), unfinished(&repo).await);
    assert!(left[0]["rule"].as_str().unwrap().contains("(ForcePush)"), "{done}");

    // With that right, the next run has nothing to do but to tidy up.
    bea.may(&repo, &["ForcePush"]);
    let again = world.ok(&arguments).await;
    assert_eq!((&again["written"], again.get("left_over")), (&json!([]), None));
    assert_eq!(unfinished(&repo).await, 0);
}
