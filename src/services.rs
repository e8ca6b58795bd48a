//! Everything below, built once from the settings and shared by all that runs.

use std::sync::Arc;

use crate::catalog::{Catalog, Connection, Repository, SecretKind};
use crate::config::{self, Settings};
use crate::domain::{ConnectionId, Error, Result};
use crate::forge::{self, Access, Forge};
use crate::git;
use crate::vault::{CredentialKey, Keys, Vault};

/// What a role of the service works with.
pub struct Services {
    /// What the user has set.
    pub settings: Settings,
    /// The database.
    pub catalog: Catalog,
    /// The backups.
    pub vault: Arc<Vault>,
    /// Talks to git servers.
    pub git: git::Client,
    /// Encrypts credentials before they reach the database.
    pub credentials: CredentialKey,
    /// Every kind of forge.
    pub forges: Vec<Arc<dyn Forge>>,
}

impl Services {
    /// Opens database, vault and keys. Fails with the name of the one that is wrong.
    pub async fn open(settings: Settings) -> Result<Arc<Self>> {
        let http = http_client(&settings.http)?;
        let keys = Keys::load(&settings.keys)?;
        let credentials = CredentialKey::load(&settings.keys.credentials)?;
        let vault = Vault::open(&settings.vault, keys).await?;
        let catalog = Catalog::connect(&settings.database).await?;
        let git = git::Client::new(http.clone(), &git_limits(&settings.git));
        let forges = forge::ALL.iter().map(|(_, make)| Arc::from(make(http.clone()))).collect();
        Ok(Arc::new(Self { settings, catalog, vault: Arc::new(vault), git, credentials, forges }))
    }

    /// The forge with this slug.
    pub fn forge(&self, slug: &str) -> Result<&dyn Forge> {
        let forge = self.forges.iter().find(|forge| forge.slug() == slug);
        let forge = forge.ok_or_else(|| Error::not_found(format!("there is no forge called `{slug}`")))?;
        Ok(forge.as_ref())
    }

    /// How to reach a connection's owner, with its credential opened.
    pub async fn access(&self, connection: &Connection) -> Result<Access> {
        let sealed = self.catalog.secrets(SecretKind::Token, Some(connection.id)).await?.into_iter().next();
        let (_, sealed) = sealed.ok_or_else(|| {
            Error::misconfigured(format!("the connection {} has no credential", connection.name))
                .hint(format!("connect it again: refward connect {} --name {} …", connection.forge, connection.name))
        })?;
        let url = connection.url.parse().map_err(|error| {
            Error::bug(format!("the stored address of connection {} is not one", connection.name)).detail(error)
        })?;
        Ok(Access { url, owner: connection.owner.clone(), token: self.credentials.open(&sealed)? })
    }

    /// Where a repository is fetched from now.
    pub async fn remote(&self, repository: &Repository) -> Result<git::Remote> {
        let connection = self.connection(repository.connection_id).await?;
        let access = self.access(&connection).await?;
        self.forge(&connection.forge)?.remote(&access, &repository.full_name)
    }

    /// A connection by its number.
    pub async fn connection(&self, id: ConnectionId) -> Result<Connection> {
        let connection = self.catalog.connection_by_id(id).await?;
        connection.ok_or_else(|| {
            Error::misconfigured("its connection has been removed")
                .hint("connect the owner again: refward connect --help")
        })
    }
}

/// Proxy and certificates for the `git` program.
pub fn git_net(settings: &config::Http) -> git::program::Net {
    git::program::Net {
        proxy: (!settings.proxy.is_empty()).then(|| settings.proxy.clone()),
        ca_file: (!settings.ca_file.as_os_str().is_empty()).then(|| settings.ca_file.clone()),
    }
}

/// How much the git engine may use.
pub fn git_limits(settings: &config::Git) -> git::Limits {
    let folder = &settings.scratch_dir;
    git::Limits {
        memory_scratch: settings.memory_scratch,
        scratch_dir: (!folder.as_os_str().is_empty()).then(|| folder.clone()),
        max_object: settings.max_object,
        threads: settings.threads,
    }
}

/// The one HTTP client. It follows no redirect by itself: whoever calls decides whether the target may see credentials.
pub fn http_client(settings: &config::Http) -> Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .user_agent(concat!("refward/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.idle_timeout)
        .no_proxy();
    if !settings.proxy.is_empty() {
        let direct = format!("localhost,127.0.0.0/8,::1,{}", settings.no_proxy);
        let proxy = reqwest::Proxy::all(&settings.proxy)
            .map_err(|error| Error::misconfigured("the setting `http.proxy` is not a proxy's address").detail(error))?;
        client = client.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&direct)));
    }
    if !settings.ca_file.as_os_str().is_empty() {
        let file = settings.ca_file.display();
        let pem = std::fs::read(&settings.ca_file)
            .map_err(|error| Error::misconfigured(format!("cannot read `http.ca_file` {file}: {error}")))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| Error::misconfigured(format!("`http.ca_file` {file} is not a PEM file")).detail(error))?;
        client = client.tls_certs_merge(certificates);
    }
    client.build().map_err(|error| Error::misconfigured("cannot set up the HTTP client").detail(error))
}
