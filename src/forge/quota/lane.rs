//! One domain: what it has used, and who waits in line for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::Budget;
use super::host::{Host, Ticket};
use super::opening::{Barred, Gate, Opening};
use super::rolling::Rolling;
use super::rules::{Ask, Effect, Resource, Rules, Urgency};
use super::{Observed, Refusal};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A minute's points are not spent in one go: a twelfth of them in any five seconds, which is [`Rules::PATIENCE`].
const BURSTS: u32 = 12;

#[derive(Default)]
pub(super) struct Lane {
    budgets: [Budget; 3],
    /// REST, GraphQL
    paces: [Pace; 2],
    writes: Rolling,
    creations_this_minute: Rolling,
    creations_this_hour: Rolling,
    in_flight: u32,
    seats: HashMap<Ticket, Seat>,
    /// Those of the seats that wait, in the order in which they go.
    line: BTreeMap<(Urgency, Ticket), Ask>,
    /// When time alone may let somebody go. The first in line keeps the alarm, and is told when it changes.
    alarm: Option<Instant>,
    alarm_kept_by: Option<Ticket>,
    rules: Option<&'static Rules>,
}

#[derive(Default)]
struct Pace {
    minute: Rolling,
    burst: Rolling,
}

struct Seat {
    ask: Ask,
    nudge: Arc<Notify>,
    gives_up: Instant,
    state: State,
}

enum State {
    Waits,
    /// Calls out, since this era of the host.
    Goes(u64),
    SentAway(Barred),
}

/// What somebody in line is to do next.
pub(super) enum Next {
    Go,
    /// Until then, or a nudge.
    Wait(Instant),
    Leave(Barred),
}

impl Lane {
    pub fn budget(&self, resource: Resource) -> &Budget {
        &self.budgets[resource as usize]
    }

    pub fn budget_mut(&mut self, resource: Resource) -> &mut Budget {
        &mut self.budgets[resource as usize]
    }

    pub fn rules(&self) -> Option<&'static Rules> {
        self.rules
    }

    pub fn waiting(&self, resource: Resource) -> usize {
        self.line.values().filter(|ask| ask.resource == resource).count()
    }

    /// Joins the line.
    pub fn join(&mut self, ticket: Ticket, ask: Ask, nudge: Arc<Notify>, now: Instant) {
        self.rules = Some(ask.rules);
        self.line.insert((ask.urgency, ticket), ask);
        let gives_up = now + ask.rules.patience;
        self.seats.insert(ticket, Seat { ask, nudge, gives_up, state: State::Waits });
    }

    /// What the holder of `ticket` is to do.
    pub fn next(&mut self, ticket: Ticket, host: &mut Host, now: Instant) -> Next {
        self.dispatch(host, now);
        let seat = &self.seats[&ticket];
        match seat.state {
            State::Goes(_) => Next::Go,
            State::SentAway(barred) => Next::Leave(barred),
            State::Waits => {
                let turn = now + self.line_ahead(seat.ask, Some(ticket));
                if now >= seat.gives_up || turn > seat.gives_up {
                    // Come back when those ahead are gone; at once would be a busy loop.
                    let turn = turn.max(now + seat.ask.rules.patience);
                    return Next::Leave(Barred { opening: Opening::At(turn), gate: Gate::Pace });
                }
                let alarm = self.alarm.filter(|_| self.alarm_kept_by == Some(ticket));
                Next::Wait(alarm.map_or(seat.gives_up, |alarm| alarm.min(seat.gives_up)))
            }
        }
    }

    /// Lets go whoever may, in order: the urgent first, then by arrival. Whoever waits for something holds up those
    /// behind who need the same, and nobody else.
    pub fn dispatch(&mut self, host: &mut Host, now: Instant) {
        let (mut resources_shut, mut effects_shut) = ([false; Resource::ALL.len()], [false; Effect::COUNT]);
        let mut alarm: Option<Instant> = None;
        let line: Vec<((Urgency, Ticket), Ask)> = self.line.iter().map(|(place, ask)| (*place, *ask)).collect();
        for (place, ask) in line {
            let (resource, effect) = (ask.resource as usize, ask.effect as usize);
            if resources_shut[resource] || effects_shut[effect] {
                continue;
            }
            let barred = self.barred(ask, host, now);
            let gives_up = self.seats[&place.1].gives_up;
            match barred.opening {
                Opening::Now => {
                    self.begin(ask, now);
                    self.leave_line(place, State::Goes(host.begin(place.1)));
                }
                Opening::At(at) if at > gives_up => self.leave_line(place, State::SentAway(barred)),
                Opening::At(_) | Opening::Answer => {
                    if let Opening::At(at) = barred.opening {
                        alarm = Some(alarm.map_or(at, |alarm| alarm.min(at)));
                    }
                    match barred.gate {
                        Gate::Host | Gate::Concurrent => break,
                        Gate::Budget { .. } | Gate::Rest | Gate::Pace => resources_shut[resource] = true,
                        Gate::Write | Gate::Creation => effects_shut[effect] = true,
                    }
                }
            }
        }
        let first = self.line.keys().next().map(|(_, ticket)| *ticket);
        if (first, alarm) != (self.alarm_kept_by, self.alarm) {
            (self.alarm_kept_by, self.alarm) = (first, alarm);
            if let Some(seat) = first.and_then(|first| self.seats.get(&first)) {
                seat.nudge.notify_one();
            }
        }
    }

    /// What bars the way to a call, the line aside.
    pub fn barred(&mut self, ask: Ask, host: &Host, now: Instant) -> Barred {
        let Ask { resource, urgency, effect, rules } = ask;
        let (points, cap) = (effect.points(), rules.points_per_minute(resource));
        let rest = self.budget(resource).rests_until(now).map_or(Opening::Now, Opening::At);
        let (budget, gate) = self.budget(resource).opening(urgency, &rules.reserve, now);
        let concurrent = if self.in_flight < rules.concurrent { Opening::Now } else { Opening::Answer };
        let pace = &mut self.paces[pace_of(resource)];
        let mut barred = Barred { opening: host.opening(now), gate: Gate::Host }
            .or(rest, Gate::Rest)
            .or(budget, gate)
            .or(concurrent, Gate::Concurrent)
            .or(pace.minute.opening(points, cap, now), Gate::Pace)
            .or(pace.burst.opening(points, cap / BURSTS, now), Gate::Pace);
        if effect.takes_turns() && !rules.write_gap.is_zero() {
            barred = barred.or(self.writes.opening(1, 1, now), Gate::Write);
        }
        if effect == Effect::Creates {
            let minute = self.creations_this_minute.opening(1, rules.creations_per_minute, now);
            let hour = self.creations_this_hour.opening(1, rules.creations_per_hour, now);
            barred = barred.or(minute, Gate::Creation).or(hour, Gate::Creation);
        }
        barred
    }

    /// How long those who go before `ticket`, or before a newcomer, take.
    pub fn line_ahead(&self, ask: Ask, ticket: Option<Ticket>) -> Duration {
        let ahead = self.line.range(..(ask.urgency, ticket.unwrap_or(Ticket::MAX))).map(|(_, ahead)| ahead);
        ask.time_for(ahead.filter(|ahead| ahead.resource == ask.resource).map(|ahead| ahead.effect.points()).sum())
    }

    /// When somebody should come back who cannot make this call before `base`: as soon as it can be that one's turn.
    pub fn send_away(&mut self, ask: Ask, gate: Gate, base: Instant) -> Instant {
        let pace = ask.time_for(ask.effect.points());
        let apart = match gate {
            Gate::Budget { reserved: true, limit: Some(limit) } => {
                pace.max(ask.rules.reserve.fading_of_one(ask.urgency, limit))
            }
            _ => pace,
        };
        self.budget_mut(ask.resource).send_away(ask.urgency, base, apart)
    }

    /// Gives the seat up, with what the forge answered if it did.
    pub fn leave(&mut self, ticket: Ticket, host: &mut Host, answer: Option<&Observed>, now: Instant) {
        let Some(seat) = self.seats.remove(&ticket) else { return };
        let Seat { ask, state, .. } = seat;
        self.line.remove(&(ask.urgency, ticket));
        let State::Goes(era) = state else { return };
        self.end(ask, now);
        host.end(ticket);
        let budget = self.budget_mut(ask.resource);
        let Some(answer) = answer else { return budget.unanswered() };
        match (answer.limit, answer.remaining) {
            (Some(limit), Some(remaining)) => {
                let resets_in = answer.reset_in.unwrap_or(HOUR);
                budget.answered(limit, remaining, resets_in, ask.rules.renewal, now);
            }
            _ => budget.answered_unlimited(ask.rules.renewal, now),
        }
        if let Some(wait) = answer.rest {
            budget.rest(wait, now);
        }
        match answer.refused {
            None => host.succeeded(era),
            Some(Refusal::Primary { wait }) => budget.refused(wait, now),
            Some(Refusal::Secondary { wait }) => host.refused(era, wait, ask.rules.unknown_wait, now),
        }
    }

    fn leave_line(&mut self, place: (Urgency, Ticket), state: State) {
        self.line.remove(&place);
        if let Some(seat) = self.seats.get_mut(&place.1) {
            seat.state = state;
            seat.nudge.notify_one();
        }
    }

    fn begin(&mut self, ask: Ask, now: Instant) {
        self.in_flight += 1;
        self.budget_mut(ask.resource).begin();
        let points = ask.effect.points();
        let pace = &mut self.paces[pace_of(ask.resource)];
        pace.minute.open(points);
        pace.burst.spend(points, MINUTE / BURSTS, now);
        if ask.effect.takes_turns() {
            self.writes.open(1);
        }
        if ask.effect == Effect::Creates {
            self.creations_this_minute.open(1);
            self.creations_this_hour.open(1);
        }
    }

    fn end(&mut self, ask: Ask, now: Instant) {
        self.in_flight -= 1;
        let pace = &mut self.paces[pace_of(ask.resource)];
        pace.minute.close(ask.effect.points(), MINUTE, now);
        if ask.effect.takes_turns() {
            self.writes.close(1, ask.rules.write_gap, now);
        }
        if ask.effect == Effect::Creates {
            self.creations_this_minute.close(1, MINUTE, now);
            self.creations_this_hour.close(1, HOUR, now);
        }
    }
}

fn pace_of(resource: Resource) -> usize {
    match resource {
        Resource::Rest | Resource::App => 0,
        Resource::GraphQl => 1,
    }
}
