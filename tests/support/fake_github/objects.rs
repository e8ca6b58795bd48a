//! How GitHub writes its things as JSON.

use serde_json::{Value, json};

use super::apps::{App, Installation};
use super::state::{Account, Repository, State, id_of};

const ACCOUNT_LINKS: &[&str] = &[
    "followers",
    "following",
    "gists",
    "starred",
    "subscriptions",
    "organizations",
    "repos",
    "events",
    "received_events",
];

/// Addresses below a repository: what the field is called, and where it leads if that has another name.
const REPOSITORY_LINKS: &[(&str, &str)] = &[
    ("archive", "{archive_format}{/ref}"),
    ("assignees", "assignees{/user}"),
    ("blobs", "git/blobs{/sha}"),
    ("branches", "branches{/branch}"),
    ("collaborators", "collaborators{/collaborator}"),
    ("comments", "comments{/number}"),
    ("commits", "commits{/sha}"),
    ("compare", "compare/{base}...{head}"),
    ("contents", "contents/{+path}"),
    ("contributors", "contributors"),
    ("deployments", "deployments"),
    ("downloads", "downloads"),
    ("events", "events"),
    ("forks", "forks"),
    ("git_commits", "git/commits{/sha}"),
    ("git_refs", "git/refs{/sha}"),
    ("git_tags", "git/tags{/sha}"),
    ("hooks", "hooks"),
    ("issue_comment", "issues/comments{/number}"),
    ("issue_events", "issues/events{/number}"),
    ("issues", "issues{/number}"),
    ("keys", "keys{/key_id}"),
    ("labels", "labels{/name}"),
    ("languages", "languages"),
    ("merges", "merges"),
    ("milestones", "milestones{/number}"),
    ("notifications", "notifications{?since,all,participating}"),
    ("pulls", "pulls{/number}"),
    ("releases", "releases{/id}"),
    ("stargazers", "stargazers"),
    ("statuses", "statuses/{sha}"),
    ("subscribers", "subscribers"),
    ("subscription", "subscription"),
    ("tags", "tags"),
    ("teams", "teams"),
    ("trees", "git/trees{/sha}"),
];

impl State {
    /// A user, an organization or an App's bot.
    pub fn account_json(&self, login: &str) -> Value {
        let known = self.account(login).map(|(_, account)| account.clone());
        let account = known.unwrap_or_else(|| Account { organization: false, id: id_of(login) });
        let kind = match login {
            _ if account.organization => "Organization",
            login if login.ends_with("[bot]") => "Bot",
            _ => "User",
        };
        let host = &self.host;
        let mut json = json!({
            "login": login,
            "id": account.id,
            "node_id": format!("U_{}", account.id),
            "avatar_url": format!("{host}/avatars/u/{}", account.id),
            "gravatar_id": "",
            "url": format!("{host}/api/v3/users/{login}"),
            "html_url": format!("{host}/{login}"),
            "type": kind,
            "site_admin": false,
        });
        for link in ACCOUNT_LINKS {
            json[format!("{link}_url")] = format!("{host}/api/v3/users/{login}/{link}").into();
        }
        json
    }

    /// An organization as webhooks have it.
    pub fn organization_json(&self, login: &str) -> Value {
        let account = self.account_json(login);
        let api = format!("{}/api/v3/orgs/{login}", self.host);
        let mut json = json!({
            "login": login,
            "id": account["id"],
            "node_id": account["node_id"],
            "avatar_url": account["avatar_url"],
            "description": null,
            "url": api,
        });
        for link in ["repos", "events", "hooks", "issues", "members", "public_members"] {
            json[format!("{link}_url")] = format!("{api}/{link}").into();
        }
        json
    }

    /// A repository as lists have it; a single one has a few fields more.
    pub fn repository_json(&self, repository: &Repository) -> Value {
        let (host, full_name) = (&self.host, repository.full_name());
        let api = format!("{host}/api/v3/repos/{full_name}");
        let mut json = json!({
            "id": repository.id,
            "node_id": format!("R_{}", repository.id),
            "name": repository.name,
            "full_name": full_name,
            "private": repository.private,
            "visibility": if repository.private { "private" } else { "public" },
            "owner": self.account_json(&repository.owner),
            "description": null,
            "archived": repository.archived,
            "disabled": false,
            "fork": false,
            "default_branch": "main",
            "created_at": repository.created_at,
            "updated_at": repository.pushed_at,
            "pushed_at": repository.pushed_at,
            "url": api,
            "html_url": format!("{host}/{full_name}"),
            "clone_url": format!("{host}/{full_name}.git"),
            "git_url": format!("git://localhost/{full_name}.git"),
            "ssh_url": format!("git@localhost:{full_name}.git"),
            "svn_url": format!("{host}/{full_name}"),
            "mirror_url": null,
            "homepage": null,
            "language": null,
            "license": null,
            "size": 0,
            "topics": [],
        });
        for (name, leads_to) in REPOSITORY_LINKS {
            json[format!("{name}_url")] = format!("{api}/{leads_to}").into();
        }
        for count in [
            "forks",
            "open_issues",
            "watchers",
            "forks_count",
            "open_issues_count",
            "stargazers_count",
            "watchers_count",
        ] {
            json[count] = 0.into();
        }
        for (switch, on) in [
            ("issues", true),
            ("projects", true),
            ("wiki", true),
            ("pages", false),
            ("downloads", true),
            ("discussions", false),
        ] {
            json[format!("has_{switch}")] = on.into();
        }
        json
    }

    /// A single repository.
    pub fn full_repository_json(&self, repository: &Repository) -> Value {
        let mut json = self.repository_json(repository);
        json["network_count"] = 0.into();
        json["subscribers_count"] = 0.into();
        json
    }

    /// What `installation` events say of a repository.
    pub fn repository_in_short(&self, id: u64) -> Option<Value> {
        let found = self.repository(id)?;
        Some(json!({
            "id": id,
            "node_id": format!("R_{id}"),
            "name": found.name,
            "full_name": found.full_name(),
            "private": found.private,
        }))
    }

    pub fn app_json(&self, app: &App) -> Value {
        json!({
            "id": app.id,
            "slug": app.slug,
            "node_id": format!("A_{}", app.id),
            "client_id": app.client_id,
            "owner": self.account_json(&app.owner),
            "name": app.name,
            "description": app.description,
            "external_url": app.homepage,
            "html_url": format!("{}/github-apps/{}", self.host, app.slug),
            "created_at": app.created_at,
            "updated_at": app.created_at,
            "permissions": app.permissions,
            "events": app.events,
            "installations_count": self.apps.installations.iter().filter(|found| found.app == app.id).count(),
        })
    }

    pub fn installation_json(&self, installation: &Installation) -> Value {
        let app = self.apps.app(installation.app).expect("an installation is of an App");
        let account = self.account(&installation.account).expect("an installation is on an account").1;
        let (api, id) = (format!("{}/api/v3", self.host), installation.id);
        let target_type = if account.organization { "Organization" } else { "User" };
        let settings = if account.organization {
            format!("{}/organizations/{}/settings/installations/{id}", self.host, installation.account)
        } else {
            format!("{}/settings/installations/{id}", self.host)
        };
        let suspended = installation.suspended.as_ref();
        json!({
            "id": id,
            "account": self.account_json(&installation.account),
            "repository_selection": installation.selection(),
            "access_tokens_url": format!("{api}/app/installations/{id}/access_tokens"),
            "repositories_url": format!("{api}/installation/repositories"),
            "html_url": settings,
            "app_id": app.id,
            "client_id": app.client_id,
            "app_slug": app.slug,
            "target_id": account.id,
            "target_type": target_type,
            "permissions": installation.permissions,
            "events": installation.events,
            "created_at": installation.created_at,
            "updated_at": installation.updated_at,
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": suspended.map(|(by, _)| self.account_json(by)),
            "suspended_at": suspended.map(|(_, at)| at),
        })
    }
}
