//! Who may do what: grants, what they come to for somebody, and how the first admin comes to be.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::Value;

use super::setup::{hash, random};
use super::tries::Tries;
use crate::catalog::{Catalog, NewRecord, Repository, SetupKind, Verdict};
use crate::domain::policy::{RepositoryFacts, Selection, Selector};
use crate::domain::{By, Error, Holder, Person, Result, Role};
use crate::jobs::policies;
use crate::services::Services;

pub use crate::catalog::{IdentityLink, StoredGrant as GrantRow};

/// How long a code for the first admin may lie about.
const CLAIM_LASTS: TimeDelta = TimeDelta::hours(1);

/// What a person's grants come to.
pub struct Allowance(Vec<(Role, Option<Selector>)>);

impl Allowance {
    /// The most that they may do with a repository.
    pub fn role_for(&self, facts: &RepositoryFacts) -> Option<Role> {
        self.most(|scope| scope.is_none_or(|scope| scope.matches(facts)))
    }

    /// The most that they may do with any repository at all.
    pub fn anywhere(&self) -> Option<Role> {
        self.most(|_| true)
    }

    /// The most that they may do with every repository.
    pub fn everywhere(&self) -> Option<Role> {
        self.most(|scope| scope.is_none())
    }

    fn most(&self, covers: impl Fn(Option<&Selector>) -> bool) -> Option<Role> {
        let Self(grants) = self;
        grants.iter().filter(|(_, scope)| covers(scope.as_ref())).map(|(role, _)| *role).max()
    }
}

/// What a person may do who has these roles on their platform, by id. Asked anew each time: what is revoked is gone.
pub async fn allowance(services: &Services, person: &Person, roles: &[String]) -> Result<Allowance> {
    let grants = services.catalog.grants_of(person, roles).await?.into_iter();
    let compiled = grants.map(|grant| Ok((grant.role, grant.scope.map(|scope| scope.compile()).transpose()?)));
    compiled.collect::<Result<_>>().map(Allowance)
}

/// A repository as [`Allowance::role_for`] looks at it.
pub async fn facts(services: &Services, repository: &Repository) -> Result<RepositoryFacts> {
    policies::facts_for(services, repository).await
}

/// The grants that stand, the oldest first.
pub async fn grants(catalog: &Catalog) -> Result<Vec<GrantRow>> {
    catalog.grants().await
}

/// Allows somebody something, with the repositories of a scope or with all.
pub async fn grant(
    services: &Services,
    holder: &Holder,
    role: Role,
    scope: Option<Selection>,
    by: &By,
) -> Result<GrantRow> {
    if let Some(scope) = &scope {
        check(services, scope).await?;
    }
    services.catalog.put_grant(holder, role, scope.as_ref(), by).await
}

/// A misspelt scope would allow nothing, and nobody would know why.
async fn check(services: &Services, scope: &Selection) -> Result<()> {
    if *scope == Selection::default() {
        return Err(Error::bad_request("the scope selects nothing").hint("leave it out to grant everything"));
    }
    scope.compile()?;
    let connections = services.catalog.connections().await?;
    for name in &scope.connections {
        if !connections.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
            return Err(Error::not_found(format!("there is no connection called {name}"))
                .hint("`refward connections list` shows them"));
        }
    }
    Ok(())
}

/// Ends a grant at once.
pub async fn revoke(services: &Services, id: i64, by: &By) -> Result<GrantRow> {
    services.catalog.revoke_grant(id, by).await
}

/// What makes somebody the first admin.
pub struct Claim {
    /// To be said in the chat, once.
    pub code: SecretString,
    /// It opens nothing from then on.
    pub expires_at: DateTime<Utc>,
}

/// Makes a code that makes whoever says it in a chat an admin of everything. Only its hash is kept.
pub async fn claim_code(services: &Services, by: &By) -> Result<Claim> {
    let (catalog, code) = (&services.catalog, random());
    let expires_at = Utc::now() + CLAIM_LASTS;
    catalog.put_setup(SetupKind::Claim, &hash(&code), Value::Null, CLAIM_LASTS).await?;
    catalog.record(NewRecord::new(by, "claim.code", Verdict::Done)).await?;
    Ok(Claim { code, expires_at })
}

/// Somebody says a code: makes them an admin of everything. `NotAllowed` where it is wrong, used or too old.
pub async fn claim(services: &Services, code: &str, person: &Person, by: &By) -> Result<GrantRow> {
    static TRIES: Tries = Tries::new();
    if !TRIES.may_try() {
        return Err(Error::not_allowed("too many wrong codes").hint("wait a minute, then try again"));
    }
    if let Some(grant) = services.catalog.claim_admin(&hash(&SecretString::from(code)), person, by).await? {
        return Ok(grant);
    }
    TRIES.was_wrong();
    services.catalog.record(NewRecord::new(by, "claim", Verdict::Refused)).await?;
    Err(Error::not_allowed("this code opens nothing (any more)")
        .hint("make a new one where Refward runs: `refward grants code`"))
}

/// Who is linked as whom, by person.
pub async fn links(catalog: &Catalog) -> Result<Vec<IdentityLink>> {
    catalog.links().await
}

/// A person is nobody on any forge any more; says how many links that ended.
pub async fn unlink(catalog: &Catalog, person: &Person, by: &By) -> Result<u64> {
    match catalog.end_links(person, None, by).await? {
        0 => Err(Error::not_found(format!("{person} is not linked")).hint("`refward people list` shows who is")),
        ended => Ok(ended),
    }
}
