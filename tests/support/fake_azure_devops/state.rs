//! What the double knows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::hooks::Hooks;
use super::limits::Limits;
use super::people::PersonState;
use super::policies::Policy;
use super::pulls::PullRequest;
use super::sign_in::{Bearers, Pat, SignIn};
use crate::support::fake_github::{Fault, Seen};

/// What kind of product answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Azure DevOps Services.
    Services,
    /// Azure DevOps Server, and the highest api-version that it knows.
    Server(String),
}

impl Kind {
    /// The highest api-version, as a person writes it.
    pub fn newest(&self) -> &str {
        match self {
            Self::Services => "7.2",
            Self::Server(version) => version,
        }
    }
}

pub struct State {
    /// The web address, without a slash at its end.
    pub host: String,
    pub kind: Kind,
    pub organizations: Vec<Organization>,
    pub pats: HashMap<String, Pat>,
    pub bearers: Option<Bearers>,
    /// `None`: as clients want it that say so.
    pub sign_in: Option<SignIn>,
    pub api_faults: VecDeque<Fault>,
    pub git_faults: VecDeque<Fault>,
    pub limits: Limits,
    /// How many things a page has at most; `None`: as many as are asked for.
    pub page_size: Option<usize>,
    /// Before every page comes an empty one.
    pub empty_pages: bool,
    pub stopped: bool,
    /// The largest pack that may be pushed.
    pub push_limit: Option<usize>,
    pub hooks: Hooks,
    pub operations: HashMap<Uuid, VecDeque<&'static str>>,
    /// Rules that were broken.
    pub violations: Vec<String>,
    /// How far the host's clock is ahead of ours.
    pub clock_ahead: TimeDelta,
    pub seen: Vec<Seen>,
    next: u64,
}

impl State {
    pub fn new(host: String, kind: Kind) -> Self {
        Self {
            host,
            kind,
            organizations: Vec::new(),
            pats: HashMap::new(),
            bearers: None,
            sign_in: None,
            api_faults: VecDeque::new(),
            git_faults: VecDeque::new(),
            limits: Limits::default(),
            page_size: None,
            empty_pages: false,
            stopped: false,
            push_limit: None,
            hooks: Hooks::default(),
            operations: HashMap::new(),
            violations: Vec::new(),
            clock_ahead: TimeDelta::zero(),
            seen: Vec::new(),
            next: 1,
        }
    }
}

/// An organization of Services, or a collection of a Server.
pub struct Organization {
    pub name: String,
    pub id: Uuid,
    /// The directory behind it.
    pub tenant: Uuid,
    pub projects: Vec<ProjectState>,
    pub repositories: Vec<Repository>,
    pub people: Vec<PersonState>,
}

pub struct ProjectState {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    /// `wellFormed`, or `deleted`: in the recycle bin.
    pub state: &'static str,
    pub revision: u64,
    pub updated: DateTime<Utc>,
}

pub struct Repository {
    pub id: Uuid,
    pub project: Uuid,
    pub name: String,
    pub created: DateTime<Utc>,
    /// The full name of a reference that is there.
    pub default_branch: Option<String>,
    pub size: u64,
    pub disabled: bool,
    /// A wiki's: shown to those alone who ask for hidden ones.
    pub hidden: bool,
    /// It lies in the recycle bin since then.
    pub deleted: Option<DateTime<Utc>>,
    pub parent: Option<Uuid>,
    pub pushes: Vec<PushState>,
    pub pulls: Vec<PullRequest>,
    pub policies: Vec<Policy>,
    /// Who made a reference.
    pub creators: BTreeMap<String, Uuid>,
    pub locks: BTreeMap<String, Uuid>,
    /// It has no folder: references are made up.
    pub paper: bool,
}

/// A push that has happened.
#[derive(Clone)]
pub struct PushState {
    pub id: u64,
    pub by: Uuid,
    pub at: DateTime<Utc>,
    pub updates: Vec<RefUpdate>,
}

/// What became of a reference; all zeroes stand for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    pub name: String,
    pub old: String,
    pub new: String,
}

/// The object that is none.
pub const NOTHING: &str = "0000000000000000000000000000000000000000";

impl State {
    /// A number that nothing else has.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The host's time.
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + self.clock_ahead).trunc_subsecs(3)
    }

    pub fn organization(&self, name: &str) -> Option<&Organization> {
        self.organizations.iter().find(|known| same(&known.name, name))
    }

    pub fn organization_mut(&mut self, name: &str) -> Option<&mut Organization> {
        self.organizations.iter_mut().find(|known| same(&known.name, name))
    }

    /// One that is there.
    pub fn org(&self, name: &str) -> &Organization {
        self.organization(name).expect("there is no such organization")
    }

    /// One that is there.
    pub fn org_mut(&mut self, name: &str) -> &mut Organization {
        self.organization_mut(name).expect("there is no such organization")
    }
}

impl Organization {
    pub fn new(name: &str) -> Self {
        let (id, tenant) = (Uuid::new_v4(), Uuid::new_v4());
        Self { name: name.to_owned(), id, tenant, projects: vec![], repositories: vec![], people: vec![] }
    }

    /// By its id, or its name.
    pub fn project(&self, id_or_name: &str) -> Option<&ProjectState> {
        let meant = |known: &&ProjectState| same(&known.name, id_or_name) || is(known.id, id_or_name);
        self.projects.iter().find(meant)
    }

    /// One that is there.
    pub fn project_by_id(&mut self, id: Uuid) -> &mut ProjectState {
        self.projects.iter_mut().find(|known| known.id == id).expect("there is no such project")
    }

    /// By its id, or in a project by its name. Those in the recycle bin, and those whose project is there, are not found.
    pub fn repository(&self, project: Option<Uuid>, id_or_name: &str) -> Option<&Repository> {
        let meant = |known: &&Repository| {
            let here = project.is_none_or(|project| known.project == project);
            let named = project.is_some() && same(&known.name, id_or_name);
            here && known.deleted.is_none() && (named || is(known.id, id_or_name)) && self.is_open(known.project)
        };
        self.repositories.iter().find(meant)
    }

    /// One that is there, also in the recycle bin.
    pub fn by_id(&mut self, id: Uuid) -> &mut Repository {
        self.repositories.iter_mut().find(|known| known.id == id).expect("there is no such repository")
    }

    /// Also in the recycle bin.
    pub fn find(&self, id: Uuid) -> Option<&Repository> {
        self.repositories.iter().find(|known| known.id == id)
    }

    pub fn is_open(&self, project: Uuid) -> bool {
        self.projects.iter().any(|known| known.id == project && known.state == "wellFormed")
    }

    /// The repository's project.
    pub fn project_of(&self, repository: &Repository) -> &ProjectState {
        self.projects.iter().find(|known| known.id == repository.project).expect("a repository is in a project")
    }
}

/// Names are told apart without regard to case.
pub fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

pub fn is(id: Uuid, text: &str) -> bool {
    text.parse::<Uuid>().is_ok_and(|given| given == id)
}

/// A function that tells who a bearer token is of.
pub type Told<T> = Arc<dyn Fn(&str) -> Option<T> + Send + Sync>;

/// A part of a JSON object, put in where it is something.
pub fn put(json: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        json[name] = value;
    }
}
