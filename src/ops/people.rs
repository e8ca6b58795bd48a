//! Who may do what: grants, what they come to for somebody, and how the first admin comes to be.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::Value;

use super::setup::{hash, random};
use crate::catalog::{Catalog, NewRecord, Repository, SetupKind, Verdict};
use crate::domain::policy::{RepositoryFacts, Selection, Selector};
use crate::domain::{By, Error, Holder, Person, Result, Role};
use crate::jobs::policies;
use crate::services::Services;

pub use crate::catalog::{IdentityLink, StoredGrant as GrantRow};

/// How long a code for the first admin may lie about.
const CLAIM_LASTS: TimeDelta = TimeDelta::hours(1);

/// Wrong codes in a minute; then nobody may try until it is over.
const WRONG_CODES: usize = 10;

/// Rows of the record that are looked through for them.
const LOOK_BACK: u64 = 1_000;

const CLAIM: &str = "claim";

/// What a person's grants come to.
pub struct Allowance(Vec<(Role, Option<Selector>)>);

impl Allowance {
    fn of(grants: Vec<GrantRow>) -> Result<Self> {
        let compiled = |grant: GrantRow| {
            let scope = grant.scope.map(|scope| scope.compile()).transpose()?;
            Ok((grant.role, scope))
        };
        grants.into_iter().map(compiled).collect::<Result<_>>().map(Self)
    }

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
    Allowance::of(services.catalog.grants_of(person, roles).await?)
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

/// `connection acme, group web, acme/*`; `everything`.
pub fn scope_in_words(scope: Option<&Selection>) -> String {
    let Some(scope) = scope else { return "everything".to_owned() };
    let named = |what: &str, names: &[String]| names.iter().map(|name| format!("{what}{name}")).collect::<Vec<_>>();
    // Several of one kind: any of them. Several kinds: all of them.
    let kinds = [
        named("connection ", &scope.connections),
        named("group ", &scope.groups),
        named("", &scope.include),
        named("", &scope.repositories),
    ];
    let kinds: Vec<String> = kinds.iter().filter(|names| !names.is_empty()).map(|names| names.join(" or ")).collect();
    kinds.join(", and ")
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
    let catalog = &services.catalog;
    if wrong_codes(catalog).await? >= WRONG_CODES {
        return Err(Error::not_allowed("too many wrong codes").hint("wait a minute, then try again"));
    }
    if let Some(grant) = catalog.claim_admin(&hash(&SecretString::from(code)), person, by).await? {
        return Ok(grant);
    }
    catalog.record(NewRecord::new(by, CLAIM, Verdict::Refused)).await?;
    Err(Error::not_allowed("this code opens nothing (any more)")
        .hint("make a new one where Refward runs: `refward grants code`"))
}

/// In the last minute, whoever said them, to whichever replica. A code is never guessed, but each try costs us a row.
async fn wrong_codes(catalog: &Catalog) -> Result<usize> {
    let rows = catalog.recorded(Some(Utc::now() - TimeDelta::minutes(1)), LOOK_BACK).await?;
    Ok(rows.iter().filter(|row| row.action == CLAIM && row.verdict == Verdict::Refused).count())
}

/// Who is linked as whom, by person.
pub async fn links(catalog: &Catalog) -> Result<Vec<IdentityLink>> {
    catalog.links().await
}

/// A person is nobody on any forge any more; says how many links that ended.
pub async fn unlink(catalog: &Catalog, person: &Person, by: &By) -> Result<u64> {
    match catalog.end_links(person, None, by).await? {
        0 => Err(Error::not_found(format!("{person} is not linked")).hint("`refward people` shows who is")),
        ended => Ok(ended),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::RepoId;

    const CONNECTIONS: [&str; 2] = ["acme", "umbrella"];
    const GROUPS: [&str; 2] = ["web", "firmware"];
    const NAMES: [&str; 3] = ["api", "app", "site"];

    fn grant(role: Role, scope: Option<Selection>) -> GrantRow {
        let holder = "discord:user:1".parse().expect("a holder");
        GrantRow { id: 1, holder, role, scope, created_at: Utc::now(), created_by: "cli:root".to_owned() }
    }

    fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
        let some = prop::sample::subsequence(words.to_vec(), 0..=words.len());
        some.prop_map(|words| words.into_iter().map(str::to_owned).collect())
    }

    /// As `refward grants add` makes them: never one that says nothing.
    fn scope() -> impl Strategy<Value = Selection> {
        let globs = some_of(&["a*", "acme/*", "site"]);
        let scope = (some_of(&CONNECTIONS), some_of(&GROUPS), globs).prop_map(|(connections, groups, include)| {
            Selection { connections, groups, include, ..Selection::default() }
        });
        scope.prop_filter("says nothing", |scope| *scope != Selection::default())
    }

    fn grants() -> impl Strategy<Value = Vec<GrantRow>> {
        let one = (prop::sample::select(&Role::ALL[..]), prop::option::of(scope()));
        prop::collection::vec(one.prop_map(|(role, scope)| grant(role, scope)), 0..6)
    }

    fn repository() -> impl Strategy<Value = RepositoryFacts> {
        let (connection, name) = (prop::sample::select(&CONNECTIONS[..]), prop::sample::select(&NAMES[..]));
        (connection, name, some_of(&GROUPS)).prop_map(|(connection, name, groups)| RepositoryFacts {
            id: RepoId::derive("github", "github.com", name),
            connection: connection.to_owned(),
            full_name: format!("{connection}/{name}"),
            groups,
            archived: false,
            private: true,
        })
    }

    /// The scope in the words of its documentation, without the machinery of selections.
    fn reaches(scope: &Selection, facts: &RepositoryFacts) -> bool {
        let fits = |glob: &String| match glob.as_str() {
            "a*" => {
                facts.full_name.ends_with("/api") || facts.full_name.ends_with("/app") || facts.connection == "acme"
            }
            "acme/*" => facts.connection == "acme",
            name => facts.full_name.ends_with(&format!("/{name}")),
        };
        (scope.connections.is_empty() || scope.connections.contains(&facts.connection))
            && (scope.groups.is_empty() || scope.groups.iter().any(|group| facts.groups.contains(group)))
            && (scope.include.is_empty() || scope.include.iter().any(fits))
    }

    proptest! {
        #[test]
        fn grants_add_up_and_a_scope_never_reaches_beyond(grants in grants(), facts in repository()) {
            let allowance = Allowance::of(grants.clone()).expect("globs");
            let covering = grants.iter().filter(|grant| grant.scope.as_ref().is_none_or(|scope| reaches(scope, &facts)));
            prop_assert_eq!(allowance.role_for(&facts), covering.map(|grant| grant.role).max());
            prop_assert_eq!(allowance.anywhere(), grants.iter().map(|grant| grant.role).max());
            let unscoped = grants.iter().filter(|grant| grant.scope.is_none());
            prop_assert_eq!(allowance.everywhere(), unscoped.map(|grant| grant.role).max());
        }

        #[test]
        fn nobody_may_more_somewhere_than_anywhere_nor_less_than_everywhere(grants in grants(), facts in repository()) {
            let allowance = Allowance::of(grants).expect("globs");
            prop_assert!(allowance.role_for(&facts) <= allowance.anywhere());
            prop_assert!(allowance.role_for(&facts) >= allowance.everywhere());
        }

        #[test]
        fn without_a_grant_there_is_no_role(facts in repository()) {
            let nothing = Allowance::of(Vec::new()).expect("globs");
            prop_assert_eq!((nothing.role_for(&facts), nothing.anywhere(), nothing.everywhere()), (None, None, None));
        }
    }

    #[test]
    fn scopes_are_told_in_words() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let scope =
            Selection { connections: words(&["acme"]), include: words(&["acme/a*", "site"]), ..Selection::default() };
        assert_eq!(scope_in_words(Some(&scope)), "connection acme, and acme/a* or site");
        assert_eq!(scope_in_words(None), "everything");
    }
}
