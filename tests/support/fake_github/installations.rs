//! What people do with Apps: install them, ask for them, choose repositories, suspend, uninstall. The App hears of all of it.

use serde_json::{Value, json};
use url::Url;

use super::FakeGithub;
use super::apps::{App, Installation, Request};
use super::git::Repo;
use super::state::State;

/// Which repositories an installation covers.
#[derive(Clone, Copy)]
pub enum Covers<'a> {
    /// All, later ones too.
    All,
    /// These, by name.
    Only(&'a [&'a str]),
}

/// Where a browser ends up.
#[derive(Clone, Debug)]
pub struct Landing {
    /// `None` if the installation was only asked for.
    pub installation: Option<u64>,
    /// The App's setup address with what GitHub adds; `None` if it has none.
    pub redirect: Option<Url>,
}

impl Landing {
    /// Of an installation that there is.
    pub fn id(&self) -> u64 {
        self.installation.expect("it was only asked for")
    }
}

impl FakeGithub {
    /// An owner of `account` installs an App from its link with `state`.
    pub fn install(&self, slug: &str, account: &str, covers: Covers, state: Option<&str>) -> Landing {
        let (id, app) = self.add_installation(slug, account, covers);
        let by = self.signed_in();
        self.tell_app(id, &by, "installation", json!({ "action": "created", "requester": null }));
        self.landing(app, Some(id), "install", state)
    }

    /// Somebody else who sits at the browser.
    pub fn sign_in(&self, login: &str) {
        self.user(login);
        login.clone_into(&mut self.state().apps.signed_in);
    }

    pub(super) fn signed_in(&self) -> String {
        self.state().apps.signed_in.clone()
    }

    /// A member who may not install Apps asks for it.
    pub fn request_install(&self, slug: &str, account: &str, requester: &str, state: Option<&str>) -> Landing {
        self.user(requester);
        let app = {
            let mut known = self.state();
            let (id, created_at) = (known.number(), known.now());
            let app = known.apps.by_slug(slug).expect("there is no such App").id;
            let (account, requester) = (account.to_owned(), requester.to_owned());
            known.apps.requests.push(Request { id, app, account, requester, created_at });
            app
        };
        self.landing(app, None, "request", state)
    }

    /// An owner approves what was asked for. Their browser knows nothing of the `state` that the request had.
    pub fn approve(&self, slug: &str, account: &str, covers: Covers) -> Landing {
        let requester = {
            let requests = &mut self.state().apps.requests;
            let place = requests.iter().position(|request| request.account == account).expect("nobody asked for it");
            requests.remove(place).requester
        };
        let (id, app) = self.add_installation(slug, account, covers);
        let requester = self.state().account_json(&requester);
        let by = self.signed_in();
        self.tell_app(id, &by, "installation", json!({ "action": "created", "requester": requester }));
        self.landing(app, Some(id), "install", None)
    }

    /// The installation rests: no API, no webhooks.
    pub fn suspend(&self, installation: u64) {
        let by = self.signed_in();
        self.suspend_as(installation, &by);
    }

    pub(super) fn suspend_as(&self, installation: u64, by: &str) {
        {
            let mut state = self.state();
            let now = state.now();
            state.apps.installation_mut(installation).suspended = Some((by.to_owned(), now));
        }
        self.tell_app(installation, by, "installation", json!({ "action": "suspend" }));
    }

    /// It goes on.
    pub fn unsuspend(&self, installation: u64) {
        self.state().apps.installation_mut(installation).suspended = None;
        self.tell_app(installation, &self.signed_in(), "installation", json!({ "action": "unsuspend" }));
    }

    /// It ends, and its tokens with it.
    pub fn uninstall(&self, installation: u64) {
        self.tell_app(installation, &self.signed_in(), "installation", json!({ "action": "deleted" }));
        self.state().apps.installations.retain(|found| found.id != installation);
    }

    /// More repositories for an installation of chosen ones.
    pub fn add_repositories(&self, installation: u64, repositories: &[&Repo]) {
        let ids: Vec<u64> = repositories.iter().map(|repo| repo.id).collect();
        self.state().apps.installation_mut(installation).chosen.get_or_insert_default().extend(&ids);
        self.tell_selection(installation, "added", &ids);
    }

    /// Fewer.
    pub fn remove_repositories(&self, installation: u64, repositories: &[&Repo]) {
        let ids: Vec<u64> = repositories.iter().map(|repo| repo.id).collect();
        self.state().apps.installation_mut(installation).chosen.get_or_insert_default().retain(|id| !ids.contains(id));
        self.tell_selection(installation, "removed", &ids);
    }

    /// An owner accepts what the App asks for by now.
    pub fn accept_new_permissions(&self, installation: u64) {
        {
            let apps = &mut self.state().apps;
            let app = apps.installation_mut(installation).app;
            let app = apps.app(app).expect("an installation is of an App");
            let (permissions, events) = (app.permissions.clone(), app.events.clone());
            let accepted = apps.installation_mut(installation);
            (accepted.permissions, accepted.events) = (permissions, events);
        }
        self.tell_app(installation, &self.signed_in(), "installation", json!({ "action": "new_permissions_accepted" }));
    }

    /// An account gets another name; its repositories redirect. Apps on it are told.
    pub fn rename_account(&self, from: &str, to: &str) {
        std::fs::create_dir_all(self.inner.root.path()).unwrap();
        let (old, new) = (self.inner.root.path().join(from), self.inner.root.path().join(to));
        if old.is_dir() {
            std::fs::rename(old, new).unwrap();
        }
        let installations: Vec<u64> = {
            let mut state = self.state();
            let account = state.accounts.remove(from).expect("there is no such account");
            state.accounts.insert(to.to_owned(), account);
            for repository in state.repositories.iter_mut().filter(|repository| repository.owner == from) {
                repository.former.push(format!("{from}/{}", repository.name));
                to.clone_into(&mut repository.owner);
            }
            state
                .apps
                .registered
                .iter_mut()
                .filter(|app| app.owner == from)
                .for_each(|app| to.clone_into(&mut app.owner));
            let on_it = state.apps.installations.iter_mut().filter(|found| found.account == from);
            on_it
                .map(|found| {
                    to.clone_into(&mut found.account);
                    found.id
                })
                .collect()
        };
        for installation in installations {
            let (account, kind) = {
                let state = self.state();
                let account = state.account_json(to);
                let kind = account["type"].clone();
                (account, kind)
            };
            let changes = json!({ "login": { "from": from } });
            let payload = json!({ "action": "renamed", "account": account, "changes": changes, "target_type": kind });
            self.tell_app(installation, &self.signed_in(), "installation_target", payload);
        }
    }

    fn add_installation(&self, slug: &str, account: &str, covers: Covers) -> (u64, u64) {
        let mut state = self.state();
        let (id, now) = (state.number(), state.now());
        let app = state.apps.by_slug(slug).expect("there is no such App");
        let (app, permissions, events) = (app.id, app.permissions.clone(), app.events.clone());
        let account = state.account(account).expect("there is no such account").0.to_owned();
        let chosen = match covers {
            Covers::All => None,
            Covers::Only(names) => {
                let of_account = state.repositories.iter().filter(|repository| repository.owner == account);
                Some(of_account.filter(|found| names.contains(&found.name.as_str())).map(|found| found.id).collect())
            }
        };
        let (created_at, updated_at) = (now, now);
        let made =
            Installation { id, app, account, chosen, permissions, events, suspended: None, created_at, updated_at };
        state.apps.installations.push(made);
        (id, app)
    }

    fn landing(&self, app: u64, installation: Option<u64>, action: &str, state: Option<&str>) -> Landing {
        let setup_url = self.state().apps.app(app).and_then(|app| app.setup_url.clone());
        let redirect = setup_url.map(|url| {
            let mut url: Url = url.parse().expect("the setup address is none");
            let id = installation.map(|id| id.to_string());
            let fields = [("installation_id", id.as_deref()), ("setup_action", Some(action)), ("state", state)];
            let given = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
            url.query_pairs_mut().extend_pairs(given);
            url
        });
        Landing { installation, redirect }
    }

    fn tell_selection(&self, installation: u64, action: &str, ids: &[u64]) {
        let payload = {
            let state = self.state();
            let named: Vec<Value> = ids.iter().filter_map(|id| state.repository_in_short(*id)).collect();
            let selection = state.apps.installation(installation).map(Installation::selection);
            let (added, removed) = if action == "added" { (named, vec![]) } else { (vec![], named) };
            json!({
                "action": action,
                "repository_selection": selection,
                "repositories_added": added,
                "repositories_removed": removed,
                "requester": null,
            })
        };
        self.tell_app(installation, &self.signed_in(), "installation_repositories", payload);
    }

    /// An event about the installation itself, which needs no subscription.
    fn tell_app(&self, installation: u64, by: &str, event: &str, mut payload: Value) {
        let mut state = self.state();
        state.apps.installation_mut(installation).updated_at = state.now();
        let found = state.apps.installation(installation).expect("there is no such installation");
        let app = found.app;
        // A renamed account is no news about the installation, which is only named then.
        payload["installation"] = match event {
            "installation_target" => json!({ "id": installation, "node_id": format!("I_{installation}") }),
            _ => state.installation_json(found),
        };
        payload["sender"] = state.account_json(by);
        if event == "installation" {
            let covered = covered(&state, found);
            payload["repositories"] = covered.into_iter().filter_map(|id| state.repository_in_short(id)).collect();
        }
        self.send_to_app(&mut state, app, event, payload);
    }
}

/// The numbers of what an installation covers now.
pub fn covered(state: &State, installation: &Installation) -> Vec<u64> {
    let of_account = state.repositories.iter().filter(|repository| repository.owner == installation.account);
    let all = of_account.map(|repository| repository.id);
    all.filter(|id| installation.chosen.as_ref().is_none_or(|chosen| chosen.contains(id))).collect()
}

/// Does this installation hear of events of this kind in this repository?
pub fn hears(app: &App, installation: &Installation, owner: &str, repository: u64, event: &str) -> bool {
    installation.app == app.id
        && installation.suspended.is_none()
        && installation.account == owner
        && installation.chosen.as_ref().is_none_or(|chosen| chosen.contains(&repository))
        && installation.events.iter().any(|known| known == event)
}
