//! What a credential may do, and how to get what it may not.

use serde::Deserialize;

use super::api::Api;
use super::errors::Signs;
use super::reach;
use super::repositories::{self, Found, Project};
use super::rights::NAMESPACE as GIT;
use crate::domain::{Error, Kind, Result};
use crate::forge::Inspection;

/// What a token is asked for when it is made, and what it is good for.
/// <https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/oauth#scopes>
struct Scope {
    name: &'static str,
    /// As the page says on which tokens are made.
    box_to_tick: &'static str,
    without: &'static str,
}

const PROJECT: Scope =
    Scope { name: "vso.project", box_to_tick: "Project and Team: Read", without: "projects stay hidden" };
const CODE: Scope = Scope { name: "vso.code", box_to_tick: "Code: Read", without: "repositories cannot be fetched" };
const WORK: Scope =
    Scope { name: "vso.work", box_to_tick: "Work Items: Read", without: "changes of work items are not told of" };
const BUILD: Scope = Scope { name: "vso.build", box_to_tick: "Build: Read", without: "builds are not told of" };
const WIKI: Scope = Scope { name: "vso.wiki", box_to_tick: "Wiki: Read", without: "wikis cannot be told apart" };

/// Bits of a namespace that are granted together for one purpose.
/// <https://learn.microsoft.com/azure/devops/organizations/security/namespace-reference>
struct Right {
    namespace: &'static str,
    bits: u32,
    name: &'static str,
    /// What goes before a project's id.
    token: &'static str,
    /// Where it is granted, if a backup needs it.
    needed: Option<(&'static str, &'static str)>,
}

const SERVICE_HOOKS: &str = "cb594ebe-87dd-4fc9-ac2c-6a10a4c92046";

const RIGHTS: &[Right] = &[
    Right {
        namespace: GIT,
        bits: 2,
        name: "Git: Read",
        token: "repoV2/",
        needed: Some(("repositories cannot be fetched", "Project settings, Repositories, Security")),
    },
    Right {
        namespace: SERVICE_HOOKS,
        // View, edit and delete subscriptions.
        bits: 1 | 2 | 4,
        name: "Service hooks: View, Edit, Delete",
        token: "PublisherSecurity/",
        needed: Some((
            "pushes are noticed by sweeps alone",
            "make it a Project Administrator, or a member of Project Collection Administrators",
        )),
    },
    // What a restore needs besides.
    Right {
        namespace: GIT,
        bits: 4 | 16 | 32,
        name: "Git: Contribute, Create branch, Create tag",
        token: "repoV2/",
        needed: None,
    },
    Right { namespace: GIT, bits: 8, name: "Git: Force push", token: "repoV2/", needed: None },
    Right { namespace: GIT, bits: 128, name: "Git: Bypass policies when pushing", token: "repoV2/", needed: None },
    Right { namespace: GIT, bits: 256, name: "Git: Create repository", token: "repoV2/", needed: None },
];

/// Projects whose rights are asked for in one request: addresses have an end.
const AT_ONCE: usize = 40;

/// The nobody that is let in where an organization has public projects.
const ANONYMOUS: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";

/// What a credential may do with an organization's repositories.
pub(super) async fn inspect(api: &Api) -> Result<Inspection> {
    let user = api.connection_data().await?.authenticated_user;
    if user.as_ref().is_some_and(|user| user.id == ANONYMOUS) {
        let text = format!("{} takes the credential for nobody's", api.host.name());
        return Err(Error::misconfigured(text).hint(format!("make a new one at {}", reach::tokens(&api.host))));
    }
    let login = user.and_then(super::api::User::name);
    let product = api.product().await?;
    let mut rights = Rights { api, held: Vec::new(), missing: Vec::new() };
    let projects = rights.opens(&PROJECT, repositories::projects(api, "wellFormed").await)?.unwrap_or_default();
    let found = rights.opens(&CODE, repositories::all(api).await)?;
    rights.opens(&WORK, api.get_good(&["_apis", "wit", "fields"], &[]).await)?;
    if let Some(project) = projects.first() {
        let path = [project.id.as_str(), "_apis", "build", "definitions"];
        rights.opens(&BUILD, api.get_good(&path, &[("$top", "1")]).await)?;
    }
    rights.opens(&WIKI, api.get_good(&["_apis", "wiki", "wikis"], &[]).await)?;
    rights.look_at(&projects).await?;
    if let Some(found) = found {
        rights.blind(&projects, &found);
    }
    let Rights { held, missing, .. } = rights;
    let credential = match (api.signs(), &login) {
        (Signs::Token, _) => "personal access token".to_owned(),
        (Signs::Client(_), _) => "service principal".to_owned(),
        (Signs::Person(_), Some(login)) => format!("sign-in of {login}"),
        (Signs::Person(_), None) => "sign-in".to_owned(),
        (Signs::Nobody, _) => "nobody".to_owned(),
    };
    Ok(Inspection { host: product.to_string(), login, credential, expires: None, held, missing })
}

/// What was found out so far.
struct Rights<'a> {
    api: &'a Api,
    held: Vec<String>,
    missing: Vec<String>,
}

impl Rights<'_> {
    /// Whether a scope is held shows in a call that wants it: who is known, and is refused, lacks it.
    fn opens<T>(&mut self, scope: &Scope, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Ok(found) => {
                self.held.push(scope.name.to_owned());
                Ok(Some(found))
            }
            Err(error) if matches!(error.kind(), Kind::Misconfigured | Kind::NotFound) => {
                self.missing.push(self.how_to_get(scope));
                tracing::debug!(scope = scope.name, "a scope is missing: {}", error.for_log());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn how_to_get(&self, Scope { name, box_to_tick, without }: &Scope) -> String {
        let how = match self.api.signs() {
            Signs::Client(_) | Signs::Person(_) => {
                "grant it to the application in Entra, API permissions, Azure DevOps".to_owned()
            }
            Signs::Token | Signs::Nobody => {
                format!("open the token at {}, tick `{box_to_tick}`, save", reach::tokens(&self.api.host))
            }
        };
        format!("the scope `{name}`, without which {without}: {how}")
    }

    /// What the access control lists say, project by project.
    async fn look_at(&mut self, projects: &[Project]) -> Result<()> {
        for right in RIGHTS {
            let mut lacking = Vec::new();
            for projects in projects.chunks(AT_ONCE) {
                match self.has(right, projects).await {
                    Ok(has) => lacking.extend(projects.iter().zip(has).filter(|(_, has)| !has).map(|(of, _)| of)),
                    Err(error) if error.kind().is_transient() => return Err(error),
                    // Nothing can be said of it then.
                    Err(error) => {
                        tracing::debug!(right = right.name, "not told: {}", error.for_log());
                        return Ok(());
                    }
                }
            }
            self.tell(right, projects.len(), &lacking);
        }
        Ok(())
    }

    async fn has(&self, right: &Right, projects: &[Project]) -> Result<Vec<bool>> {
        #[derive(Deserialize)]
        struct Answers {
            value: Vec<bool>,
        }
        let tokens: Vec<String> = projects.iter().map(|project| format!("{}{}", right.token, project.id)).collect();
        let path = ["_apis", "permissions", right.namespace, &right.bits.to_string()];
        let answer = self.api.get_good(&path, &[("tokens", &tokens.join(",")), ("delimiter", ",")]).await?;
        self.api.read::<Answers>(&answer).map(|answers| answers.value)
    }

    fn tell(&mut self, right: &Right, of: usize, lacking: &[&Project]) {
        let has = of - lacking.len();
        match has {
            0 => {}
            _ if has == of => self.held.push(right.name.to_owned()),
            _ => self.held.push(format!("{} ({has} of {of} projects)", right.name)),
        }
        if let (Some((without, how)), [_, ..]) = (right.needed, lacking) {
            let names: Vec<String> = lacking.iter().take(3).map(|project| format!("`{}`", project.name)).collect();
            let more = lacking.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.missing.push(format!(
                "the permission `{}` in {}{more}, without which {without}: {how}",
                right.name,
                names.join(", ")
            ));
        }
    }

    /// Every project has a repository from its first day on; whoever sees none though they may read has no licence for code.
    /// <https://learn.microsoft.com/azure/devops/organizations/security/stakeholder-access>
    fn blind(&mut self, projects: &[Project], found: &[Found]) {
        let may_read = self.held.iter().any(|held| held.starts_with(RIGHTS[0].name));
        if found.is_empty() && may_read {
            self.missing.push(format!(
                "the sight of any repository in {} projects: its access level is Stakeholder, which hides all code; give it \
                 Basic at {}",
                projects.len(),
                reach::users(&self.api.host)
            ));
        }
    }
}
