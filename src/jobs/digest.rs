//! Which day's digest is due in a chat. What it says, and to whom, is told in `desk::digest`.

use chrono::{NaiveDate, Utc};

use crate::catalog::{Catalog, Priority, job_kind};
use crate::chat::Platform;
use crate::domain::Result;
use crate::services::Services;

/// Asks for the digests whose time has come.
pub(super) async fn enqueue_digests(services: &Services) -> Result<()> {
    for chat in &services.chats {
        if digest_due(&services.catalog, chat.as_ref()).await?.is_some() {
            services.catalog.enqueue(job_kind::DIGEST, chat.slug(), Priority::Sweep).await?;
        }
    }
    Ok(())
}

/// The day whose digest was not told yet. Of days that nobody was there to tell, only the last; whoever begins today begins
/// with the next.
pub async fn digest_due(catalog: &Catalog, chat: &dyn Platform) -> Result<Option<NaiveDate>> {
    let Some(daily) = chat.digest().filter(|_| !chat.channels().is_empty()) else { return Ok(None) };
    let latest = daily.latest(Utc::now());
    match catalog.fact::<NaiveDate>(&fact(chat)).await? {
        Some(told) => Ok((latest > told).then_some(latest)),
        None => digest_told(catalog, chat, latest).await.map(|()| None),
    }
}

/// The digest of that day was told.
pub async fn digest_told(catalog: &Catalog, chat: &dyn Platform, day: NaiveDate) -> Result<()> {
    catalog.put_fact(&fact(chat), &day).await
}

fn fact(chat: &dyn Platform) -> String {
    format!("digest:{}", chat.slug())
}
