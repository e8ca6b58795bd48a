//! Forges: what hosts repositories and tells us when they change.
//!
//! A forge is one folder and one line in [`ALL`]. Every folder holds the same files: `mod.rs` (implements [`Forge`]),
//! `verify.rs` (who sent this delivery), `payload.rs` (foreign JSON to [`Event`]s), `api.rs` (calls), `access.rs`
//! (what a credential may do), and `apps.rs`, `hooks.rs`, `people.rs` where a forge has them. Nothing outside a folder names a
//! forge, but for the subcommand of `refward connect` with its options.

mod access;
mod apps;
pub mod azure_devops;
pub mod github;
mod hooks;
mod line;
mod people;
pub mod quota;
mod sign_in;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use url::Url;

use crate::domain::{
    AppId, Availability, ConnectionId, DeliveryId, Error, Event, ObjectId, RefName, RemoteRepository, Result,
};
use crate::git::Remote;

use quota::Quotas;

pub use access::{Access, AppKey, Credential, CredentialKind, Inspection, OauthClient, Proof, Refresh};
pub use apps::{
    AppIdentity, Apps, Delivered, DeliveryLog, InstallRequest, Installation, ManifestForm, Registered, Registration,
    Role,
};
pub use hooks::{Door, Found as FoundHook, HookState, Hooks, Missed, MissedDelivery, Scope, Wanted as WantedHook};
pub use people::{DeviceCode, ForgeUser, People, Polled, Refusal, Rights};
pub use sign_in::SignIn;

/// What every forge reaches the world with.
#[derive(Clone)]
pub struct Net {
    /// Must not follow redirects: adapters do, and only within the host that a credential belongs to.
    pub http: reqwest::Client,
    /// What is left of the hosts' limits.
    pub quotas: Quotas,
}

/// Makes a forge.
pub type Connect = fn(Net) -> Box<dyn Forge>;

/// Every forge that this program knows, by slug.
pub const ALL: &[(&str, Connect)] = &[(github::SLUG, github::connect), (azure_devops::SLUG, azure_devops::connect)];

/// A kind of forge. One value serves all connections to forges of that kind.
#[async_trait]
pub trait Forge: Send + Sync {
    /// The stable word in paths, the database and the vault: `github`.
    fn slug(&self) -> &'static str;

    /// Its name for people: `GitHub`.
    fn title(&self) -> &'static str;

    /// Checks that a delivery comes from somebody who knows one of `secrets`. Constant time per secret; no secrets, no entry.
    fn verify(&self, posted: Posted<'_>, secrets: &[HookSecret]) -> Result<Verified, Rejected>;

    /// Reads what was verified into our words. Lenient: fields that we do not need may be missing or strange.
    fn read(&self, verified: &Verified) -> Result<Delivery, Rejected>;

    /// How it wants its deliveries to be answered.
    fn manners(&self) -> Manners {
        Manners::Plain
    }

    /// Refuses addresses that cannot be this forge: wrong scheme, credentials in it, plain http beyond loopback.
    /// Returns the address as it is stored.
    fn settle_url(&self, url: &Url) -> Result<Url>;

    /// The owner that an address names by itself, where forges of this kind have such: a settled address.
    fn owner_in(&self, url: &Url) -> Option<String> {
        _ = url;
        None
    }

    /// What the credential may do on this host; says exactly what is missing and how to get it.
    async fn inspect(&self, access: &Access) -> Result<Inspection>;

    /// Every repository of the owner that the credential can see, in as few requests as the forge allows.
    async fn survey(&self, access: &Access) -> Result<Survey>;

    /// Where a repository is fetched from, and with what.
    fn remote(&self, access: &Access, repository: Place<'_>) -> Result<Remote>;

    /// Where a repository is pushed to, and with what. Fails where it is not there under this name, or where no credential
    /// may write to it, and says what to do about that; and where it is not the one with this id, if that is known: names are
    /// given away and used again.
    async fn target(&self, access: &Access, full_name: &str, forge_id: Option<&str>) -> Result<Remote>;

    /// Makes an empty repository of this name, private if the forge has such. Fails where only people can, with the page.
    async fn create(&self, access: &Access, full_name: &str) -> Result<RemoteRepository>;

    /// Makes a branch the one that people see first. Fails where only people can.
    async fn set_default_branch(&self, access: &Access, full_name: &str, branch: &RefName) -> Result<()> {
        _ = access;
        Err(Error::misconfigured(format!("{branch} has to be made the default branch of {full_name} by a person")))
    }

    /// What a repository that has this name elsewhere is called at this owner.
    fn name_at(&self, owner: &str, full_name: &str) -> String;

    /// What its git server takes in a push.
    fn takes(&self, url: &Url) -> Takes;

    /// Whether the host answers at each of its addresses, whatever it says, with no credential at all.
    async fn reach(&self, url: &Url) -> Result<Vec<Reached>>;

    /// A page of the host where people do what we do not.
    fn page(&self, url: &Url, page: Page<'_>) -> Result<Url>;

    /// The Apps of this forge, where it has such a thing.
    fn apps(&self) -> Option<&dyn Apps> {
        None
    }

    /// Hooks that we set up ourselves, where the forge lets us.
    fn hooks(&self) -> Option<&dyn Hooks> {
        None
    }

    /// Its OAuth authority, where one lets us act for people.
    fn sign_in(&self) -> Option<&dyn SignIn> {
        None
    }

    /// The people of this forge, where it tells of them.
    fn people(&self) -> Option<&dyn People> {
        None
    }

    /// Why a push was refused, in the server's words (all that `git push` printed): the rule, and the way out. `None`: nothing
    /// that we know of.
    fn refused(&self, why: &str) -> Option<Refusal> {
        _ = why;
        None
    }
}

/// A repository to be reached.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The forge's own id.
    pub forge_id: &'a str,
    /// `OWNER/NAME`.
    pub full_name: &'a str,
}

/// A delivery as it was posted to us.
#[derive(Clone)]
pub struct Posted<'a> {
    /// What stands behind the forge's slug in the path.
    pub key: Option<&'a str>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The raw body.
    pub body: Bytes,
}

/// How a forge wants its deliveries to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// With the status that says what happened.
    Plain,
    /// With success, or a request to come back: it stops delivering at anything else. What is authentic is answered 200, what
    /// cannot be stored 503, and what we cannot read makes us look for ourselves.
    Forbearing,
}

/// What a git server takes in a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Bytes in one push. `None`: no limit that we know of.
    pub largest_push: Option<u64>,
    /// Repositories that name their objects with SHA-256.
    pub sha256: bool,
    /// How the references begin that it keeps for itself: nobody can push them.
    pub reserved: &'static [&'static str],
}

impl Takes {
    /// Of a server that we know nothing of: whatever git can do, but for what servers are known to keep for themselves.
    pub const UNKNOWN: Self = Self {
        largest_push: None,
        sha256: true,
        reserved: &["refs/pull/", "refs/merge-requests/", "refs/keep-around/"],
    };

    /// The server keeps this reference for itself.
    pub fn keeps(&self, name: &RefName) -> bool {
        self.reserved.iter().any(|reserved| name.as_str().starts_with(reserved))
    }
}

/// One of a host's addresses, tried.
#[derive(Debug)]
pub struct Reached {
    /// What it is: `web and git`, `API`.
    pub what: &'static str,
    /// Where.
    pub address: String,
    /// It answers, or why not.
    pub outcome: Result<()>,
}

/// A page on which people do what we do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// An owner's webhooks.
    Hooks(&'a str),
    /// The Apps that are installed on an owner's account.
    Installations(&'a str),
    /// The tokens of whoever is signed in.
    Tokens,
    /// A new repository of this `OWNER/NAME`.
    NewRepository(&'a str),
    /// A branch or tag of an `OWNER/NAME`.
    Branch(&'a str, &'a str),
    /// What lies between two commits of an `OWNER/NAME`.
    Between(&'a str, &'a ObjectId, &'a ObjectId),
}

/// A look at all repositories of an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What was seen.
    pub repositories: Vec<Surveyed>,
    /// What was deleted and can be brought back, with all that belonged to it and is not listed any more.
    pub recycled: Vec<Scope>,
    /// Requests that it took.
    pub requests: u64,
    /// The main credential looked; another may see less, so what it does not list may still be there.
    pub complete: bool,
}

/// A repository as a survey saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// What it is.
    pub repository: RemoteRepository,
    /// `public`, `internal`, `private`, where the forge tells.
    pub visibility: Option<String>,
    /// Whether something was pushed.
    pub mark: Mark,
    /// Whether it can be read.
    pub availability: Availability,
    /// What its hooks belong to, where that is not the owner.
    pub scope: Option<Scope>,
}

/// What a survey can say of a repository's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The same as the last time: nothing was pushed. Parts stand between `/`, and whoever tells less tells the first
    /// parts of the same mark.
    Told(String),
    /// It changed a moment ago, and another change could hide behind that.
    Moving,
    /// The forge does not say.
    Untold,
}

/// Finds a forge by its slug.
pub fn find(slug: &str, net: &Net) -> Result<Box<dyn Forge>> {
    let found = ALL.iter().find(|(known, _)| *known == slug);
    let (_, make) = found.ok_or_else(|| Error::not_found(format!("there is no forge called `{slug}`")))?;
    Ok(make(net.clone()))
}

/// A webhook secret and whose it is. Several may be active at once, so that they can be rotated.
pub struct HookSecret {
    /// Who signs with it.
    pub signer: Signer,
    /// The shared secret.
    pub secret: SecretString,
}

/// For whom a delivery speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signer {
    /// A hook that the owner has set up.
    Connection(ConnectionId),
    /// One of our Apps, for whichever account the delivery names.
    App(AppId),
}

/// A delivery whose sender has proved that they know the secret, or which the forge's own log has told. Only forges make
/// one.
pub struct Verified {
    headers: HeaderMap,
    body: Bytes,
    signers: Vec<Signer>,
}

impl Verified {
    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The raw body, exactly as signed.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whose secret signed it; never empty.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }
}

/// A delivery in our words.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The forge's id; a redelivery has the same.
    pub id: DeliveryId,
    /// The forge's name for the event, with its action: `push`, `issues.opened`.
    pub event: String,
    /// The installation that an App's delivery speaks for.
    pub installation: Option<String>,
    /// The forge's id of the scope that it is about, where that is told: which of its repositories may not be.
    pub scope: Option<String>,
    /// What it asks of us.
    pub content: Content,
}

/// What a delivery asks of us.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Only a sign of life.
    Ping,
    /// Nothing that a backup needs.
    Ignored,
    /// Changes to follow.
    Events(Vec<Event>),
}

/// Why a delivery was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// No signature, or a wrong one.
    Unauthenticated,
    /// Headers missing, or the body is not what its type says. The text is shown to the sender.
    Malformed(&'static str),
    /// Neither JSON nor a form.
    UnsupportedType,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthenticated => "the signature is missing or wrong",
            Self::Malformed(why) => why,
            Self::UnsupportedType => "the content type must be application/json or application/x-www-form-urlencoded",
        })
    }
}
