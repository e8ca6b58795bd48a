//! Keeps all processes at one mind about what is left of the forges' limits.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::catalog::{Catalog, StoredQuota};
use crate::domain::Result;
use crate::forge::quota::{Domain, Pause, Quotas, Resource, Standing, Why};
use crate::services::Services;

/// What others have seen meanwhile is taken in this often.
const PAUSE: Duration = Duration::from_secs(2);

/// Others' clocks may be behind ours, and their transactions late.
const OVERLAP: TimeDelta = TimeDelta::minutes(1);

/// Tells the database what this process sees and learns what others see, for as long as it is polled.
pub(super) async fn share(services: &Services) -> Infallible {
    let (mut told, mut learned) = (Vec::new(), None);
    loop {
        if let Err(error) = exchange(&services.catalog, &services.quotas, &mut told, &mut learned).await {
            tracing::warn!("cannot share what is left of the limits: {}", error.for_log());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Does something in a process that is not a service, at one mind with those that are: it waits where they were told to
/// wait, and what it is told they know.
pub async fn sharing<T>(services: &Services, work: impl Future<Output = T>) -> Result<T> {
    let once = async || exchange(&services.catalog, &services.quotas, &mut Vec::new(), &mut None).await;
    once().await?;
    let done = tokio::select! {
        done = work => done,
        never = share(services) => match never {},
    };
    once().await?;
    Ok(done)
}

/// Why a job waits, from the error that it ended with, if it waits for a limit.
pub fn throttled(error: &str) -> Option<&str> {
    error.find("throttled: ").map(|start| &error[start..])
}

async fn exchange(
    catalog: &Catalog,
    quotas: &Quotas,
    told: &mut Vec<Standing>,
    learned: &mut Option<DateTime<Utc>>,
) -> Result<()> {
    let now = Utc::now();
    let standings = quotas.standings();
    let news: Vec<StoredQuota> = (standings.iter())
        .filter(|standing| {
            let same = |old: &&Standing| old.domain == standing.domain && old.resource == standing.resource;
            told.iter().find(same).is_none_or(|old| old.remaining != standing.remaining || old.pause != standing.pause)
        })
        .map(stored)
        .collect();
    catalog.put_quotas(&news).await?;
    gauge(&standings);
    *told = standings;
    let others = catalog.quotas(learned.map(|at| at - OVERLAP)).await?;
    quotas.learn(others.into_iter().filter_map(standing).collect());
    *learned = Some(now);
    Ok(())
}

fn gauge(standings: &[Standing]) {
    for standing in standings {
        let labels = [("domain", standing.domain.to_string()), ("resource", standing.resource.as_str().to_owned())];
        let pause = standing.pause.map_or(0.0, |pause| (pause.until - Utc::now()).as_seconds_f64().max(0.0));
        metrics::gauge!("refward_quota_paused_seconds", &labels).set(pause);
        metrics::gauge!("refward_quota_waiting", &labels).set(u32::try_from(standing.waiting).unwrap_or(u32::MAX));
        if let (Some(limit), Some(remaining)) = (standing.limit, standing.remaining) {
            metrics::gauge!("refward_quota_limit", &labels).set(limit);
            metrics::gauge!("refward_quota_remaining", &labels).set(remaining);
        }
        if let Some(reset) = standing.reset_at {
            let left = (reset - Utc::now()).as_seconds_f64().max(0.0);
            metrics::gauge!("refward_quota_reset_seconds", &labels).set(left);
        }
    }
}

fn stored(standing: &Standing) -> StoredQuota {
    StoredQuota {
        host: standing.domain.host.clone(),
        who: standing.domain.who.clone(),
        resource: standing.resource.as_str().to_owned(),
        limit: standing.limit.map(u64::from),
        remaining: standing.remaining.map(u64::from),
        reset_at: standing.reset_at,
        paused_until: standing.pause.map(|pause| pause.until),
        why: standing.pause.map(|pause| word(pause.why).to_owned()),
        observed_at: standing.observed_at,
    }
}

/// As another process stored it. `None`: by a newer version of the program, in words that we do not know.
pub fn standing(stored: StoredQuota) -> Option<Standing> {
    let resource = [Resource::Rest, Resource::GraphQl, Resource::App];
    let resource = resource.into_iter().find(|known| known.as_str() == stored.resource)?;
    let why = |word_of: &str| [Why::UsedUp, Why::SlowDown].into_iter().find(|known| word(*known) == word_of);
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let pause = match (stored.paused_until, stored.why) {
        (Some(until), Some(told)) => Some(Pause { until, why: why(&told)? }),
        _ => None,
    };
    Some(Standing {
        domain: Domain { host: stored.host, who: stored.who },
        resource,
        limit: stored.limit.map(count),
        remaining: stored.remaining.map(count),
        reset_at: stored.reset_at,
        pause,
        waiting: 0,
        observed_at: stored.observed_at,
    })
}

fn word(why: Why) -> &'static str {
    match why {
        Why::UsedUp => "used_up",
        Why::SlowDown => "slow_down",
    }
}
