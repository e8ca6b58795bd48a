//! The webhook secrets in force, kept in memory and read again when a signature fits none of them.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{HookSecret, HookSecrets};
use crate::catalog::AppSecret;
use crate::domain::Result;
use crate::forge::Signer;
use crate::services::Services;

/// Whoever sends bad signatures makes us look no more often than this, and waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long a removed secret may still be accepted.
const REFRESH: Duration = Duration::from_secs(5);

type BySlug = HashMap<String, Arc<[HookSecret]>>;

/// The secrets of all connections and Apps in the catalog.
pub struct StoredSecrets {
    services: Arc<Services>,
    known: RwLock<BySlug>,
    /// When they were read, and which sealed secrets that were: opening them again costs more than reading them.
    read: Mutex<LastRead>,
}

struct LastRead {
    at: Instant,
    sealed: Vec<(Signer, Vec<u8>)>,
}

impl StoredSecrets {
    /// Reads them, and from then on keeps up with what other processes add and remove.
    pub async fn watch(services: Arc<Services>) -> Result<Arc<Self>> {
        let nothing = LastRead { at: Instant::now(), sealed: Vec::new() };
        let watched = Arc::new(Self { services, known: RwLock::default(), read: Mutex::new(nothing) });
        watched.refresh(&mut *watched.read.lock().await).await?;
        let weak = Arc::downgrade(&watched);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REFRESH).await;
                let Some(watched) = weak.upgrade() else { return };
                if let Err(error) = watched.refresh(&mut *watched.read.lock().await).await {
                    tracing::warn!("cannot read the webhook secrets again: {}", error.for_log());
                }
            }
        });
        Ok(watched)
    }

    /// Says whether anything changed.
    async fn refresh(&self, read: &mut LastRead) -> Result<bool> {
        let catalog = &self.services.catalog;
        let of_connections = catalog.webhook_secrets(None).await?;
        let of_apps = catalog.app_secrets(AppSecret::Webhook, None).await?;
        let sealed: Vec<(Signer, Vec<u8>)> =
            (of_connections.into_iter().map(|(id, sealed)| (Signer::Connection(id), sealed)))
                .chain(of_apps.into_iter().map(|(id, sealed)| (Signer::App(id), sealed)))
                .collect();
        read.at = Instant::now();
        if sealed == read.sealed {
            return Ok(false);
        }
        let connections = catalog.connections().await?;
        let connections =
            connections.into_iter().map(|connection| (Signer::Connection(connection.id), connection.forge));
        let apps = catalog.apps().await?.into_iter().map(|app| (Signer::App(app.id), app.facts.forge));
        let forges: HashMap<Signer, String> = connections.chain(apps).collect();
        let mut by_slug: HashMap<String, Vec<HookSecret>> = HashMap::new();
        for (signer, secret) in &sealed {
            if let Some(forge) = forges.get(signer) {
                let secret = self.services.credentials.open(secret)?;
                by_slug.entry(forge.clone()).or_default().push(HookSecret { signer: *signer, secret });
            }
        }
        *self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner) =
            by_slug.into_iter().map(|(slug, secrets)| (slug, secrets.into())).collect();
        read.sealed = sealed;
        Ok(true)
    }
}

#[async_trait]
impl HookSecrets for StoredSecrets {
    fn of(&self, forge: &str) -> Arc<[HookSecret]> {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(forge).cloned().unwrap_or_else(|| Arc::from([]))
    }

    async fn look_again(&self) -> Result<bool> {
        let arrived = Instant::now();
        let mut read = self.read.lock().await;
        if read.at > arrived {
            // Somebody who waited before us has looked since we came.
            return Ok(true);
        }
        tokio::time::sleep_until((read.at + LOOK_AGAIN).into()).await;
        self.refresh(&mut read).await
    }
}
