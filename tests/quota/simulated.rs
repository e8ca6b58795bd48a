//! GitHub as far as its limits go, in virtual time, and an organization that is swept and synced within them.

#![expect(clippy::unwrap_used, reason = "a simulation that cannot go on may panic")]

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use refward::domain::{Kind, Result};
use refward::forge::quota::{Call, Domain, Effect, Observed, Permit, Quotas, Refusal, Resource, Rules, Urgency};
use tokio::time::{Instant, sleep};

pub const MINUTE: Duration = Duration::from_mins(1);
pub const HOUR: Duration = Duration::from_hours(1);

/// A host that refuses as GitHub does. Budgets begin with the first request and last an hour; headers tell whole seconds.
pub struct GitHub {
    /// What it refuses to exceed.
    rules: Rules,
    /// Requests in an hour, of each installation.
    limit: u32,
    /// Between request and answer; half of it on the way there.
    latency: Box<dyn Fn(u64) -> Duration + Send + Sync>,
    since: Instant,
    seen: Mutex<Seen>,
}

/// What the host has seen.
#[derive(Clone, Default)]
pub struct Seen {
    pub requests: u64,
    pub refusals: u64,
    pub most_at_a_time: u32,
    pub most_in_a_minute: u32,
    /// The least that was left of a budget.
    pub least_left: Option<u32>,
    installations: HashMap<Domain, Installation>,
}

#[derive(Clone, Default)]
struct Installation {
    at_a_time: u32,
    /// REST and GraphQL
    budgets: [Budget; 2],
    points: [Lately; 2],
    creations_this_minute: Lately,
    creations_this_hour: Lately,
}

#[derive(Clone, Copy, Default)]
struct Budget {
    used: u32,
    resets: Option<Instant>,
}

/// What was counted in the last minute or hour.
#[derive(Clone, Default)]
struct Lately {
    counted: VecDeque<(Instant, u32)>,
    sum: u32,
}

impl Lately {
    fn count(&mut self, points: u32, span: Duration, now: Instant) -> u32 {
        while let Some((_, old)) = self.counted.pop_front_if(|(at, _)| *at + span <= now) {
            self.sum -= old;
        }
        self.counted.push_back((now, points));
        self.sum += points;
        self.sum
    }
}

impl GitHub {
    pub fn new(rules: &Rules, limit: u32, latency: impl Fn(u64) -> Duration + Send + Sync + 'static) -> Self {
        Self { rules: *rules, limit, latency: Box::new(latency), since: Instant::now(), seen: Mutex::default() }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// One request, from its sending to its answer.
    pub async fn answer(&self, domain: &Domain, resource: Resource, effect: Effect) -> Observed {
        let number = self.seen.lock().unwrap().requests;
        let latency = (self.latency)(number);
        sleep(latency / 2).await;
        let answer = self.handle(domain, resource, effect);
        sleep(latency / 2).await;
        self.seen.lock().unwrap().installations.get_mut(domain).unwrap().at_a_time -= 1;
        answer
    }

    fn handle(&self, domain: &Domain, resource: Resource, effect: Effect) -> Observed {
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap();
        let installation = seen.installations.entry(domain.clone()).or_default();
        installation.at_a_time += 1;
        let (which, per_minute) = match resource {
            Resource::GraphQl => (1, self.rules.graphql_points_per_minute),
            _ => (0, self.rules.points_per_minute),
        };
        let budget = &mut installation.budgets[which];
        let resets = budget.resets.filter(|resets| *resets > now).unwrap_or_else(|| {
            budget.used = 0;
            now + HOUR
        });
        budget.resets = Some(resets);
        let points = installation.points[which].count(if effect == Effect::Reads { 1 } else { 5 }, MINUTE, now);
        let created = u32::from(effect == Effect::Creates);
        let secondary = installation.at_a_time > self.rules.concurrent
            || points > per_minute
            || installation.creations_this_minute.count(created, MINUTE, now) > self.rules.creations_per_minute
            || installation.creations_this_hour.count(created, HOUR, now) > self.rules.creations_per_hour;
        let whole = |at: Instant| Duration::from_secs((at - self.since).as_secs());
        let reset_in = whole(resets).saturating_sub(whole(now));
        let refused = if secondary {
            Some(Refusal::Secondary { wait: None })
        } else if budget.used >= self.limit {
            Some(Refusal::Primary { wait: reset_in })
        } else {
            budget.used += 1;
            None
        };
        let (at_a_time, left) = (installation.at_a_time, self.limit - budget.used);
        seen.requests += 1;
        seen.refusals += u64::from(refused.is_some());
        seen.most_at_a_time = seen.most_at_a_time.max(at_a_time);
        seen.most_in_a_minute = seen.most_in_a_minute.max(points);
        seen.least_left = Some(seen.least_left.map_or(left, |least| least.min(left)));
        Observed { limit: Some(self.limit), remaining: Some(left), reset_in: Some(reset_in), refused, rest: None }
    }
}

/// An organization, and with what it is backed up.
#[derive(Clone, Copy)]
pub struct Organization {
    pub repositories: u32,
    /// How many requests it takes to sync one.
    pub requests_each: u32,
    pub installations: u32,
    pub workers: u32,
}

/// What it took.
pub struct Outcome {
    pub time: Duration,
    /// In less time the budgets do not allow it.
    pub at_least: Duration,
    pub seen: Seen,
    /// How often a worker was told to come back later.
    pub sent_away: u64,
}

/// Repositories on a page of the sweep.
const PAGE: u32 = 100;

/// Requests in an hour of each installation.
const LIMIT: u32 = 5_000;

enum Job {
    /// Look at a page of so many repositories.
    Sweep(u32),
    /// So many requests are still to be made for a repository.
    Sync(u32),
}

impl Organization {
    pub fn requests(&self) -> u32 {
        self.repositories.div_ceil(PAGE) + self.repositories * self.requests_each
    }

    /// Sweeps and syncs all of it, as workers do who are told by a job queue when to come back.
    pub async fn back_up(self, rules: &'static Rules) -> Outcome {
        let github = Arc::new(GitHub::new(rules, LIMIT, |number| Duration::from_millis(150 + number * 37 % 100)));
        let quotas = Quotas::default();
        let domain = |number| Domain { host: "github.com".into(), who: format!("installation {number}") };
        let domains: Arc<[Domain]> = (1..=self.installations).map(domain).collect();
        let pages = (0..self.repositories).step_by(PAGE as usize).map(|from| PAGE.min(self.repositories - from));
        let jobs = Arc::new(Mutex::new(pages.map(Job::Sweep).collect::<VecDeque<_>>()));
        let sent_away = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let workers = (0..self.workers).map(|_| {
            let jobs = jobs.clone();
            let client = Client {
                github: github.clone(),
                quotas: quotas.clone(),
                domains: domains.clone(),
                rules,
                sent_away: sent_away.clone(),
            };
            tokio::spawn(async move {
                loop {
                    let job = jobs.lock().unwrap().pop_front();
                    match job {
                        Some(Job::Sweep(repositories)) => {
                            client.request().await;
                            jobs.lock().unwrap().extend((0..repositories).map(|_| Job::Sync(self.requests_each)));
                        }
                        Some(Job::Sync(requests)) => {
                            for _ in 0..requests {
                                client.request().await;
                            }
                        }
                        // Others may still be looking at the pages.
                        None if client.github.seen().requests < u64::from(self.repositories.div_ceil(PAGE)) => {
                            sleep(Duration::from_secs(1)).await;
                        }
                        None => return Instant::now(),
                    }
                }
            })
        });
        let mut ended = started;
        for worker in workers.collect::<Vec<_>>() {
            ended = ended.max(worker.await.unwrap());
        }
        let sent_away = sent_away.load(Ordering::Relaxed);
        Outcome { time: ended - started, at_least: self.at_least(rules), seen: github.seen(), sent_away }
    }

    /// Full hours use all budgets up; the rest goes as fast as the limit for each minute allows, which lets the last
    /// minute's points be spent in its first moment.
    fn at_least(self, rules: &Rules) -> Duration {
        let hours = (self.requests() - 1) / (LIMIT * self.installations);
        let rest = self.requests() - hours * LIMIT * self.installations;
        let minutes = (rest.div_ceil(self.installations) - 1) / rules.points_per_minute;
        HOUR * hours + MINUTE * minutes
    }
}

/// A worker's side of it.
struct Client {
    github: Arc<GitHub>,
    quotas: Quotas,
    domains: Arc<[Domain]>,
    rules: &'static Rules,
    sent_away: Arc<AtomicU64>,
}

impl Client {
    /// One request with whichever credential may be used, however long that takes.
    async fn request(&self) {
        let (resource, effect) = (Resource::Rest, Effect::Reads);
        loop {
            match self.permit(resource, effect).await {
                Ok((domain, permit)) => {
                    return permit.answered(&self.github.answer(&domain, resource, effect).await);
                }
                Err(error) => {
                    let Kind::Throttled { retry_after } = error.kind() else { panic!("{error}") };
                    self.sent_away.fetch_add(1, Ordering::Relaxed);
                    sleep(retry_after).await;
                }
            }
        }
    }

    async fn permit(&self, resource: Resource, effect: Effect) -> Result<(Domain, Permit)> {
        let (urgency, rules) = (Urgency::Sweep, self.rules);
        let domain = self.domains[self.quotas.choose(&self.domains, resource, urgency, rules)?].clone();
        let permit = self.quotas.admit(Call { domain: domain.clone(), resource, urgency, effect, rules }).await?;
        Ok((domain, permit))
    }
}
