//! The history of deliveries: nothing in it can be delivered again, but each entry has the event that it was about.
//! <https://learn.microsoft.com/rest/api/azure/devops/hooks/notifications/query>

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::payload::delivery_id;
use crate::domain::{DeliveryId, Result};
use crate::forge::Signer;

/// How long it is kept.
const KEPT: TimeDelta = TimeDelta::days(7);

/// Entries in one answer.
const PAGE: usize = 500;

/// Subscriptions in one question.
const ASKED: usize = 100;

/// What it holds of some subscriptions.
pub(super) struct History {
    /// What did not arrive, oldest first; or may not have.
    pub failed: Vec<Failed>,
    /// It reaches back far enough, and no number is missing.
    pub complete: bool,
}

/// A delivery that did not arrive.
pub(super) struct Failed {
    pub id: DeliveryId,
    pub at: DateTime<Utc>,
    /// As it would have been sent.
    pub body: Bytes,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: u64,
    subscription_id: String,
    created_date: DateTime<Utc>,
    result: Option<String>,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    event: Value,
}

/// What became of the deliveries of these subscriptions since then.
pub(super) async fn read(api: &Api, signer: Signer, ids: &[String], since: DateTime<Utc>) -> Result<History> {
    let mut history = History { failed: Vec::new(), complete: since > Utc::now() - KEPT };
    for chunk in ids.chunks(ASKED) {
        let all = entries(api, chunk, since, None).await?;
        history.complete &= !has_gaps(&all);
        for result in ["failed", "pending"] {
            // Details are long, so they are asked for where there is something to be had.
            if all.iter().any(|entry| entry.result.as_deref() == Some(result)) {
                let told = entries(api, chunk, since, Some(result)).await?;
                let count = told.len();
                let readable: Vec<Failed> = told.into_iter().filter_map(|entry| entry.failed(signer)).collect();
                history.complete &= readable.len() == count;
                history.failed.extend(readable);
            }
        }
    }
    history.failed.sort_by_key(|failed| failed.at);
    Ok(history)
}

/// There is no continuation token: the next page is asked for by its end.
async fn entries(api: &Api, ids: &[String], since: DateTime<Utc>, result: Option<&str>) -> Result<Vec<Entry>> {
    let (mut found, mut until) = (BTreeMap::new(), None);
    loop {
        let mut query = json!({
            "subscriptionIds": ids,
            "minCreatedDate": text(since),
            "maxResults": PAGE,
            "maxResultsPerSubscription": PAGE,
            "includeDetails": result.is_some(),
        });
        if let Some(result) = result {
            query["resultType"] = result.into();
        }
        if let Some(until) = until {
            query["maxCreatedDate"] = text(until).into();
        }
        let answer = api.send_good(&Method::POST, &["_apis", "hooks", "notificationsquery"], &[], Some(&query)).await?;
        let page = api.read::<Answer>(&answer)?.results;
        let (full, oldest) = (page.len() >= PAGE, page.iter().map(|entry| entry.created_date).min());
        let before = found.len();
        found.extend(page.into_iter().map(|entry| ((entry.subscription_id.clone(), entry.id), entry)));
        // Entries of one moment may stand on both sides of a page's end, so the moment is asked for again.
        if !full || found.len() == before {
            return Ok(found.into_values().collect());
        }
        until = oldest.map(|at| at + TimeDelta::milliseconds(1));
    }
}

/// Each subscription counts its deliveries; a number that is not there was one.
fn has_gaps(entries: &[Entry]) -> bool {
    let mut numbers: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for entry in entries {
        numbers.entry(&entry.subscription_id).or_default().insert(entry.id);
    }
    numbers.values().any(|seen| {
        let span = seen.last().zip(seen.first()).map_or(0, |(last, first)| last - first + 1);
        span != seen.len() as u64
    })
}

impl Entry {
    /// `None`: it does not say what it was about, which a look at everything finds.
    fn failed(self, signer: Signer) -> Option<Failed> {
        let mut event = self.details?.event;
        let body = event.as_object_mut()?;
        body.insert("subscriptionId".to_owned(), self.subscription_id.clone().into());
        body.insert("notificationId".to_owned(), self.id.into());
        let id = delivery_id(&self.subscription_id.to_lowercase(), &self.id.to_string(), signer)?;
        Some(Failed { id, at: self.created_date, body: Bytes::from(event.to_string()) })
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
