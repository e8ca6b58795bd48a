//! Which repositories should be drilled next.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Windows;
use crate::catalog::{Standing, job_kind};
use crate::domain::{RepoId, Result};
use crate::services::Services;

/// Repositories that one look names at most.
const BATCH: usize = 100;

/// How soon a failed drill is tried again, unless a tenth of the window is sooner.
const AFTER_FAILURE: TimeDelta = TimeDelta::days(1);

/// The repositories whose newest drill is so old, or failed, that another should run now, as many as `proof.drill_bytes`
/// allows for today: the oldest proof first, and never proved is oldest. Where nothing can be restored there are none.
pub async fn due(services: &Services) -> Result<Vec<RepoId>> {
    if services.vault.is_sealed() {
        return Ok(Vec::new());
    }
    let (catalog, now) = (&services.catalog, Utc::now());
    let read = catalog.drilled_bytes(now - TimeDelta::days(1)).await?;
    let budget = services.settings.proof.drill_bytes.saturating_sub(read);
    if budget == 0 {
        return Ok(Vec::new());
    }
    let standings = catalog.standings().await?;
    let windows = Windows::read(catalog).await?;
    // These come back by themselves, and must not stand in the way of others meanwhile.
    let failing = catalog.failing_jobs(job_kind::DRILL).await?;
    let candidates = catalog.live_bytes().await?.into_iter().filter_map(|(repo, bytes)| {
        let standing = standings.get(&repo).copied().unwrap_or_default();
        let wanted = !failing.contains(repo.as_str()) && is_due(&standing, windows.of(&repo)?, now);
        wanted.then_some(Candidate { last: standing.last_drill.map(|(at, _)| at), repo, bytes })
    });
    Ok(affordable(candidates.collect(), budget))
}

struct Candidate {
    last: Option<DateTime<Utc>>,
    repo: RepoId,
    bytes: u64,
}

/// The last one may cost more than is left: otherwise the turn of what is larger than a day's budget would never come.
fn affordable(mut candidates: Vec<Candidate>, mut budget: u64) -> Vec<RepoId> {
    candidates.sort_by(|a, b| (a.last, &a.repo).cmp(&(b.last, &b.repo)));
    let mut chosen = Vec::new();
    for candidate in candidates.into_iter().take(BATCH) {
        if budget == 0 {
            break;
        }
        budget = budget.saturating_sub(candidate.bytes);
        chosen.push(candidate.repo);
    }
    chosen
}

fn is_due(standing: &Standing, window: Duration, now: DateTime<Utc>) -> bool {
    next_drill(standing, window).is_none_or(|next| next <= now)
}

/// When a repository should be drilled again: some time before its window closes, so that the proof is never older than it,
/// and soon after a failure. `None`: now.
pub fn next_drill(standing: &Standing, window: Duration) -> Option<DateTime<Utc>> {
    let window = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
    let (at, passed) = standing.last_drill?;
    let pause = if passed { window / 4 * 3 } else { (window / 10).min(AFTER_FAILURE) };
    at.checked_add_signed(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS_30: Duration = Duration::from_hours(30 * 24);

    #[test]
    fn a_drill_is_due_before_its_window_closes_and_soon_after_a_failure() {
        let now = Utc::now();
        let last = |days: i64, passed| Standing {
            last_drill: Some((now - TimeDelta::hours(days * 24), passed)),
            ..Standing::default()
        };
        assert!(is_due(&Standing::default(), DAYS_30, now), "never proved");
        assert!(!is_due(&last(22, true), DAYS_30, now));
        assert!(is_due(&last(23, true), DAYS_30, now));
        assert!(!is_due(&last(0, false), DAYS_30, now));
        assert!(is_due(&last(1, false), DAYS_30, now));
        assert!(!is_due(&last(-1, true), DAYS_30, now), "a clock that was set back");
    }

    #[test]
    fn the_oldest_proof_goes_first_and_no_more_than_the_budget_allows() {
        let now = Utc::now();
        let repo = |number: u8| RepoId::derive("github", "github.com", &number.to_string());
        let candidate = |number, days: Option<i64>, bytes| Candidate {
            last: days.map(|days| now - TimeDelta::days(days)),
            repo: repo(number),
            bytes,
        };
        let all = || vec![candidate(1, Some(5), 40), candidate(2, None, 40), candidate(3, Some(9), 40)];
        assert_eq!(affordable(all(), 1000), [repo(2), repo(3), repo(1)]);
        assert_eq!(affordable(all(), 50), [repo(2), repo(3)]);
        assert_eq!(affordable(vec![candidate(1, None, 1 << 40)], 1), [repo(1)], "its turn comes, too");
        assert_eq!(affordable(all(), 0), []);
    }
}
