//! The primary limit of a domain for one resource, as the forge tells it in its answers.

use std::time::Duration;

use tokio::time::Instant;

use super::opening::{Gate, Opening};
use super::rules::{Renewal, Reserve, Urgency};

/// `x-ratelimit-reset` and `Date` are whole seconds, so that their difference may be a second short.
const ROUNDING: Duration = Duration::from_secs(1);

/// Two resets that are no further apart are one, told with different delays.
const SAME_RESET: Duration = Duration::from_secs(30);

/// What is known about one primary limit. Time alone changes nothing here: a window whose reset has passed is unknown
/// again, and as long as a limit is unknown, one call at a time finds out.
#[derive(Default)]
pub(super) struct Budget {
    known: Known,
    in_flight: u32,
    /// The forge has refused; nothing before then.
    refused_until: Option<Instant>,
    /// The forge has answered, and asked for nothing further before then.
    rests_until: Option<Instant>,
    observed: Option<Instant>,
    /// When those come back who were sent away last, by urgency.
    sent_away: [Option<Instant>; 3],
}

#[derive(Clone, Copy, Default)]
pub(super) enum Known {
    #[default]
    Nothing,
    /// The forge answers without a limit, as Enterprise Server does.
    NoLimit,
    Limited(Window),
}

#[derive(Clone, Copy)]
pub(super) struct Window {
    pub limit: u32,
    /// As the forge counts, in what it has answered.
    pub remaining: u32,
    pub resets: Instant,
    /// What was used then comes back evenly until the reset. `None`: all of it at the reset.
    pub renews_from: Option<Instant>,
}

impl Window {
    /// What is left now, if nothing was used since.
    fn left(&self, now: Instant) -> u32 {
        let Some(from) = self.renews_from else { return self.remaining };
        let (span, passed) = (self.resets.duration_since(from).as_nanos().max(1), now.duration_since(from).as_nanos());
        let back = u128::from(self.used()) * passed.min(span) / span;
        self.remaining + u32::try_from(back).unwrap_or(self.used())
    }

    /// When more than `floor` will be left, if nothing is used meanwhile.
    fn exceeds(&self, floor: u32) -> Instant {
        let Some(from) = self.renews_from.filter(|_| floor < self.limit) else { return self.resets };
        let wanted = u128::from((floor + 1).saturating_sub(self.remaining));
        let nanos = (wanted * self.resets.duration_since(from).as_nanos()).div_ceil(u128::from(self.used().max(1)));
        from + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn used(&self) -> u32 {
        self.limit.saturating_sub(self.remaining)
    }
}

impl Budget {
    pub fn known(&self) -> Known {
        self.known
    }

    pub fn observed(&self) -> Option<Instant> {
        self.observed
    }

    pub fn refused_until(&self, now: Instant) -> Option<Instant> {
        self.refused_until.filter(|until| *until > now)
    }

    pub fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Whatever the reason.
    pub fn shut_until(&self, now: Instant) -> Option<Instant> {
        self.refused_until(now).max(self.rests_until(now))
    }

    pub fn begin(&mut self) {
        self.in_flight += 1;
    }

    /// A call ended, and nobody knows whether it was counted: it was.
    pub fn unanswered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Known::Limited(window) = &mut self.known {
            window.remaining = window.remaining.saturating_sub(1);
        }
    }

    /// A call was answered with a limit.
    pub fn answered(&mut self, limit: u32, remaining: u32, reset_in: Duration, renewal: Renewal, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let renews_from = (renewal == Renewal::Gradual).then_some(now);
        self.observe(Window { limit, remaining, resets: now + reset_in + ROUNDING, renews_from }, now);
    }

    /// A call was answered without one.
    pub fn answered_unlimited(&mut self, renewal: Renewal, now: Instant) {
        match self.known {
            // Something on the way answered in the forge's place.
            Known::Limited(_) if renewal == Renewal::AtReset => self.unanswered(),
            _ => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.observe_unlimited(now);
            }
        }
    }

    pub fn observe_unlimited(&mut self, at: Instant) {
        self.known = Known::NoLimit;
        self.observed = Some(at);
    }

    /// The forge wants nothing further for so long. Never shortens.
    pub fn rest(&mut self, wait: Duration, now: Instant) {
        self.rests_until = self.rests_until.max(Some(now + wait));
        self.observed = self.observed.max(Some(now));
    }

    /// Takes in what the forge said. Within a window the count only falls, so answers may come in any order.
    pub fn observe(&mut self, seen: Window, at: Instant) {
        let window = match self.known {
            // It rises by itself: only what was said last is true.
            _ if seen.renews_from.is_some() => seen,
            Known::Limited(old) if seen.resets + SAME_RESET < old.resets => return,
            Known::Limited(old) if seen.resets <= old.resets + SAME_RESET => Window {
                limit: seen.limit,
                remaining: seen.remaining.min(old.remaining),
                resets: seen.resets.max(old.resets),
                renews_from: None,
            },
            _ => seen,
        };
        self.known = Known::Limited(window);
        self.observed = self.observed.max(Some(at));
    }

    /// The forge has refused a call. What was believed before is void.
    pub fn refused(&mut self, wait: Duration, now: Instant) {
        self.refuse_until(now + wait + ROUNDING, now);
    }

    pub fn refuse_until(&mut self, until: Instant, at: Instant) {
        self.refused_until = self.refused_until.max(Some(until));
        self.observed = self.observed.max(Some(at));
        match &mut self.known {
            Known::Limited(window) => window.remaining = 0,
            known => *known = Known::Nothing,
        }
    }

    /// When a call of this urgency may use one more.
    pub fn opening(&self, urgency: Urgency, reserve: &Reserve, now: Instant) -> (Opening, Gate) {
        let gate = |limit, reserved| Gate::Budget { limit, reserved };
        if let Some(until) = self.refused_until(now) {
            return (Opening::At(until), gate(self.limit(), false));
        }
        match self.known {
            Known::NoLimit => (Opening::Now, gate(None, false)),
            Known::Limited(window) if window.resets > now => {
                let Window { limit, resets, .. } = window;
                let remaining = window.left(now);
                let floor = reserve.floor(urgency, limit, resets - now);
                let gate = gate(Some(limit), remaining > 0);
                if remaining.saturating_sub(self.in_flight) > floor {
                    (Opening::Now, gate)
                } else if remaining > floor {
                    // Answers may show that those under way are counted already.
                    (Opening::Answer, gate)
                } else if window.renews_from.is_some() {
                    (Opening::At(window.exceeds(floor)), gate)
                } else {
                    let floor_wanted = remaining.saturating_sub(1);
                    let left = reserve.left_at(urgency, limit, floor_wanted);
                    (Opening::At(if remaining == 0 { resets } else { resets - left }), gate)
                }
            }
            Known::Nothing | Known::Limited(_) if self.in_flight == 0 => (Opening::Now, gate(self.limit(), false)),
            Known::Nothing | Known::Limited(_) => (Opening::Answer, gate(self.limit(), false)),
        }
    }

    /// How many more calls of this urgency may be made now. What is unknown counts as all of its limit.
    pub fn left(&self, urgency: Urgency, reserve: &Reserve, now: Instant) -> u32 {
        match self.known {
            Known::Nothing | Known::NoLimit => u32::MAX,
            Known::Limited(window) if window.resets > now => {
                let floor = reserve.floor(urgency, window.limit, window.resets - now);
                window.left(now).saturating_sub(self.in_flight).saturating_sub(floor)
            }
            Known::Limited(window) => window.limit,
        }
    }

    /// When somebody should come back who cannot go before `base`: those who are sent away one after the other come back
    /// one after the other, `apart`, not all at the reset.
    pub fn send_away(&mut self, urgency: Urgency, base: Instant, apart: Duration) -> Instant {
        let last = &mut self.sent_away[urgency as usize];
        let back = last.map_or(base, |last| base.max(last + apart));
        *last = Some(back);
        back
    }

    fn limit(&self) -> Option<u32> {
        match self.known {
            Known::Limited(window) => Some(window.limit),
            Known::Nothing | Known::NoLimit => None,
        }
    }
}
