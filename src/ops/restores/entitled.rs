//! Who may bring what back, where: asked anew at every step, of our own grants and of the forge.

use crate::catalog::Repository;
use crate::domain::{Error, Person, Result, Role};
use crate::forge::Rights;
use crate::ops::{identity, people};
use crate::services::Services;

use super::proposal::{Asker, Destination, Proposal};

/// What a restore is about.
pub(super) struct Places {
    /// What is restored.
    pub source: Repository,
    /// What is written to. `None`: nothing is.
    pub target: Option<Repository>,
}

impl Places {
    pub async fn of(services: &Services, source: Repository, to: &Destination) -> Result<Self> {
        let target = match to {
            Destination::Download => None,
            Destination::NewBranch | Destination::InPlace => Some(source.clone()),
            Destination::Repository(address) => {
                let target = services.catalog.resolve(address).await?;
                if target.id == source.id {
                    return Err(Error::bad_request(format!("{address} is what is to be restored"))
                        .hint("write `same` for that, or `new-branch`"));
                }
                Some(target)
            }
        };
        Ok(Self { source, target })
    }

    /// Those of a restore that was asked for before. Fails where they, or the plan, are not those that its hash stands for: what
    /// somebody has agreed to is that.
    pub async fn again(services: &Services, proposal: &Proposal) -> Result<Self> {
        let source = services.catalog.repository(&proposal.repo).await?;
        let places = Self::of(services, source, &proposal.wish.to).await?;
        if proposal.plan.hash(&places)? == proposal.hash {
            return Ok(places);
        }
        let target = &proposal.plan.target;
        Err(Error::bad_request(format!("restore {} was planned for another {target} than the one of now", proposal.id))
            .hint("ask for it again"))
    }

    /// Whether a person may do this now. `NotAllowed` says what is missing; any other error: it cannot be found out, so they
    /// may not. `roles`: the ids of those that they have on their platform.
    pub async fn entitled(&self, services: &Services, person: &Person, roles: &[String]) -> Result<()> {
        self.granted(services, person, roles).await?;
        let writes_here = self.target.as_ref().is_some_and(|target| target.id == self.source.id);
        if !writes_here && !self.source.is_public() {
            on_the_forge(services, person, &self.source, Rights::Read).await?;
        }
        match &self.target {
            Some(target) => on_the_forge(services, person, target, Rights::Write).await,
            None => Ok(()),
        }
    }

    /// Whether we have allowed them to restore, here and there.
    async fn granted(&self, services: &Services, person: &Person, roles: &[String]) -> Result<()> {
        if is_administrator(person) {
            return Ok(());
        }
        let allowance = people::allowance(services, person, roles).await?;
        let elsewhere = self.target.iter().filter(|target| target.id != self.source.id);
        for repository in [&self.source].into_iter().chain(elsewhere) {
            let role = allowance.role_for(&people::facts(services, repository).await?);
            if role.is_none_or(|role| role < Role::Restorer) {
                return Err(Error::not_allowed(format!("no leave to restore {}", repository.full_name))
                    .hint("that takes the role restorer: an admin can grant it, see `refward grants --help`"));
            }
        }
        Ok(())
    }
}

async fn on_the_forge(services: &Services, person: &Person, repository: &Repository, needed: Rights) -> Result<()> {
    if is_administrator(person) {
        return Ok(());
    }
    let rights = identity::rights(services, person, repository).await?;
    if rights >= needed {
        return Ok(());
    }
    let (name, host) = (&repository.full_name, &repository.host);
    let lack = if needed == Rights::Read { "read" } else { "write to" };
    Err(Error::not_allowed(format!("no right to {lack} {name} on {host} now"))
        .hint(format!("an admin of {name} on {host} can change that")))
}

/// Whoever has this machine has everything on it: its settings, its keys, its database.
pub(super) fn is_administrator(person: &Person) -> bool {
    person.platform() == "cli"
}

/// Only the one who asked.
pub(super) fn requester_only(asker: &Asker<'_>, proposal: &Proposal, what: &str) -> Result<()> {
    if *asker.person == proposal.requested_by {
        return Ok(());
    }
    Err(Error::not_allowed(format!("only who asked for restore {} can {what} it", proposal.id)))
}

/// Anybody but the one who asked, under whatever name.
pub(super) async fn somebody_else(services: &Services, asker: &Asker<'_>, proposal: &Proposal) -> Result<()> {
    if services.catalog.same_person(asker.person, &proposal.requested_by).await? {
        return Err(Error::not_allowed(format!(
            "restore {} needs a second person: you have asked for it, or share an identity with who did",
            proposal.id
        )));
    }
    Ok(())
}
