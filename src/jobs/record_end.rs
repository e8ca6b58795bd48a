//! Signs where the record ends, once a day, into the vault: a chain proves everything but its end.

use chrono::{DateTime, SubsecRound as _, Utc};

use super::alarms::{Alarm, alarm};
use crate::catalog::Catalog;
use crate::domain::{Kind, Result, command};
use crate::services::Services;
use crate::vault::RecordEnd;

/// What a catalog that was rebuilt records first: the record before it is lost, and ended there.
pub const REBUILT: &str = "catalog.rebuild";

const KIND: &str = "audit.broken";

/// When it was last signed, and how far; in the catalog's facts.
const FACT: &str = "record_signed";

/// Signs it, unless that was done today or nothing is new. A record that does not hold what was signed before is not signed
/// again, or a day later nobody could tell; it is an alarm.
pub async fn sign(services: &Services) -> Result<()> {
    let (catalog, vault, now) = (&services.catalog, &services.vault, Utc::now().trunc_subsecs(3));
    let Some((last_seq, hash)) = catalog.last_recorded().await? else { return Ok(()) };
    // The vault is asked once a day, however often this is called.
    let signed: Option<(DateTime<Utc>, i64)> = catalog.fact(FACT).await?;
    if signed.is_some_and(|(at, seq)| at.date_naive() == now.date_naive() || seq == last_seq) {
        return Ok(());
    }
    if let Some(trouble) = trouble(services).await? {
        let text = format!("The record of who did what cannot be trusted: {trouble}.");
        let (subject, command) = ("audit".to_owned(), command(["audit", "--verify"]));
        return catalog.raise(alarm(Alarm { kind: KIND, subject, text, command, ..Alarm::default() })).await;
    }
    catalog.settle(KIND, Vec::new()).await?;
    let end = RecordEnd { vault: vault.id(), audited_at: now, last_seq, last_hash: hex::encode(hash) };
    vault.keep_record_end(&end).await?;
    catalog.put_fact(FACT, &(now, last_seq)).await
}

/// What speaks against the record.
async fn trouble(services: &Services) -> Result<Option<String>> {
    match services.vault.record_end().await {
        Ok(Some((object, end))) => {
            let differs = || format!("it is not the one that {object} in the vault was signed for");
            Ok((!holds(&services.catalog, &object, &end).await?).then(differs))
        }
        Ok(None) => Ok(None),
        Err(error) if error.kind() == Kind::Damaged => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The record goes through where it ended then, or says itself that it began anew after that was lost.
pub async fn holds(catalog: &Catalog, object: &str, end: &RecordEnd) -> Result<bool> {
    if catalog.recorded_hash(end.last_seq).await?.is_some_and(|hash| hex::encode(hash) == end.last_hash) {
        return Ok(true);
    }
    let mut lost = false;
    catalog.walk_record(|row| lost |= row.action == REBUILT && row.detail["lost"] == object).await?;
    Ok(lost)
}
