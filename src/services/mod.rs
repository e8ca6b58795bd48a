//! Everything below, built once from the settings and shared by all that runs.

mod oauth;

use std::sync::Arc;

use crate::catalog::{
    AppSecret, Catalog, Connection, InstallationState, Repository, Source, StoredApp, StoredCredential, Subscriber,
};
use crate::chat::{self, Platform};
use crate::config::{self, Settings};
use crate::domain::{AppId, ConnectionId, Error, Result};
use crate::forge::quota::{Quotas, Urgency};
use crate::forge::{self, Access, AppKey, Credential, CredentialKind, Forge, Net, Place, Role};
use crate::git;
use crate::notify;
use crate::vault::{CredentialKey, Keys, Store, Vault};

pub use oauth::{Given, Unkept};

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
    /// The chat platforms that the settings switch on.
    pub chats: Vec<Arc<dyn Platform>>,
    /// What is left of the forges' limits.
    pub quotas: Quotas,
    /// The one HTTP client.
    pub http: reqwest::Client,
}

impl Services {
    /// Opens database, vault and keys. Fails with the name of the one that is wrong.
    pub async fn open(settings: Settings) -> Result<Arc<Self>> {
        // To read the system's certificates, hundreds of files, takes as long as all the rest: beside it, then.
        let http = settings.http.clone();
        let http = tokio::task::spawn_blocking(move || http_client(&http));
        let keys = Keys::load(&settings.keys)?;
        let credentials = CredentialKey::load(&settings.keys.credentials)?;
        let vault = Vault::open(&settings.vault, keys).await?;
        let catalog = Catalog::connect(&settings.database).await?;
        let http = http.await.map_err(|error| Error::bug("setting up the HTTP client stopped").detail(error))??;
        let chats = open_chats(&settings, &http)?;
        let catalog = catalog.telling(subscribers(&settings, &chats));
        let git = git::Client::new(http.clone(), &git_limits(&settings.git));
        let net = Net { http: http.clone(), quotas: Quotas::default() };
        let quotas = net.quotas.clone();
        let forges = forge::ALL.iter().map(|(_, make)| Arc::from(make(net.clone()))).collect();
        Ok(Arc::new(Self { settings, catalog, vault: Arc::new(vault), git, credentials, forges, chats, quotas, http }))
    }

    /// Whether what the settings name could be opened, as far as that shows without asking any other machine. Fails with the
    /// setting that is wrong. A missing `keys.identity` is none: that makes a sealed deployment.
    pub fn check(settings: &Settings) -> Result<()> {
        Store::open(&settings.vault)?;
        Keys::load(&settings.keys)?;
        CredentialKey::load(&settings.keys.credentials)?;
        let http = http_client(&settings.http)?;
        open_chats(settings, &http)?;
        for (receiver, _) in notify::configured(settings) {
            notify::open(settings, &http, receiver)?;
        }
        Ok(())
    }

    /// The forge with this slug.
    pub fn forge(&self, slug: &str) -> Result<&dyn Forge> {
        let forge = self.forges.iter().find(|forge| forge.slug() == slug);
        let forge = forge.ok_or_else(|| Error::not_found(format!("there is no forge called `{slug}`")))?;
        Ok(forge.as_ref())
    }

    /// The chat platform with this slug, if the settings switch it on.
    pub fn chat(&self, slug: &str) -> Option<&Arc<dyn Platform>> {
        self.chats.iter().find(|platform| platform.slug() == slug)
    }

    /// How to reach a connection's owner, with the credentials that are switched on opened, the main one first.
    pub async fn access(&self, connection: &Connection, urgency: Urgency) -> Result<Access> {
        let stored = self.catalog.credentials(Some(connection.id)).await?;
        let mut credentials = Vec::new();
        for credential in stored.iter().filter(|credential| credential.enabled) {
            credentials.push(self.unseal(credential).await?);
        }
        if credentials.is_empty() {
            return Err(Error::misconfigured(format!("the connection {} has no credential", connection.name))
                .hint(format!("add one, or switch one on: `refward credentials list {}`", connection.name)));
        }
        Ok(Access { url: connection.address()?, owner: connection.owner.clone(), credentials, urgency })
    }

    /// How to push to a connection's repositories: its restore Apps first, then its tokens and clients. A backup App only reads. The
    /// credentials may be none.
    pub async fn access_to_push(&self, connection: &Connection) -> Result<Access> {
        let mut credentials = Vec::new();
        for installation in self.catalog.installations(None).await? {
            let mine = installation.connection == Some(connection.id);
            if mine && installation.state == InstallationState::Active {
                let app = self.app(installation.app).await?;
                if app.facts.role == Role::Restore.word() {
                    let kind = self.installed(&app, &installation.forge_id).await?;
                    let who = format!("installation {}", installation.forge_id);
                    credentials.push(Credential { label: app.facts.name, who, kind });
                }
            }
        }
        for stored in self.catalog.credentials(Some(connection.id)).await? {
            if stored.enabled && !matches!(stored.source, Source::Installation { .. }) {
                credentials.push(self.unseal(&stored).await?);
            }
        }
        let (url, owner) = (connection.address()?, connection.owner.clone());
        Ok(Access { url, owner, credentials, urgency: Urgency::Person })
    }

    /// With this one credential of a connection, switched on or not.
    pub async fn access_with(&self, connection: &Connection, credential: &StoredCredential) -> Result<Access> {
        let credentials = vec![self.unseal(credential).await?];
        let (url, owner) = (connection.address()?, connection.owner.clone());
        Ok(Access { url, owner, credentials, urgency: Urgency::Person })
    }

    async fn unseal(&self, stored: &StoredCredential) -> Result<Credential> {
        let kind = match &stored.source {
            Source::Token(sealed) => CredentialKind::Token(self.credentials.open(sealed)?),
            Source::Installation { app, id } => self.installed(&self.app(*app).await?, id).await?,
            Source::Oauth { kind, client, sealed } => self.oauth(stored, *kind, client, sealed)?,
        };
        Ok(Credential { label: stored.label.clone(), who: stored.who(), kind })
    }

    async fn installed(&self, app: &StoredApp, id: &str) -> Result<CredentialKind> {
        let installations = self.catalog.installations(Some(app.id)).await?;
        let all_repositories = installations.iter().any(|known| known.forge_id == id && known.selection == "all");
        let (app, id) = (self.app_key(app).await?, id.to_owned());
        Ok(CredentialKind::Installation { app, id, all_repositories })
    }

    /// An App by its number.
    pub async fn app(&self, id: AppId) -> Result<StoredApp> {
        let app = self.catalog.app(id).await?;
        app.ok_or_else(|| Error::not_found("the App is not known any more").hint("see `refward apps list`"))
    }

    /// What proves that we are an App, opened.
    pub async fn app_key(&self, app: &StoredApp) -> Result<AppKey> {
        let sealed = self.catalog.app_secrets(AppSecret::Key, Some(app.id)).await?.into_iter().next();
        let (_, sealed) =
            sealed.ok_or_else(|| Error::misconfigured(format!("the App {} has no private key", app.facts.name)))?;
        let url = app.facts.url.parse();
        Ok(AppKey {
            url: url.map_err(|error| Error::bug("the stored address of an App is not one").detail(error))?,
            forge_id: app.facts.forge_id.clone(),
            client_id: app.facts.client_id.clone(),
            key: self.credentials.open(&sealed)?,
        })
    }

    /// Where a repository is fetched from now. `labels`: of the credentials that may be used for it; none: all.
    pub async fn remote(&self, repository: &Repository, urgency: Urgency, labels: &[String]) -> Result<git::Remote> {
        let connection = self.connection(repository.connection_id).await?;
        let mut access = self.access(&connection, urgency).await?;
        if !labels.is_empty() {
            access.credentials.retain(|credential| labels.iter().any(|l| l.eq_ignore_ascii_case(&credential.label)));
        }
        if access.credentials.is_empty() {
            let (labels, name) = (labels.join(", "), &repository.full_name);
            return Err(Error::misconfigured(format!(
                "the policy of {name} allows only the credentials {labels}, and none of them is switched on"
            ))
            .hint(format!("`refward credentials list {}` shows them", connection.name)));
        }
        let place = Place { forge_id: &repository.forge_id, full_name: &repository.full_name };
        self.forge(&connection.forge)?.remote(&access, place)
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

fn open_chats(settings: &Settings, http: &reqwest::Client) -> Result<Vec<Arc<dyn Platform>>> {
    let opened = chat::ALL.iter().map(|(_, open)| open(settings, http.clone()));
    let opened: Vec<Option<Box<dyn Platform>>> = opened.collect::<Result<_>>()?;
    Ok(opened.into_iter().flatten().map(Arc::from).collect())
}

/// Whoever is told of notices: mail, a webhook, and each channel of the chats for itself, so that none waits for another.
fn subscribers(settings: &Settings, chats: &[Arc<dyn Platform>]) -> Vec<Subscriber> {
    let configured = notify::configured(settings).into_iter();
    let named = configured.map(|(receiver, severity)| Subscriber { receiver: receiver.to_owned(), severity });
    let channels = chats.iter().flat_map(|chat| {
        let receiver = |channel: &config::ChatChannel| format!("{}:{}", chat.slug(), channel.id);
        chat.channels()
            .iter()
            .map(move |channel| Subscriber { receiver: receiver(channel), severity: channel.severity })
    });
    named.chain(channels).collect()
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
