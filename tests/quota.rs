//! The budgets of forges: nobody is refused, nobody waits longer than needed, and the urgent go first.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[path = "quota/simulated.rs"]
mod simulated;

use refward::forge::github::limits::CLOUD;

use simulated::Organization;

#[tokio::test(start_paused = true)]
async fn ten_thousand_repositories_are_synced_in_the_time_that_three_budgets_allow_and_nobody_is_refused() {
    for installations in [1, 3, 10] {
        let wall = std::time::Instant::now();
        let organization = Organization { repositories: 10_000, requests_each: 6, installations, workers: 200 };
        let outcome = organization.back_up(&CLOUD).await;
        eprintln!(
            "{installations} {:?} {:?} {} refusals {} most {} {} wall {:?} away {}",
            outcome.time,
            outcome.at_least,
            outcome.ratio(),
            outcome.seen.refusals,
            outcome.seen.most_at_a_time,
            outcome.seen.most_in_a_minute,
            wall.elapsed(),
            outcome.sent_away
        );
    }
}
