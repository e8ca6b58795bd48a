//! One word for how safe a repository is, and why.
//!
//! Green is a claim, so it has to be earned: everything known is backed up, nothing is missing, and a restore was proved
//! lately. Red is for what somebody should look at now.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::status::State;
use crate::catalog::Standing;
use crate::jobs;

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Backed up, complete, and proved.
    Green,
    /// Nothing is known to be wrong, but something of that is not so.
    Amber,
    /// Backups fail, or the vault was found damaged.
    Red,
}

/// How a repository's proofs stand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proof {
    /// When the newest passed drill began.
    pub passed_at: Option<DateTime<Utc>>,
    /// How old that may be; `null`: its policy asks for no drill.
    pub window_ms: Option<u64>,
    /// When that will be too old; `null`: it is, or there is none.
    pub valid_until: Option<DateTime<Utc>>,
    /// When it is to be drilled next; `null`: never.
    pub next: Option<DateTime<Utc>>,
    /// Of the newest drill.
    pub last: LastDrill,
    /// Since when objects are known to be damaged or missing.
    pub damaged_at: Option<DateTime<Utc>>,
}

/// What became of the newest drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LastDrill {
    /// It could be restored.
    Passed,
    /// It could not.
    Failed,
    /// There was none.
    Never,
}

impl Proof {
    /// What the catalog knows, at this moment.
    pub fn of(standing: &Standing, window: Option<Duration>, now: DateTime<Utc>) -> Self {
        let end = |passed: DateTime<Utc>| {
            let window = TimeDelta::from_std(window?).unwrap_or(TimeDelta::MAX);
            passed.checked_add_signed(window)
        };
        Self {
            passed_at: standing.passed_at,
            window_ms: window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX)),
            valid_until: standing.passed_at.and_then(end).filter(|end| *end > now),
            next: window.map(|window| jobs::next_drill(standing, window).unwrap_or(now)),
            last: match standing.last_drill {
                None => LastDrill::Never,
                Some((_, true)) => LastDrill::Passed,
                Some((_, false)) => LastDrill::Failed,
            },
            damaged_at: standing.damaged_at,
        }
    }
}

/// The word, and the reason where it is not green. `doubt`: why there may be changes that we do not know of.
pub fn judge(
    state: State,
    complete: bool,
    doubt: Option<&'static str>,
    proof: &Proof,
) -> (Health, Option<&'static str>) {
    if proof.damaged_at.is_some() {
        return (Health::Red, Some("the vault was found damaged: `refward report` says where"));
    }
    if proof.last == LastDrill::Failed {
        return (Health::Red, Some("the last drill failed: `refward report` says why"));
    }
    let amber = match state {
        State::Failing => return (Health::Red, Some("backups fail")),
        State::Ok if !complete => "the newest snapshot is incomplete",
        State::Ok if doubt.is_some() => return (Health::Amber, doubt),
        State::Ok if proof.valid_until.is_some() => return (Health::Green, None),
        State::Ok if proof.last == LastDrill::Never => "no restore was proved yet",
        State::Ok if proof.window_ms.is_none() => "its policy asks for no drills",
        State::Ok => "the last proof is too old",
        State::Behind => "a change is not backed up yet",
        State::Throttled => "waits for the forge",
        State::Partial => "the newest snapshot is incomplete",
        State::Waiting => "not backed up yet",
        State::Gone => "no longer on the forge",
        State::Disabled => "disabled on the forge",
        State::Recycled => "in the forge's recycle bin",
        State::Off => "not backed up, by choice",
        State::Disconnected => "its connection was removed",
    };
    (Health::Amber, Some(amber))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_hours(24 * 30);

    fn drilled(hours: i64, passed: bool) -> Standing {
        let at = now() - TimeDelta::hours(hours);
        Standing { last_drill: Some((at, passed)), passed_at: passed.then_some(at), damaged_at: None }
    }

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    fn word(state: State, complete: bool, standing: Standing, window: Option<Duration>) -> Health {
        judge(state, complete, None, &Proof::of(&standing, window, now())).0
    }

    #[test]
    fn green_takes_a_whole_backup_and_a_proof_inside_its_window() {
        let fresh = drilled(1, true);
        assert_eq!(word(State::Ok, true, fresh, Some(WINDOW)), Health::Green);
        assert_eq!(word(State::Ok, true, drilled(24 * 30 - 1, true), Some(WINDOW)), Health::Green);
        assert_eq!(word(State::Ok, true, drilled(24 * 30, true), Some(WINDOW)), Health::Amber, "the window has passed");
        assert_eq!(word(State::Ok, true, Standing::default(), Some(WINDOW)), Health::Amber, "never proved");
        assert_eq!(word(State::Ok, true, fresh, None), Health::Amber, "no drills wanted");
        assert_eq!(word(State::Ok, false, fresh, Some(WINDOW)), Health::Amber, "incomplete");
    }

    #[test]
    fn what_may_have_changed_unseen_is_not_green() {
        let proof = Proof::of(&drilled(1, true), Some(WINDOW), now());
        let doubt = Some("its connection cannot be looked at");
        assert_eq!(judge(State::Ok, true, doubt, &proof), (Health::Amber, doubt));
        assert_eq!(judge(State::Failing, true, doubt, &proof).0, Health::Red);
    }

    #[test]
    fn every_other_state_is_amber_however_fresh_the_proof() {
        use State::{Behind, Disabled, Disconnected, Gone, Off, Partial, Recycled, Throttled, Waiting};
        for state in [Behind, Throttled, Partial, Waiting, Gone, Disabled, Recycled, Off, Disconnected] {
            assert_eq!(word(state, true, drilled(1, true), Some(WINDOW)), Health::Amber, "{state:?}");
        }
    }

    #[test]
    fn what_fails_or_is_damaged_is_red() {
        assert_eq!(word(State::Failing, true, drilled(1, true), Some(WINDOW)), Health::Red);
        let failed = Standing { passed_at: Some(now() - TimeDelta::hours(2)), ..drilled(1, false) };
        assert_eq!(word(State::Ok, true, failed, Some(WINDOW)), Health::Red, "an older passed drill does not help");
        let damaged = Standing { damaged_at: Some(now()), ..drilled(1, true) };
        assert_eq!(word(State::Ok, true, damaged, Some(WINDOW)), Health::Red);
        assert_eq!(word(State::Off, true, damaged, Some(WINDOW)), Health::Red, "what was backed up once counts, too");
    }

    #[test]
    fn a_proof_of_the_future_is_a_clock_that_was_set_back() {
        assert_eq!(word(State::Ok, true, drilled(-5, true), Some(WINDOW)), Health::Green);
    }
}
