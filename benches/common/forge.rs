//! The forge of the guided tour (a real `git http-backend`), with a copy of the history in it.

use std::path::{Path, PathBuf};

use refward::cli::demo::forge::DemoForge;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use url::Url;

use super::Result;
use super::history::History;
use super::refward::TOKEN;

/// The account on the forge.
pub const OWNER: &str = "bench";

/// The repository, as Refward calls it.
pub const REPOSITORY: &str = "bench/history";

/// A running server. It has a process of its own only for git; its handlers run in threads of the benchmark.
pub struct Forge {
    /// Where to connect.
    pub url: Url,
    /// Where git clones from, with the token in it.
    pub clone_url: String,
    /// The repository on the server's disk, for pushes that cost the network nothing.
    pub folder: PathBuf,
    _server: DemoForge,
    _runtime: Runtime,
}

impl Forge {
    /// Serves a copy of `history` from below `root`.
    pub fn start(root: &Path, history: &History) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let http = reqwest::Client::new();
        let (forge, mut clone_url) = runtime.block_on(async {
            let forge = DemoForge::start(root, OWNER, SecretString::from(TOKEN), http)?;
            let url = forge.create_repository("history").await?;
            Ok::<_, refward::domain::Error>((forge, url))
        })?;
        let folder = root.join(OWNER).join("history.git");
        std::fs::remove_dir_all(&folder)?;
        history.copy_to(&folder)?;
        clone_url
            .set_username("x-access-token")
            .and_then(|()| clone_url.set_password(Some(TOKEN)))
            .map_err(|()| "no host")?;
        Ok(Self { url: forge.url().clone(), clone_url: clone_url.into(), folder, _server: forge, _runtime: runtime })
    }
}
