//! Looks where an App is installed, and brings connections and credentials in line: what a webhook or a browser says of an
//! installation only wakes this; what the forge's own list says counts.

use std::collections::{BTreeMap, HashMap};

use chrono::Utc;

use crate::catalog::{
    Connection, ConnectionSettings, InstallationState, NewConnection, NewCredential, NewNotice, NewRecord, Priority,
    Source, StoredApp, StoredInstallation, StoredRequest, Verdict, job_kind,
};
use crate::domain::{AppId, By, ConnectionId, Error, Kind, Result};
use crate::forge::{Apps, Installation, Role};
use crate::services::Services;

use super::alarms;

/// The number of the App that makes connections; those after it join them.
const MAIN: i32 = 1;

/// Follows the installations of one App.
pub async fn follow_app(services: &Services, id: AppId) -> Result<()> {
    let Some(app) = services.catalog.app(id).await? else { return Ok(()) };
    let outcome = Follow { services, app: &app }.run().await;
    let error = outcome.as_ref().err().filter(|error| !matches!(error.kind(), Kind::Throttled { .. }));
    services.catalog.record_app_check(id, error.map(ToString::to_string).as_deref()).await?;
    outcome.map_err(|error| error.while_doing(format!("looking where the App {} is installed", app.facts.name)))
}

struct Follow<'a> {
    services: &'a Services,
    app: &'a StoredApp,
}

impl Follow<'_> {
    async fn run(&self) -> Result<()> {
        let forge = self.services.forge(&self.app.facts.forge)?;
        let apps = forge.apps().ok_or_else(|| Error::bug("an App of a forge that has none"))?;
        let key = self.services.app_key(self.app).await?;
        let now = apps.installations(&key).await?;
        let known = self.services.catalog.installations(Some(self.app.id)).await?;
        let mut known: HashMap<String, StoredInstallation> =
            known.into_iter().map(|installation| (installation.forge_id.clone(), installation)).collect();
        let requests = self.follow_requests(apps.requests(&key).await?).await?;
        let now: Vec<_> = now.into_iter().map(|installation| (known.remove(&installation.id), installation)).collect();
        // First, because whoever installs an App anew on the same account needs its credential's name.
        for gone in known.into_values().filter(|installation| installation.state != InstallationState::Gone) {
            self.uninstalled(gone).await?;
        }
        for (before, installation) in now {
            let asked = requests.get(&installation.account.to_lowercase()).cloned();
            self.follow(apps, installation, before, asked).await?;
        }
        Ok(())
    }

    /// Tells people of new requests; returns who asked for which account before this look.
    async fn follow_requests(&self, now: Vec<crate::forge::InstallRequest>) -> Result<BTreeMap<String, String>> {
        let catalog = &self.services.catalog;
        let before = catalog.installation_requests().await?.into_iter().filter(|request| request.app == self.app.id);
        let before = before.map(|request| (request.account.to_lowercase(), request.requester)).collect();
        let stored = now.into_iter().map(|request| StoredRequest {
            app: self.app.id,
            account: request.account,
            requester: request.requester,
            requested_at: request.at,
        });
        for request in catalog.set_installation_requests(self.app.id, stored.collect()).await? {
            let StoredRequest { account, requester, .. } = request;
            let name = &self.app.facts.name;
            let mut text = format!(
                "{requester} has asked for the App {name} on {account}. An owner of {account} has to approve that; until then nothing of {account} is backed up through it."
            );
            if self.app.facts.number != MAIN {
                text +=
                    " To add a further App at once, have it installed by somebody who may install Apps without asking.";
            }
            self.tell("app.requested", None, text).await?;
        }
        Ok(before)
    }

    async fn follow(
        &self,
        apps: &dyn Apps,
        now: Installation,
        before: Option<StoredInstallation>,
        asked: Option<String>,
    ) -> Result<()> {
        let role = Role::from_word(&self.app.facts.role)?;
        let requested_by = before.as_ref().and_then(|before| before.requested_by.clone()).or(asked);
        let mut kept = StoredInstallation {
            app: self.app.id,
            forge_id: now.id.clone(),
            account: now.account.clone(),
            account_id: Some(now.account_id.clone()),
            connection: before.as_ref().and_then(|before| before.connection),
            state: if now.suspended { InstallationState::Suspended } else { InstallationState::Active },
            selection: if now.all_repositories { "all" } else { "selected" }.to_owned(),
            permissions: now.permissions.clone(),
            requested_by,
            refused: None,
            seen_at: Utc::now(),
        };
        let fresh = kept.connection.is_none();
        // Which repositories it has is told by webhooks and surveys.
        let news = before.as_ref().is_none_or(|before| {
            (before.state, &before.selection, &before.permissions) != (kept.state, &kept.selection, &kept.permissions)
        });
        match self.connection_for(&now, &kept, role).await? {
            Ok(connection) => kept.connection = Some(connection),
            Err(why) => kept.refused = Some(why),
        }
        self.services.catalog.put_installation(&kept).await?;
        if let Some(connection) = kept.connection.filter(|_| kept.refused.is_none()) {
            self.use_it(connection, &kept, role).await?;
            if kept.state == InstallationState::Active && (fresh || news) {
                let priority = if fresh { Priority::Manual } else { Priority::Event };
                self.services.catalog.enqueue(job_kind::DISCOVER, &connection.to_string(), priority).await?;
            }
        }
        self.tell_changes(apps, role, &kept, before.as_ref()).await
    }

    /// The connection that an installation belongs to, made if this is the main App; or why there is none.
    async fn connection_for(
        &self,
        now: &Installation,
        kept: &StoredInstallation,
        role: Role,
    ) -> Result<Result<ConnectionId, String>> {
        let (name, account) = (&self.app.facts.name, &now.account);
        if let Some(connection) = kept.connection
            && let Some(known) = self.services.catalog.connection_by_id(connection).await?
        {
            if known.owner != now.account {
                self.services.catalog.rename_owner(connection, &now.account).await?;
                let text = format!("{} is called {} now.", known.owner, now.account);
                self.tell("account.renamed", Some(connection), text).await?;
            }
            return Ok(Ok(connection));
        }
        let removed = kept.connection.is_some();
        let connections = self.services.catalog.connections().await?;
        let mine = |known: &&Connection| {
            let here = known.forge == self.app.facts.forge && known.url == self.app.facts.url;
            here && known.owner.eq_ignore_ascii_case(&now.account)
        };
        if let Some(connection) = connections.iter().find(mine) {
            if role == Role::Backup && self.app.facts.number != MAIN && !self.may_join(connection).await? {
                return Ok(Err(format!(
                    "{name} is an additional App and the main App is not installed on {account} any more: install that first"
                )));
            }
            return Ok(Ok(connection.id));
        }
        // Somebody disconnected it here; that it is still installed there is no wish to connect it again.
        if removed {
            return Ok(Err(format!(
                "{account} was disconnected here: uninstall {name} there, and install it again to connect it anew"
            )));
        }
        if role == Role::Restore || self.app.facts.number != MAIN {
            return Ok(Err(format!(
                "{name} is an additional App and {account} is not connected: install the main App there first, or connect {account} with a token"
            )));
        }
        self.connect(now, &connections).await.map(Ok)
    }

    /// A connection by token takes any additional App; one through an App takes those that join the main one.
    async fn may_join(&self, connection: &Connection) -> Result<bool> {
        let catalog = &self.services.catalog;
        let credentials = catalog.credentials(Some(connection.id)).await?;
        if credentials.iter().any(|credential| matches!(credential.source, Source::Token(_))) {
            return Ok(true);
        }
        let apps = catalog.apps().await?;
        let main = |id: AppId| {
            let mut mains = apps.iter().filter(|app| app.facts.number == MAIN && app.facts.role == Role::Backup.word());
            mains.any(|app| app.id == id)
        };
        let installations = catalog.installations(None).await?;
        Ok(installations.iter().any(|known| {
            known.connection == Some(connection.id) && known.state != InstallationState::Gone && main(known.app)
        }))
    }

    async fn connect(&self, now: &Installation, connections: &[Connection]) -> Result<ConnectionId> {
        let taken = |name: &str| connections.iter().any(|known| known.name.eq_ignore_ascii_case(name));
        let names = std::iter::once(now.account.clone()).chain((2..).map(|n| format!("{}-{n}", now.account)));
        let name = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let new = NewConnection {
            forge: self.app.facts.forge.clone(),
            name: name.clone(),
            url: self.app.facts.url.clone(),
            owner: now.account.clone(),
            settings: ConnectionSettings { auto_add: true, ..ConnectionSettings::default() },
            credential: self.credential(&now.id, true),
            webhook_secret: None,
        };
        let id = self.services.catalog.add_connection(new).await?;
        self.record("connection.add", name.clone()).await?;
        let text = format!("{} is connected through the App {}, as {name}.", now.account, self.app.facts.name);
        self.tell("connection.created", Some(id), text).await?;
        Ok(id)
    }

    fn credential(&self, installation: &str, main: bool) -> NewCredential {
        NewCredential {
            label: self.app.facts.slug.clone(),
            source: Source::Installation { app: self.app.id, id: installation.to_owned() },
            main,
            // Adding one to a pool is no reason to use it: somebody switches it on.
            enabled: main,
        }
    }

    /// A backup App's installation is a credential of its connection.
    async fn use_it(&self, id: ConnectionId, kept: &StoredInstallation, role: Role) -> Result<()> {
        let catalog = &self.services.catalog;
        if role == Role::Backup {
            let credentials = catalog.credentials(Some(id)).await?;
            let source = Source::Installation { app: self.app.id, id: kept.forge_id.clone() };
            if !credentials.iter().any(|credential| credential.source == source) {
                let main = self.app.facts.number == MAIN && !credentials.iter().any(|credential| credential.main);
                catalog.add_credential(id, self.credential(&kept.forge_id, main)).await?;
                let (name, slug) = (&self.app.facts.name, &self.app.facts.slug);
                let connection = self.services.connection(id).await?.name;
                self.record("credential.add", format!("{connection}: {slug}")).await?;
                if !main {
                    let text = format!(
                        "{name} is installed on {}. It is not used yet: refward credentials enable {connection} {slug}",
                        kept.account
                    );
                    self.tell("credential.added", Some(id), text).await?;
                }
            }
        }
        Ok(())
    }

    async fn uninstalled(&self, gone: StoredInstallation) -> Result<()> {
        let catalog = &self.services.catalog;
        let (name, account) = (&self.app.facts.name, gone.account.clone());
        let text = format!(
            "The App {name} was uninstalled from {account}. What it could reach is no longer backed up through it; the backups stay."
        );
        catalog.raise(alarms::of_app(self.services, "app.uninstalled", &gone, text).await?).await?;
        catalog.remove_installed(self.app.id, &gone.forge_id).await?;
        catalog.put_installation(&StoredInstallation { state: InstallationState::Gone, ..gone }).await
    }

    /// Done because an owner did something on the forge: nobody asked us.
    async fn record(&self, action: &'static str, about: String) -> Result<()> {
        self.services.catalog.record(NewRecord::new(&By::refward(), action, Verdict::Done).about(about)).await
    }

    async fn tell_changes(
        &self,
        apps: &dyn Apps,
        role: Role,
        now: &StoredInstallation,
        before: Option<&StoredInstallation>,
    ) -> Result<()> {
        let (name, account) = (&self.app.facts.name, &now.account);
        if let Some(why) = now.refused.as_ref().filter(|_| before.is_none_or(|before| before.refused.is_none())) {
            self.tell("app.refused", None, format!("The installation on {account} is not used: {why}.")).await?;
        }
        if now.state == InstallationState::Suspended {
            let text = format!(
                "The App {name} is suspended on {account}: nothing is backed up through it until that is lifted."
            );
            let alarm = alarms::of_app(self.services, "app.suspended", now, text).await?;
            self.services.catalog.raise(alarm).await?;
        }
        if now.state == InstallationState::Active {
            let text = format!("The App {name} works again on {account}.");
            alarms::over(self.services, alarms::app_subject(now), text).await?;
        }
        if let Some(before) = before.filter(|before| before.selection != now.selection) {
            let text = format!(
                "{account} now gives the App {name} {} repositories, no longer {}.",
                now.selection, before.selection
            );
            self.tell("app.repositories", now.connection, text).await?;
        }
        let news = before.is_none_or(|before| before.permissions != now.permissions);
        let missing = apps.missing_permissions(role, &now.permissions);
        if news && !missing.is_empty() {
            let text = format!(
                "{account} has not granted the App {name} all that it asks for: {}. An owner can accept that in the account's settings.",
                missing.join(", ")
            );
            self.tell("app.permissions", now.connection, text).await?;
        } else if news && before.is_some() {
            let text = format!("{account} has granted the App {name} all that it asks for.");
            self.tell("app.permissions", now.connection, text).await?;
        }
        Ok(())
    }

    async fn tell(&self, kind: &'static str, connection: Option<ConnectionId>, text: String) -> Result<()> {
        self.services.catalog.notify(NewNotice { kind, connection, text, ..NewNotice::default() }).await
    }
}
