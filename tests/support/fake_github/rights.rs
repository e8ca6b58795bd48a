//! Who may do what in which repository: owners, collaborators, teams, and what an organization's members have anyway.
//!
//! Nothing else of the double asks for it: whoever holds a token can do what the token can.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::reply::{Reply, message, not_found, ok};
use super::state::{Repository, State};
use super::tokens::Token;
use super::{FakeGithub, Owner, Repo};

/// GitHub's roles, each with the permission that it counts as, the lowest first.
const ROLES: [(&str, &str); 6] = [
    ("none", "none"),
    ("read", "read"),
    ("triage", "read"),
    ("write", "write"),
    ("maintain", "write"),
    ("admin", "admin"),
];

/// A role in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    name: String,
    /// Of the roles that every repository has, the highest that it includes.
    rank: usize,
}

impl Role {
    fn of(name: &str) -> Self {
        let rank = ROLES.iter().position(|(known, _)| *known == name).expect("GitHub has no such role");
        Self { name: name.to_owned(), rank }
    }

    fn permission(&self) -> &'static str {
        ROLES[self.rank].1
    }
}

/// What people were given. By numbers of accounts, which stay when people rename themselves.
#[derive(Default)]
pub struct Given {
    collaborators: BTreeMap<(u64, u64), Role>,
    owners: BTreeSet<(u64, u64)>,
    members: BTreeSet<(u64, u64)>,
    /// What an organization's members may do in all of its repositories.
    base: BTreeMap<u64, Role>,
    teams: Vec<TeamOf>,
}

struct TeamOf {
    members: BTreeSet<u64>,
    repositories: BTreeMap<u64, Role>,
}

/// A team of an organization.
pub struct Team {
    github: FakeGithub,
    place: usize,
}

impl FakeGithub {
    /// Deletes somebody's account.
    pub fn delete_user(&self, login: &str) {
        self.state().accounts.remove(login).expect("there is no such user");
    }

    /// An account's number.
    pub fn user_id(&self, login: &str) -> String {
        self.user(login);
        self.state().number_of(login).to_string()
    }
}

impl Repo {
    /// Gives somebody, of the organization or from outside, one of GitHub's roles: `read`, `triage`, `write`, `maintain`,
    /// `admin`; or takes it back: `none`.
    pub fn collaborator(&self, login: &str, role: &str) {
        self.give(login, Role::of(role));
    }

    /// Gives somebody a role that the organization has made, on the base of one of GitHub's.
    pub fn custom_collaborator(&self, login: &str, name: &str, base: &str) {
        self.give(login, Role { name: name.to_owned(), ..Role::of(base) });
    }

    fn give(&self, login: &str, role: Role) {
        self.github.user(login);
        let mut state = self.github.state();
        let user = state.number_of(login);
        state.given.collaborators.insert((self.id, user), role);
    }
}

impl Owner {
    /// Makes somebody an owner of the organization.
    pub fn owner(&self, login: &str) {
        self.join(login, |given, pair| given.owners.insert(pair));
    }

    /// Makes somebody a member.
    pub fn member(&self, login: &str) {
        self.join(login, |given, pair| given.members.insert(pair));
    }

    /// Somebody leaves, and with them all that the organization gave them.
    pub fn leaves(&self, login: &str) {
        self.join(login, |given, pair| given.owners.remove(&pair) | given.members.remove(&pair));
        let mut state = self.github.state();
        let user = state.number_of(login);
        for team in &mut state.given.teams {
            team.members.remove(&user);
        }
    }

    /// What members may do in every repository.
    pub fn base_permission(&self, role: &str) {
        let mut state = self.github.state();
        let id = state.number_of(&self.login);
        state.given.base.insert(id, Role::of(role));
    }

    /// A team with these members.
    pub fn team(&self, members: &[&str]) -> Team {
        for login in members {
            self.member(login);
        }
        let mut state = self.github.state();
        let members = members.iter().map(|login| state.number_of(login)).collect();
        state.given.teams.push(TeamOf { members, repositories: BTreeMap::new() });
        Team { github: self.github.clone(), place: state.given.teams.len() - 1 }
    }

    fn join(&self, login: &str, change: impl FnOnce(&mut Given, (u64, u64)) -> bool) {
        self.github.user(login);
        let mut state = self.github.state();
        let pair = (state.number_of(&self.login), state.number_of(login));
        change(&mut state.given, pair);
    }
}

impl Team {
    /// Gives its members a role in a repository.
    pub fn may(&self, repo: &Repo, role: &str) {
        self.github.state().given.teams[self.place].repositories.insert(repo.id, Role::of(role));
    }
}

impl State {
    fn number_of(&self, login: &str) -> u64 {
        self.account(login).expect("there is no such account").1.id
    }

    /// The highest of all that somebody was given.
    fn role(&self, repository: &Repository, user: u64) -> Role {
        let owner = self.number_of(&repository.owner);
        let given = &self.given;
        let owns = owner == user || given.owners.contains(&(owner, user));
        let direct = given.collaborators.get(&(repository.id, user)).cloned();
        let base = given.base.get(&owner).filter(|_| given.members.contains(&(owner, user))).cloned();
        let teams = given.teams.iter().filter(|team| team.members.contains(&user));
        let all = teams.filter_map(|team| team.repositories.get(&repository.id).cloned()).chain(direct).chain(base);
        let all = all.chain(owns.then(|| Role::of("admin"))).chain((!repository.private).then(|| Role::of("read")));
        all.max_by_key(|role| role.rank).unwrap_or_else(|| Role::of("none"))
    }
}

/// `GET /repos/{owner}/{repo}/collaborators/{username}/permission`
pub fn permission(state: &State, token: &Token, repository: &Repository, login: &str) -> Reply {
    if token.grant.is_none() && (token.reads_only || !token.is_for(repository)) {
        return message(403, "Must have push access to view collaborator permission.");
    }
    let Some((login, account)) = state.account(login).filter(|(_, account)| !account.organization) else {
        return not_found();
    };
    let role = state.role(repository, account.id);
    let at_least = |name: &str| role.rank >= Role::of(name).rank;
    let mut user: Value = state.account_json(login);
    user["role_name"] = role.name.clone().into();
    user["permissions"] = json!({
        "pull": at_least("read"),
        "triage": at_least("triage"),
        "push": at_least("write"),
        "maintain": at_least("maintain"),
        "admin": at_least("admin"),
    });
    ok(json!({ "permission": role.permission(), "role_name": role.name, "user": user }))
}
