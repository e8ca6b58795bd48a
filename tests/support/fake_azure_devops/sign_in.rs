//! Who calls: personal access tokens, bearer tokens of Entra, and what those hear who show neither.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::FakeAzureDevops;
use super::errors;
use super::reply::{Body, Reply};
use super::state::{Kind, State, Told, same};

/// Who a bearer token is of.
#[derive(Clone, Debug)]
pub struct BearerIdentity {
    /// The object in the directory: a person, or a service principal.
    pub object_id: Uuid,
    /// The directory.
    pub tenant: Uuid,
    /// For people who read.
    pub name: String,
    /// `.default` of an application, or `user_impersonation`: everything. Otherwise `vso.code`, …
    pub scopes: Option<Vec<String>>,
}

/// Tells who a bearer token is of; `None`: it is not good.
pub type Bearers = Told<BearerIdentity>;

/// A personal access token.
#[derive(Clone)]
pub struct Pat {
    pub org: String,
    pub person: Uuid,
    /// `None`: all.
    pub scopes: Option<Vec<String>>,
    pub expired: bool,
}

/// How wrong credentials are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// As it should be.
    Unauthorized401,
    /// A page to sign in, which looks like success.
    Html203,
    /// To a page to sign in.
    Redirect302,
}

/// Somebody who is known.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As the organization writes its name.
    pub org: String,
    /// The identity.
    pub person: Uuid,
    /// `None`: all.
    pub scopes: Option<Vec<String>>,
    /// It came with a bearer token.
    pub bearer: bool,
}

/// What includes what, as the list of scopes says.
const INCLUDES: &[(&str, &[&str])] = &[
    ("vso.code_full", &["vso.code_manage", "vso.code_status", "vso.threads_full"]),
    ("vso.code_manage", &["vso.code_write"]),
    ("vso.code_write", &["vso.code"]),
    ("vso.code", &["vso.hooks_write"]),
    ("vso.work_full", &["vso.work_write"]),
    ("vso.work_write", &["vso.work"]),
    ("vso.work", &["vso.hooks_write"]),
    ("vso.build_execute", &["vso.build"]),
    ("vso.build", &["vso.hooks_write"]),
    ("vso.hooks_write", &["vso.hooks"]),
    ("vso.project_manage", &["vso.project_write"]),
    ("vso.project_write", &["vso.project"]),
    ("vso.wiki_write", &["vso.wiki"]),
    ("vso.graph_manage", &["vso.graph"]),
    ("vso.identity_manage", &["vso.identity"]),
];

impl Caller {
    /// Is a scope held, by its name or within another one?
    pub fn holds(&self, scope: &str) -> bool {
        let Some(scopes) = &self.scopes else { return true };
        let mut held: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let mut next = 0;
        while let Some(known) = held.get(next).copied() {
            held.extend(INCLUDES.iter().filter(|(name, _)| *name == known).flat_map(|(_, more)| more.iter()));
            next += 1;
        }
        held.contains(&scope)
    }
}

impl State {
    /// Who shows this in `Authorization`, at an organization; `None`: nobody that it knows.
    pub fn caller(&self, org: &str, authorization: Option<&str>) -> Option<Caller> {
        let org = self.organization(org)?;
        let authorization = authorization?;
        if let Some(token) = after(authorization, "Bearer ") {
            let known = self.bearers.as_ref().filter(|_| self.kind == Kind::Services)?(token)?;
            let person = org.people.iter().find(|person| person.origin_id == known.object_id && person.member)?;
            let here = known.tenant == org.tenant;
            let caller = Caller { org: org.name.clone(), person: person.id, scopes: known.scopes, bearer: true };
            return here.then_some(caller);
        }
        // Strictly: what is not canonical is refused.
        let decoded = BASE64_STANDARD.decode(after(authorization, "Basic ")?).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (_, token) = decoded.split_once(':')?;
        let pat = self.pats.get(token).filter(|pat| !pat.expired && same(&pat.org, &org.name))?;
        let scopes = pat.scopes.clone();
        Some(Caller { org: org.name.clone(), person: pat.person, scopes, bearer: false })
    }

    /// What those hear who are nobody. Whoever says so gets a clean refusal.
    pub fn sign_in_first(&self, org: &str, method: &str, suppress: bool) -> Reply {
        let polite = suppress || method == "PATCH";
        let how = self.sign_in.unwrap_or(if polite { SignIn::Unauthorized401 } else { SignIn::Html203 });
        let tenant = self.organization(org).map(|org| org.tenant).unwrap_or_default();
        let reply = match how {
            SignIn::Unauthorized401 => errors::unauthorized(&Uuid::nil().to_string()),
            SignIn::Html203 => {
                let page = "<!DOCTYPE html><html><title>Azure DevOps Services | Sign In</title></html>";
                return Reply { status: 203, headers: vec![], body: Body::Html(page.to_owned()) };
            }
            SignIn::Redirect302 => {
                let page = "<html><head><title>Object moved</title></head></html>".to_owned();
                let reply = Reply { status: 302, headers: vec![], body: Body::Html(page) };
                return reply.header("location", &format!("{}/_signin?realm={org}", self.host));
            }
        };
        let basic = format!("Basic realm=\"{}/\"", self.host);
        if self.kind != Kind::Services {
            return reply.header("www-authenticate", &basic);
        }
        reply
            .header("www-authenticate", &format!("Bearer authorization_uri=https://login.microsoftonline.com/{tenant}"))
            .header("www-authenticate", &basic)
            .header("x-vss-resourcetenant", &tenant.to_string())
    }
}

fn after<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    value.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &value[scheme.len()..])
}

impl FakeAzureDevops {
    /// Issues a personal access token for one organization. Somebody who was not there administers it from now on.
    pub fn pat(&self, person: &str, org: &str, scopes: &[&str]) -> SecretString {
        self.issue(person, org, Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()))
    }

    /// One for everything, of somebody who administers the organization.
    pub fn full_pat(&self, org: &str) -> SecretString {
        let admin = self.org(org).admin();
        self.issue(&admin.name, org, None)
    }

    fn issue(&self, person: &str, org: &str, scopes: Option<Vec<String>>) -> SecretString {
        let is_known = self.org(org).knows(person);
        let owner = self.org(org).person(person);
        if !is_known {
            owner.administers();
        }
        let text = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let pat = Pat { org: org.to_owned(), person: owner.id, scopes, expired: false };
        self.state().pats.insert(text.clone(), pat);
        text.into()
    }

    /// Its time is over.
    pub fn expire(&self, pat: &SecretString) {
        self.state().pats.get_mut(pat.expose_secret()).expect("there is no such token").expired = true;
    }

    /// It is taken back.
    pub fn revoke(&self, pat: &SecretString) {
        self.state().pats.remove(pat.expose_secret());
    }

    /// What a token may do from now on.
    pub fn rescope(&self, pat: &SecretString, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.state().pats.get_mut(pat.expose_secret()).expect("there is no such token").scopes = Some(scopes);
    }

    /// Asks `who` about bearer tokens, which are Entra's. Whoever it names must be in the organization:
    /// [`super::Org::principal`], [`super::Org::person`].
    pub fn accept_bearers(&self, who: Bearers) {
        self.state().bearers = Some(who);
    }

    /// How wrong credentials are answered from now on, also to those who ask for a clean refusal.
    pub fn bad_sign_ins(&self, how: SignIn) {
        self.state().sign_in = Some(how);
    }
}
