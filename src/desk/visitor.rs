//! Whoever asks, and what they may do.

use super::asked::Asked;
use super::grammar::Over;
use crate::catalog::{Repository, only_one};
use crate::domain::policy::RepositoryFacts;
use crate::domain::{By, Error, Kind, Person, RepoAddress, Result, Role};
use crate::forge::Rights;
use crate::jobs::policies;
use crate::ops::identity;
use crate::ops::people::{self, Allowance};
use crate::ops::restores::Asker;
use crate::services::Services;

/// Whoever asks.
pub(super) struct Visitor {
    pub(super) person: Person,
    /// The ids of their roles on the platform.
    roles: Vec<String>,
    pub(super) by: By,
    /// Where they asked.
    pub(super) channel: Option<String>,
    may: May,
}

enum May {
    /// It is their own machine.
    Everything,
    /// What somebody has granted them.
    Granted(Allowance),
}

impl Visitor {
    /// Somebody in a chat. What they may do is looked up now: what was revoked is gone.
    pub(super) async fn in_chat(services: &Services, asked: &Asked) -> Result<Self> {
        let granted = people::allowance(services, &asked.person, &asked.roles).await?;
        Ok(Self {
            person: asked.person.clone(),
            roles: asked.roles.clone(),
            by: asked.by(),
            channel: asked.channel.clone(),
            may: May::Granted(granted),
        })
    }

    /// Whoever is at the command line: they have the keys.
    pub(super) fn at_the_command_line(name: &str) -> Result<Self> {
        let (person, by) = (Person::new("cli", name)?, By::cli(name));
        Ok(Self { person, roles: Vec::new(), by, channel: None, may: May::Everything })
    }

    pub(super) fn asker(&self) -> Asker<'_> {
        Asker { person: &self.person, roles: &self.roles, by: &self.by, channel: self.channel.as_deref() }
    }

    /// The most that they may do with a repository.
    pub(super) fn role_for(&self, facts: &RepositoryFacts) -> Option<Role> {
        match &self.may {
            May::Everything => Some(Role::Admin),
            May::Granted(allowance) => allowance.role_for(facts),
        }
    }

    /// The most that they may do with anything.
    pub(super) fn anywhere(&self) -> Option<Role> {
        match &self.may {
            May::Everything => Some(Role::Admin),
            May::Granted(allowance) => allowance.anywhere(),
        }
    }

    /// The most that they may do with everything.
    pub(super) fn everywhere(&self) -> Option<Role> {
        match &self.may {
            May::Everything => Some(Role::Admin),
            May::Granted(allowance) => allowance.everywhere(),
        }
    }

    /// Fails unless they have that role there. Gives the repository that it is about, if it is about one.
    pub(super) async fn check(&self, services: &Services, role: Role, over: Over<'_>) -> Result<Option<Repository>> {
        match over {
            Over::Repository(address) => self.repository(services, address, role).await.map(Some),
            Over::Anywhere => enough(self.anywhere(), role, "").map(|()| None),
            Over::Everywhere => enough(self.everywhere(), role, " for all repositories").map(|()| None),
        }
    }

    /// The repository that they mean. One that is not theirs to see is as unknown as one that does not exist.
    pub(super) async fn repository(
        &self,
        services: &Services,
        address: &RepoAddress,
        role: Role,
    ) -> Result<Repository> {
        let repository = match services.catalog.resolve(address).await {
            Ok(repository) => repository,
            // Whoever sees everything may know why.
            Err(error) if matches!(self.may, May::Everything) => return Err(error),
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::BadRequest) => {
                self.only_one(services, address).await?
            }
            Err(error) => return Err(error),
        };
        self.over(services, &repository, role, &address.to_string()).await.map(|()| repository)
    }

    /// Fails unless they have that role for it. `called`: what they have asked for; whoever may not see it is told no more.
    pub(super) async fn over(
        &self,
        services: &Services,
        repository: &Repository,
        role: Role,
        called: &str,
    ) -> Result<()> {
        let facts = people::facts(services, repository).await?;
        match self.role_for(&facts) {
            None => Err(unknown(called)),
            has => enough(has, role, &format!(" for {}", repository.full_name)),
        }
    }

    /// The name is not unique, but maybe among what they see.
    async fn only_one(&self, services: &Services, address: &RepoAddress) -> Result<Repository> {
        let visible = self.visible(services).await?.into_iter().map(|(repository, _)| repository);
        let meant = |known: &Repository| address.means(&known.id, &[&known.connection, &known.host], &known.full_name);
        only_one(address, visible.filter(meant).collect())?.ok_or_else(|| unknown(&address.to_string()))
    }

    /// Every repository that they may see.
    pub(super) async fn visible(&self, services: &Services) -> Result<Vec<(Repository, RepositoryFacts)>> {
        if self.anywhere().is_none() {
            // Whoever has been granted nothing costs nothing.
            return Ok(Vec::new());
        }
        let mut all = policies::facts(services).await?;
        all.retain(|(_, facts)| self.role_for(facts).is_some());
        Ok(all)
    }

    /// Fails unless they may read it on the forge now; what everybody can see they may.
    pub(super) async fn reads(&self, services: &Services, repository: &Repository) -> Result<()> {
        if repository.is_public() || matches!(self.may, May::Everything) {
            return Ok(());
        }
        if identity::rights(services, &self.person, repository).await? >= Rights::Read {
            return Ok(());
        }
        Err(Error::not_allowed(format!("on the forge you may not read {} now", repository.full_name))
            .hint("what you may not see there is not shown here either; ask its owner"))
    }
}

fn enough(has: Option<Role>, needed: Role, over: &str) -> Result<()> {
    match has {
        Some(has) if has >= needed => Ok(()),
        Some(has) => Err(Error::not_allowed(format!("this takes the role {needed}{over}; you are {has}")).hint(ASK)),
        None => Err(Error::not_allowed(format!("this takes the role {needed}{over}; you have none")).hint(ASK)),
    }
}

const ASK: &str = "an admin can grant it: `refward grants add`";

/// Nothing of that name, or nothing that is theirs to see: which of the two is not told.
pub(super) fn unknown(name: &str) -> Error {
    Error::not_found(format!("there is no {name} here, or it is not yours to see"))
        .hint("`/refward status` shows what you may see; an admin can grant more")
}
