//! What the double knows.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};

use super::apps::Apps;
use super::device::Devices;
use super::graphql::Graphql;
use super::hooks::Hooks;
use super::limits::Limits;
use super::manifests::Manifests;
use super::rights::Given;
use super::tokens::Token;

pub struct State {
    /// The host's web address, without a slash at its end.
    pub host: String,
    pub accounts: BTreeMap<String, Account>,
    pub repositories: Vec<Repository>,
    pub tokens: HashMap<String, Token>,
    pub apps: Apps,
    pub api_faults: VecDeque<Fault>,
    pub git_faults: VecDeque<Fault>,
    pub limits: Limits,
    pub manifests: Manifests,
    pub devices: Devices,
    pub given: Given,
    pub graphql: Graphql,
    /// Rules of GitHub's that were broken.
    pub violations: Vec<String>,
    pub version: Option<String>,
    pub forgotten: Vec<String>,
    pub seen: Vec<Seen>,
    pub hooks: Hooks,
    /// How far the host's clock is ahead of ours.
    pub clock_ahead: TimeDelta,
    next_id: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            host: String::new(),
            accounts: BTreeMap::new(),
            repositories: Vec::new(),
            tokens: HashMap::new(),
            apps: Apps::default(),
            api_faults: VecDeque::new(),
            git_faults: VecDeque::new(),
            limits: Limits::default(),
            manifests: Manifests::default(),
            devices: Devices::default(),
            given: Given::default(),
            graphql: Graphql::default(),
            violations: Vec::new(),
            version: Some("3.19.0".to_owned()),
            forgotten: Vec::new(),
            seen: Vec::new(),
            hooks: Hooks::default(),
            clock_ahead: TimeDelta::zero(),
            next_id: 1_296_269,
        }
    }
}

#[derive(Clone)]
pub struct Account {
    pub organization: bool,
    /// Stays when the account is renamed.
    pub id: u64,
}

#[derive(Clone)]
pub struct Repository {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub private: bool,
    pub archived: bool,
    /// Earlier `OWNER/NAME`s, which redirect.
    pub former: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// Later with every push, by a second at least.
    pub pushed_at: DateTime<Utc>,
    /// When a pull request last changed; `None`: there is none.
    pub pull_updated: Option<DateTime<Utc>>,
    /// `None`: to be read again.
    pub refs: Option<RefList>,
}

/// A repository's references.
#[derive(Clone, Default)]
pub struct RefList {
    /// Names and object ids.
    pub refs: Vec<(String, String)>,
    /// What `HEAD` points to.
    pub head: Option<String>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, …
    pub method: String,
    /// With its query.
    pub path: String,
    /// By lower-case name; several values of one header are several entries.
    pub headers: Vec<(String, String)>,
    /// What was sent to the API as JSON; null otherwise.
    pub body: Value,
    /// How it was answered; `None`: not yet.
    pub status: Option<u16>,
}

impl Seen {
    /// Every value of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Did it ask for an installation token?
    pub fn is_mint(&self) -> bool {
        self.method == "POST" && self.path.ends_with("/access_tokens")
    }
}

/// An answer that comes instead of the right one.
#[derive(Clone)]
pub struct Fault {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Fault {
    /// GitHub's form of an error.
    pub fn json(status: u16, message: &str) -> Self {
        let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }).to_string();
        Self { status, headers: Vec::new(), body }.header("content-type", "application/json; charset=utf-8")
    }

    /// A login page or a proxy's complaint.
    pub fn html(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "<!DOCTYPE html><title>Sign in</title>".to_owned() }
            .header("content-type", "text/html; charset=utf-8")
    }

    /// To somewhere else.
    pub fn redirect(target: &str) -> Self {
        Self::json(302, "Found").header("location", target)
    }

    /// With one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl State {
    /// A number that nothing else has.
    pub fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The host's time.
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + self.clock_ahead).trunc_subsecs(0)
    }

    pub fn add_account(&mut self, login: &str, organization: bool) {
        if self.accounts.contains_key(login) {
            return;
        }
        // Whoever takes a name that somebody had before is somebody else.
        let id = if self.account_by_id(id_of(login)).is_some() { self.number() } else { id_of(login) };
        self.accounts.insert(login.to_owned(), Account { organization, id });
    }

    /// An account and its name as it writes it.
    pub fn account(&self, login: &str) -> Option<(&str, &Account)> {
        let mut accounts = self.accounts.iter();
        accounts.find(|(name, _)| name.eq_ignore_ascii_case(login)).map(|(name, account)| (name.as_str(), account))
    }

    pub fn account_by_id(&self, id: u64) -> Option<(&str, &Account)> {
        let mut accounts = self.accounts.iter();
        accounts.find(|(_, account)| account.id == id).map(|(name, account)| (name.as_str(), account))
    }

    pub fn add_repository(&mut self, owner: &str, name: &str, private: bool) -> u64 {
        let (id, now) = (self.number(), self.now());
        self.repositories.push(Repository {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private,
            archived: false,
            former: Vec::new(),
            created_at: now,
            pushed_at: now,
            pull_updated: None,
            refs: None,
        });
        id
    }

    pub fn by_id(&mut self, id: u64) -> &mut Repository {
        let place = self.place(id).expect("the repository was deleted");
        &mut self.repositories[place]
    }

    pub fn repository(&self, id: u64) -> Option<&Repository> {
        self.place(id).map(|place| &self.repositories[place])
    }

    /// They are in the order of their numbers, and there may be ten thousand.
    fn place(&self, id: u64) -> Option<usize> {
        self.repositories.binary_search_by_key(&id, |repository| repository.id).ok()
    }

    pub fn by_name(&self, full_name: &str) -> Option<&Repository> {
        self.repositories.iter().find(|repository| repository.full_name().eq_ignore_ascii_case(full_name))
    }

    /// The repository that had this name before, unless another has it now.
    pub fn by_former_name(&self, full_name: &str) -> Option<&Repository> {
        if self.by_name(full_name).is_some() {
            return None;
        }
        self.repositories.iter().find(|repository| repository.former.iter().any(|name| name == full_name))
    }

    /// Somebody pushed to it.
    pub fn was_pushed(&mut self, full_name: &str) {
        let now = self.now();
        let mut repositories = self.repositories.iter_mut();
        if let Some(repository) = repositories.find(|repository| repository.full_name() == full_name) {
            repository.pushed_at = now.max(repository.pushed_at + TimeDelta::seconds(1));
            repository.refs = None;
        }
    }
}

impl Repository {
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// A stable number for an account.
pub fn id_of(login: &str) -> u64 {
    login.bytes().fold(1000, |id, byte| id * 31 % 1_000_000_007 + u64::from(byte))
}
