//! A repository whose `main` was forced from two commits to a bad one, and people who may or may not bring it back.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use refward::catalog::{IdentityLink, Repository};
use refward::config::Settings;
use refward::domain::{By, Error, Holder, Person, Result, Role};
use refward::ops::people;
use refward::ops::restores::{self, Asker, Destination, Proposal, Wish};
use refward::services::Services;

use crate::support::fake_github::{Repo, Work};
use crate::support::shell::git;
use crate::support::world::{World, eventually};

pub const REPO: &str = "acme/api";

/// The world, and the part of the service that the desk would call.
pub struct Office {
    pub world: World,
    pub services: Arc<Services>,
    pub api: Repo,
    pub work: Work,
    /// The good tip of `main`, in snapshot 1.
    pub good: String,
    /// What it was forced to, in snapshot 2.
    pub bad: String,
    /// The tip of `topic`, which is gone.
    pub topic: String,
}

/// Somebody in a chat.
pub struct Somebody {
    pub person: Person,
    by: By,
}

impl Somebody {
    pub fn asker(&self) -> Asker<'_> {
        Asker { person: &self.person, roles: &[], by: &self.by, channel: Some("42") }
    }
}

impl Office {
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// With settings of its own.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let world = World::new().await;
        let api = world.github.org("acme").repo("api").await;
        let work = api.work().await;
        let one = work.commit("one").await;
        let topic = work.commit("topic").await;
        work.push(&["HEAD:refs/heads/topic"]).await;
        let good = work.commit("two").await;
        work.push(&["main"]).await;
        world.connect("acme").await;
        world.ok(&["backup", REPO, "--wait"]).await;
        work.git(&["reset", "--quiet", "--hard", &one]).await;
        let bad = work.commit("bad").await;
        work.push(&["--force", "main", ":refs/heads/topic"]).await;
        world.ok(&["backup", REPO, "--wait"]).await;
        let mut settings = Settings::load(&world.folder().join("refward.toml")).unwrap();
        change(&mut settings);
        let services = Services::open(settings).await.unwrap();
        Self { world, services, api, work, good, bad, topic }
    }

    pub async fn repository(&self) -> Repository {
        self.services.catalog.resolve(&REPO.parse().unwrap()).await.unwrap()
    }

    /// Somebody who may restore, and who may write to the repository as this user of the forge.
    pub async fn restorer(&self, id: &str, login: &str) -> Somebody {
        self.api.collaborator(login, "write");
        let somebody = Self::stranger(id);
        let holder = Holder::User(somebody.person.clone());
        people::grant(&self.services, &holder, Role::Restorer, None, &By::cli("root")).await.unwrap();
        self.link(&somebody.person, login).await;
        somebody
    }

    /// Somebody of whom we know nothing.
    pub fn stranger(id: &str) -> Somebody {
        let person = Person::new("discord", id).unwrap();
        let by = By { who: person.to_string(), whence: "discord:1/42".to_owned() };
        Somebody { person, by }
    }

    /// Somebody is this user of the forge.
    pub async fn link(&self, person: &Person, login: &str) {
        let link = IdentityLink {
            person: person.clone(),
            forge: "github".to_owned(),
            host: self.repository().await.host,
            forge_user: self.world.github.user_id(login),
            login: login.to_owned(),
            created_at: Utc::now(),
            expires_at: Utc::now() + TimeDelta::days(1),
        };
        self.services.catalog.put_link(&link, &By::cli("root")).await.unwrap();
    }

    /// `mona` asks for `main` as of snapshot 1.
    pub async fn asks(&self, who: &Somebody, to: Destination) -> Result<Proposal> {
        self.asks_for(who, &["main"], to).await
    }

    /// The same of other references.
    pub async fn asks_for(&self, who: &Somebody, refs: &[&str], to: Destination) -> Result<Proposal> {
        let refs = refs.iter().map(|name| (*name).to_owned()).collect();
        let wish = Wish { refs, at: Some("1".parse().unwrap()), to };
        restores::propose(&self.services, &who.asker(), &self.repository().await, wish).await
    }

    pub async fn confirms(&self, who: &Somebody, proposal: &Proposal) -> Result<Proposal> {
        restores::confirm(&self.services, &who.asker(), proposal.id, &proposal.hash).await
    }

    pub async fn approves(&self, who: &Somebody, proposal: &Proposal) -> Result<Proposal> {
        restores::approve(&self.services, &who.asker(), proposal.id, &proposal.hash).await
    }

    /// A worker takes the repository's job.
    pub async fn works(&self) -> Result<()> {
        restores::carry_out(&self.services, &self.repository().await.id).await
    }

    pub async fn get(&self, proposal: &Proposal) -> Proposal {
        restores::get(&self.services, proposal.id).await.unwrap()
    }

    /// Asked, confirmed, approved: it waits for a worker.
    pub async fn approved(&self, to: Destination) -> Proposal {
        let (mona, lisa) = (self.restorer("1", "mona").await, self.restorer("2", "lisa").await);
        let proposal = self.asks(&mona, to).await.unwrap();
        let proposal = self.confirms(&mona, &proposal).await.unwrap();
        if proposal.needs_approval { self.approves(&lisa, &proposal).await.unwrap() } else { proposal }
    }

    /// What the record tells, as `ACTION VERDICT by WHO`.
    pub async fn record(&self) -> Vec<String> {
        let rows = self.services.catalog.recorded(None, 1000).await.unwrap();
        let rows = rows.into_iter().filter(|row| row.action.starts_with("restore."));
        rows.map(|row| format!("{} {:?} by {}", row.action, row.verdict, row.actor).to_lowercase()).collect()
    }
}

/// What somebody is told, with what to do about it.
pub fn told(error: &Error) -> String {
    format!("{error}; {}", error.next_step().unwrap_or("-"))
}

/// Looks again and again until there is an answer.
pub async fn until<T>(look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually(look, || "what was promised".to_owned()).await
}

impl Office {
    /// Every reference that the server has.
    pub async fn server(&self) -> Vec<(String, String)> {
        let listed = git(&self.api.folder(), &["for-each-ref", "--format=%(refname) %(objectname)"]).await;
        let pair = |line: &str| line.split_once(' ').map(|(name, id)| (name.to_owned(), id.to_owned()));
        listed.lines().filter_map(pair).collect()
    }
}

impl Office {
    /// How often somebody pushed.
    pub fn pushes(&self) -> usize {
        let seen = self.world.github.seen();
        seen.iter().filter(|call| call.method == "POST" && call.path.ends_with("/git-receive-pack")).count()
    }
}
