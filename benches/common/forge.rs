//! A real `git http-backend` with a copy of the history in it: behind the forge of the guided tour, or in the manner of Azure
//! Repos.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpRequest, HttpServer, web};
use refward::cli::demo::forge::DemoForge;
use refward::cli::demo::git_server::GitServer;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use url::Url;

use super::Result;
use super::azure::{self, ORGANIZATION, Organization};
use super::history::History;
use super::refward::TOKEN;

/// The account on the forge.
pub const OWNER: &str = "bench";

/// The repository, as Refward calls it.
pub const REPOSITORY: &str = "bench/history";

/// Which forge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As GitHub is: protocol version 2.
    Github,
    /// As Azure DevOps is: protocol version 0.
    Azure,
}

impl Kind {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Github => "GitHub, protocol v2",
            Self::Azure => "Azure DevOps, protocol v0",
        }
    }
}

/// A running server. It has a process of its own only for git; its handlers run in threads of the benchmark.
pub struct Forge {
    /// What it is like.
    pub kind: Kind,
    /// Where to connect.
    pub url: Url,
    /// Where git clones from, with the token in it.
    pub clone_url: String,
    /// The repository on the server's disk, for pushes that cost the network nothing.
    pub folder: PathBuf,
    _server: Option<DemoForge>,
    _runtime: Runtime,
}

impl Forge {
    /// Serves a copy of `history` from below `root`.
    pub fn start(kind: Kind, root: &Path, history: &History) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (server, url, mut clone_url) = match kind {
            Kind::Github => runtime.block_on(async {
                let http = reqwest::Client::new();
                let forge = DemoForge::start(root, OWNER, SecretString::from(TOKEN), http)?;
                let clone_url = forge.create_repository("history").await?;
                let url = forge.url().clone();
                Ok::<_, refward::domain::Error>((Some(forge), url, clone_url))
            })?,
            Kind::Azure => {
                let url = runtime.block_on(async { serve_azure(root) })?;
                let clone_url = azure::git_address(&url, REPOSITORY).parse()?;
                (None, url, clone_url)
            }
        };
        let folder = root.join(OWNER).join("history.git");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        history.copy_to(&folder)?;
        clone_url
            .set_username("x-access-token")
            .and_then(|()| clone_url.set_password(Some(TOKEN)))
            .map_err(|()| "no host")?;
        Ok(Self { kind, url, clone_url: clone_url.into(), folder, _server: server, _runtime: runtime })
    }
}

/// An organization with one project and one repository; gives its address.
fn serve_azure(root: &Path) -> Result<Url> {
    let organization = web::Data::new(Organization(vec![(OWNER.to_owned(), vec!["history".to_owned()])]));
    let git = Arc::new(GitServer::new(root).password(SecretString::from(TOKEN)));
    let api =
        |request: HttpRequest, organization: web::Data<Organization>| async move { organization.answer(&request) };
    let app = move || {
        App::new()
            .app_data(organization.clone())
            .configure(git.clone().configure())
            .default_service(web::to(api))
            .wrap(from_fn(azure::git))
    };
    let server = HttpServer::new(app).workers(2).tcp_nodelay(true).disable_signals().bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    Ok(format!("http://{address}/{ORGANIZATION}").parse()?)
}
