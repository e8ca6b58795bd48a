//! Where the stories play: an owner with a repository that is backed up, a channel, and people with grants.

use chrono::Utc;
use refward::catalog::{Catalog, IdentityLink};
use refward::config::Settings;
use refward::domain::policy::Selection;
use refward::domain::{By, Holder, Person, Role};

use crate::support::fake_discord::{Channel, Member};
use crate::support::fake_github::{Repo, Work};
use crate::support::world::{Service, World};

/// Everything is set up and running.
pub struct Scene {
    pub service: Service,
    pub ops: Channel,
    /// `acme/api`, backed up once.
    pub api: Repo,
    /// Somebody's clone of it.
    pub work: Work,
    pub world: World,
}

impl Scene {
    pub async fn new() -> Self {
        Self::in_world(World::with_discord(&[]).await).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::in_world(World::with_discord(settings).await).await
    }

    pub async fn in_world(world: World) -> Self {
        let api = world.github.org("acme").public_repo("api").await;
        let work = api.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        world.connect("acme").await;
        let ops = world.discord().channel("ops");
        let service = world.serve().await;
        world.ok(&["discord", "register"]).await;
        world.snapshot("acme/api", 1).await;
        world.idle().await;
        Self { service, ops, api, work, world }
    }

    pub async fn catalog(&self) -> Catalog {
        let settings = Settings::load(&self.world.folder().join("refward.toml")).unwrap();
        Catalog::connect(&settings.database).await.unwrap()
    }

    /// Somebody with a role in everything.
    pub async fn person(&self, name: &str, role: Role) -> Member {
        self.person_with(name, role, None).await
    }

    /// Somebody with a role in these repositories alone.
    pub async fn person_with(&self, name: &str, role: Role, only: Option<&str>) -> Member {
        let member = self.world.discord().member(name);
        let scope = only.map(|glob| Selection { include: vec![glob.to_owned()], ..Selection::default() });
        let holder = Holder::User(person(&member));
        self.catalog().await.put_grant(&holder, role, scope.as_ref(), &By::cli("root")).await.unwrap();
        member
    }

    /// Somebody is this user of the forge.
    pub async fn link(&self, member: &Member, login: &str) {
        let url = self.world.github.url();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        self.link_to(member, "github", &host, &self.world.github.user_id(login), login).await;
    }

    /// Somebody is the user with this id, on whichever forge.
    pub async fn link_to(&self, member: &Member, forge: &str, host: &str, id: &str, login: &str) {
        let (person, now) = (person(member), Utc::now());
        let link = IdentityLink {
            person: person.clone(),
            forge: forge.to_owned(),
            host: host.to_owned(),
            forge_user: id.to_owned(),
            login: login.to_owned(),
            created_at: now,
            expires_at: now + chrono::TimeDelta::days(1),
        };
        let by = By { who: person.to_string(), whence: "test".to_owned() };
        self.catalog().await.put_link(&link, &by).await.unwrap();
    }

    /// What the record holds of an action: who, and what became of it.
    pub async fn recorded(&self, action: &str) -> Vec<String> {
        let rows = self.catalog().await.recorded(None, 1000).await.unwrap();
        let of_it = rows.iter().filter(|row| row.action == action);
        of_it.map(|row| format!("{} {:?}", self.name(&row.actor), row.verdict)).collect()
    }

    /// The name on Discord of somebody who is in the record by their id.
    fn name(&self, actor: &str) -> String {
        let id = actor.trim_start_matches("discord:");
        let known = ["mona", "lisa", "eve", "otto"].into_iter().map(|name| self.world.discord().member(name));
        known.into_iter().find(|member| member.id == id).map_or(actor.to_owned(), |member| member.name)
    }
}

pub fn person(member: &Member) -> Person {
    Person::new("discord", &member.id).unwrap()
}
