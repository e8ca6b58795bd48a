//! What every forge promises, whatever its dialect. Each promise is a test on each forge; a new forge is one more [`Dialect`]
//! and one more line in `every_forge!`.

/// Each of these promises, kept by each forge: `github::everything_is_listed`.
macro_rules! every_forge {
    ($($promise:ident),* $(,)?) => {
        $crate::contract::every_forge!(@ github GithubHost: $($promise),*);
        $crate::contract::every_forge!(@ azure_devops AzureHost: $($promise),*);
    };
    (@ $forge:ident $host:ident: $($promise:ident),*) => {
        mod $forge {
            $(
                #[tokio::test]
                async fn $promise() {
                    super::$promise(&$crate::contract::$forge::$host::new().await).await;
                }
            )*
        }
    };
}

#[path = "contract/azure_devops.rs"]
pub mod azure_devops;
#[path = "contract/deliveries.rs"]
mod deliveries;
#[path = "contract/github.rs"]
pub mod github;
#[path = "contract/listing.rs"]
mod listing;
#[path = "contract/people.rs"]
mod people;
#[path = "contract/reaching.rs"]
mod reaching;

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use refward::forge::{Access, Forge, Posted};

pub(crate) use every_forge;

/// A forge as its double plays it, with one owner.
#[async_trait]
pub trait Dialect: Send + Sync {
    /// The adapter.
    fn forge(&self) -> Box<dyn Forge>;
    /// To the owner, with a credential that may do everything.
    fn access(&self) -> Access;
    /// To the owner, with a credential that the host does not know.
    fn stranger(&self) -> Access;
    /// What the owner's repository of this name is called in full.
    fn full_name(&self, name: &str) -> String;
    /// A repository with a commit on `main`.
    async fn makes(&self, name: &str) -> Box<dyn Made>;
    /// The id of the repository that letters are about.
    fn told_id(&self) -> String;
    /// A delivery as the forge posts it, with a number of its own.
    fn letter(&self, number: u64, said: Said, secret: &str) -> Letter;
    /// The headers that prove its sender: without any of them it is nobody's.
    fn proofs(&self) -> &'static [&'static str];
    /// They prove also what it says.
    fn signs_bodies(&self) -> bool;
}

/// A repository on the double.
#[async_trait]
pub trait Made: Send + Sync {
    /// The forge's id.
    fn id(&self) -> String;
    /// Where the double has it.
    fn folder(&self) -> PathBuf;
    /// A commit on a branch of its own.
    async fn push(&self, branch: &str);
    /// Gives it another name.
    fn rename(&self, name: &str);
    /// Disables it, or opens it again. `false`: there is no such thing on this forge.
    fn disable(&self, disabled: bool) -> bool;
    /// Throws it away.
    fn delete(&self);
}

/// What a letter tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Mona deleted `main` of `api`, which was at `6113728f…`, on 2019-05-15 at 15:19:51.
    Pushed,
    /// It is called `new` now.
    Renamed,
    /// Something that nobody has heard of.
    Unheard,
}

/// A delivery.
#[derive(Clone)]
pub struct Letter {
    /// Behind the forge's slug in the path.
    pub key: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Letter {
    pub fn posted(&self) -> Posted<'_> {
        Posted { key: self.key.as_deref(), headers: &self.headers, body: self.body.clone() }
    }
}
