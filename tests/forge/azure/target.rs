//! A repository of Azure DevOps as the target of a restore: found, refused, made.

use refward::domain::Error;
use refward::forge::{Access, Forge, azure_devops};
use secrecy::SecretString;

use crate::support::fake_azure_devops::{FakeAzureDevops, Project, Repo};
use crate::{client, net, told};

const WRITES: &[&str] = &["vso.code_write", "vso.project"];

/// `contoso/web` has a repository `api`, and bea may read it.
struct Target {
    azure: FakeAzureDevops,
    project: Project,
    repo: Repo,
    forge: Box<dyn Forge>,
}

impl Target {
    async fn new() -> Self {
        let azure = FakeAzureDevops::start().await;
        let project = azure.org("contoso").project("web");
        let repo = project.repo("api").await;
        azure.org("contoso").person("bea").may(&repo, &["GenericRead"]);
        Self { azure, project, repo, forge: azure_devops::connect(net(client())) }
    }

    /// With a token of somebody's.
    fn access(&self, person: &str, scopes: &[&str]) -> Access {
        let pat = self.azure.pat(person, "contoso", scopes);
        self.azure.access("contoso", &pat)
    }

    async fn refused(&self, access: &Access, name: &str, id: Option<&str>) -> String {
        told(&self.forge.target(access, name, id).await.err().expect("nothing is pushed there"))
    }

    /// Without the port, which is another each time.
    fn plain(&self, text: &str) -> String {
        text.replace(&self.azure.host().authority().to_owned(), "HOST")
    }
}

#[tokio::test]
async fn a_repository_is_found_by_its_name_and_by_the_id_that_is_known() {
    let target = Target::new().await;
    let access = target.access("ada", WRITES);
    let id = target.repo.id().to_string();
    for known in [None, Some(id.as_str())] {
        let remote = target.forge.target(&access, "web/api", known).await.unwrap();
        assert_eq!(remote.url, target.repo.git_url());
        assert!(remote.credential.is_some());
    }
    let other = target.refused(&access, "web/api", Some("6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c")).await;
    insta::assert_snapshot!(target.plain(&other), @"
    NotFound: web/api is another repository on HOST than the one that we know
    → `refward repos sync` looks what is where now
    ");
    // An id in the place of a name would lead to whatever has it.
    let by_id = target.refused(&access, &format!("web/{id}"), None).await;
    assert!(by_id.contains("is called web/api on"), "{by_id}");
}

#[tokio::test]
async fn what_is_missing_or_disabled_is_told_apart() {
    let target = Target::new().await;
    let access = target.access("ada", WRITES);
    insta::assert_snapshot!(target.plain(&target.refused(&access, "web/other", None).await), @"
    NotFound: HOST has no repository web/other, or the credential may not see it
    → --create makes it, empty; or make it yourself, without a README
    ");
    insta::assert_snapshot!(target.plain(&target.refused(&access, "mobile/api", None).await), @"
    Misconfigured: HOST has no project mobile, or the credential may not see it
    → projects are made by people; or name one that is there: --to CONNECTION:PROJECT/REPOSITORY
    ");
    target.repo.disable();
    insta::assert_snapshot!(target.plain(&target.refused(&access, "web/api", None).await), @"
    Misconfigured: web/api is disabled on HOST: nobody can push to it
    → enable it first: Project settings, Repositories, the repository's Settings
    ");
}

#[tokio::test]
async fn the_right_that_is_missing_is_named_before_anything_is_pushed() {
    let target = Target::new().await;
    let access = target.access("bea", WRITES);
    insta::assert_snapshot!(target.refused(&access, "web/api", None).await, @"
    Misconfigured: the credential `token` may not push to web/api: its identity lacks the right “Contribute”
    → give it that: Project settings, Repositories, Security; or use another: `refward credentials --help`
    ");
    target.azure.org("contoso").person("bea").may(&target.repo, &["GenericContribute"]);
    target.forge.target(&access, "web/api", None).await.unwrap();
}

#[tokio::test]
async fn another_credential_of_the_pool_that_may_is_used() {
    let target = Target::new().await;
    let mut access = target.access("bea", WRITES);
    access.credentials.extend(target.access("ada", WRITES).credentials);
    target.forge.target(&access, "web/api", None).await.unwrap();
    // Where none may, what the first lacks is told.
    let gone: SecretString = "0".repeat(52).into();
    let mut access = target.access("bea", WRITES);
    access.credentials.extend(target.azure.access("contoso", &gone).credentials);
    assert!(target.refused(&access, "web/api", None).await.contains("“Contribute”"));
}

#[tokio::test]
async fn a_repository_is_made_in_a_project_that_is_there() {
    let target = Target::new().await;
    let access = target.access("ada", &["vso.code_manage", "vso.project"]);
    let made = target.forge.create(&access, "web/My Räpo").await.unwrap();
    assert_eq!((made.full_name.as_str(), made.private, made.default_branch), ("web/My Räpo", true, None));
    let remote = target.forge.target(&access, "web/My Räpo", Some(&made.forge_id)).await.unwrap();
    assert!(remote.url.path().ends_with("/web/_git/My%20R%C3%A4po"), "{}", remote.url);

    let refused = |error: Error| target.plain(&told(&error));
    insta::assert_snapshot!(refused(target.forge.create(&access, "mobile/api").await.unwrap_err()), @"
    Misconfigured: HOST has no project mobile, or the credential may not see it
    → projects are made by people; or name one that is there: --to CONNECTION:PROJECT/REPOSITORY
    ");
    insta::assert_snapshot!(refused(target.forge.create(&access, "web/api").await.unwrap_err()), @"
    Misconfigured: web/api is there already, where we cannot see it: TF400948: A Git repository with the name api already exists.
    → it is disabled, or the credential may not read it; restore under another name: --to
    ");
    target.azure.org("contoso").person("cem").may(&target.project, &["GenericRead"]);
    let access = target.access("cem", &["vso.code_manage", "vso.project"]);
    insta::assert_snapshot!(refused(target.forge.create(&access, "web/new").await.unwrap_err()), @"
    Misconfigured: our identity lacks the right “Create repository” (CreateRepository)
    → an administrator of the project can give it: Project settings, Repositories, Security; a token also needs the scope `Code (read & write)`, and `Code (manage)` for a new repository
    ");
}

#[tokio::test]
async fn the_default_branch_is_set() {
    let target = Target::new().await;
    let work = target.repo.work().await;
    work.commit("one").await;
    work.push(&["main", "HEAD:refs/heads/trunk"]).await;
    let access = target.access("ada", &["vso.code_manage"]);
    target.forge.set_default_branch(&access, "web/api", &"refs/heads/trunk".parse().unwrap()).await.unwrap();
    let head = crate::support::shell::git(&target.repo.path(), &["symbolic-ref", "HEAD"]).await;
    assert_eq!(head, "refs/heads/trunk");
}
