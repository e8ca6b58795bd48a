//! Doing what was agreed on. A reconciler: what the target already holds is done, what it does not is pushed, on condition
//! that it still is what the plan saw. So a worker may die anywhere, and the next one finishes what it began, once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::catalog::{Priority, RestoreStep, Verdict, job_kind};
use crate::domain::{Error, Kind, Person, Point, RefName, RepoId, Result, Seq, command};
use crate::forge::Page;
use crate::git::program::is_unfinished;
use crate::jobs::{Job, Outcome, run_now};
use crate::ops::restore::{self, Action, Plan, PlannedRef, Progress, Restore, Server, Step, Target};
use crate::services::Services;

use super::decide::{outdate, told_of};
use super::entitled::Places;
use super::look::{expire, refward};
use super::plan::{Standing, refs_of};
use super::proposal::{Done, PlannedMove, Proposal, Receipt, Refused, State, Undo, Written};
use super::propose::kept;

/// How often what is shown of a restore changes at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A restore that was begun and cannot go on, because the forge or the store is away, is given up after this.
const GIVE_UP: TimeDelta = TimeDelta::hours(1);

/// References that the record names of a restore.
const NAMED: usize = 100;

/// Carries out whatever is approved of a repository, one after the other, and ends what nobody went on with in time. To be
/// run again after a crash: what was done is not done twice.
pub async fn carry_out(services: &Services, repo: &RepoId) -> Result<()> {
    let catalog = &services.catalog;
    let known = catalog.repository(repo).await.ok();
    for row in catalog.open_restores(repo).await? {
        let proposal = Proposal::of(row, known.as_ref())?;
        if proposal.is_overdue(Utc::now()) {
            expire(catalog, &proposal).await?;
        } else if matches!(proposal.state, State::Approved | State::Running) {
            bring_to_an_end(services, &proposal).await?;
        }
    }
    let waiting = catalog.open_restores(repo).await?.into_iter();
    let waiting = waiting.filter(|row| matches!(row.state, State::Planned | State::Confirmed));
    match waiting.map(|row| row.expires_at).min() {
        Some(end) => catalog.look_at_restores(repo, end).await,
        None => Ok(()),
    }
}

/// `Err`: it is to be tried again.
async fn bring_to_an_end(services: &Services, proposal: &Proposal) -> Result<()> {
    let tried = match Places::again(services, proposal).await {
        Ok(places) => Run { services, proposal, places: &places, clock: Instant::now() }.attempt().await,
        Err(error) => Err(error),
    };
    let Err(error) = tried else { return Ok(()) };
    let given_up = proposal.started_at.is_some_and(|since| since + GIVE_UP < Utc::now());
    if error.kind().is_transient() && !given_up {
        return Err(error.while_doing(format!("carrying out restore {}", proposal.id)));
    }
    let verdict = if error.kind() == Kind::NotAllowed { Verdict::Refused } else { Verdict::Failed };
    let hint = error.next_step().map(|hint| format!("; {hint}")).unwrap_or_default();
    tracing::warn!(restore = proposal.id, "a restore failed: {}", error.for_log());
    // What was written before stands; which that is only the forge can tell now.
    let began = if proposal.state == State::Running { "; it was begun, and some of it may be done" } else { "" };
    fail(services, proposal, format!("{error}{hint}{began}"), None, verdict).await
}

async fn fail(
    services: &Services,
    proposal: &Proposal,
    error: String,
    receipt: Option<&Receipt>,
    verdict: Verdict,
) -> Result<()> {
    let told = proposal.record(&refward(), "restore.run", verdict).detail(json!({
        "repository": proposal.repository,
        "requested_by": proposal.requested_by,
        "why": error,
    }));
    let step = RestoreStep::Fail { error, receipt: receipt.map(kept).transpose()? };
    services.catalog.step_restore(proposal.id, &proposal.repo, step, Some(told)).await.map(drop)
}

struct Run<'a> {
    services: &'a Services,
    proposal: &'a Proposal,
    places: &'a Places,
    clock: Instant,
}

impl Run<'_> {
    async fn attempt(&self) -> Result<()> {
        let server = self.places.server(self.services).await?;
        let server = server.ok_or_else(|| Error::bug("a download is not carried out"))?;
        let now = refs_of(self.services, &server.remote).await?;
        // What a worker that died has written needs nobody's leave any more.
        if self.proposal.state == State::Running && self.planned().all(|planned| is_done(planned, &now)) {
            if now.keys().any(is_unfinished) {
                self.push(&server, &now, self.held_before()).await?;
            }
            return self.finish(self.receipt(HashMap::new(), self.held_before())?).await;
        }
        self.still_entitled().await?;
        if let Some(moved) = self.moved(&now) {
            return self.stop(moved, &now, self.proposal.state == State::Running).await;
        }
        let before = match self.held_before() {
            Some(before) => Some(before),
            None if self.overwrites(&now) => match self.snapshot().await? {
                Some(before) => Some(before),
                None => return self.look_again(&server).await,
            },
            None => None,
        };
        let progress = kept(&Done { done: 0, total: 0, pushes: false, before })?;
        let running = RestoreStep::Run { progress };
        if !self.services.catalog.step_restore(self.proposal.id, &self.proposal.repo, running, None).await? {
            // Cancelled, or its time was over, just now.
            return Ok(());
        }
        let pushed = self.push(&server, &now, before).await?;
        self.settle(&server, pushed, before).await
    }

    /// Rights may have vanished since.
    async fn still_entitled(&self) -> Result<()> {
        let Proposal { requested_by, decided_by, origin, .. } = self.proposal;
        let no_more = |person: &Person| format!("{person} may not do this any more");
        let requester = self.places.entitled(self.services, requested_by, &origin.roles).await;
        requester.map_err(|error| error.while_doing(no_more(requested_by)))?;
        let Some(approver) = decided_by else { return Ok(()) };
        let approver_may = self.places.entitled(self.services, approver, &origin.approver_roles).await;
        approver_may.map_err(|error| error.while_doing(no_more(approver)))
    }

    /// What is about to be overwritten must be in the vault: gives the snapshot that holds it. `None`: something moved while
    /// it was taken.
    async fn snapshot(&self) -> Result<Option<Seq>> {
        let repo = &self.places.source.id;
        let seq = match Box::pin(run_now(self.services, &Job::SyncRepo(repo.clone()))).await? {
            Outcome::Unchanged(seq) => {
                seq.ok_or_else(|| Error::bug("a repository that is restored has no snapshot"))?
            }
            Outcome::Written(snapshot) => snapshot.seq,
        };
        let (_, state) = self.services.catalog.refs_at(repo, Some(Point::Seq(seq))).await?;
        let mut overwritten = self.planned().filter(|planned| planned.action == Action::Overwrite);
        let holds = overwritten.all(|planned| {
            let held = state.refs.get(&planned.target).copied();
            held == planned.now || held == Some(planned.then)
        });
        Ok(holds.then_some(seq))
    }

    async fn look_again(&self, server: &Server) -> Result<()> {
        let now = refs_of(self.services, &server.remote).await?;
        match self.moved(&now) {
            Some(moved) => self.stop(moved, &now, self.proposal.state == State::Running).await,
            None => Err(Error::busy("the snapshot of what is overwritten does not hold it yet")),
        }
    }

    /// Pushes what is not there yet.
    async fn push(&self, server: &Server, now: &Standing, before: Option<Seq>) -> Result<restore::Receipt> {
        let backup = self.places.backup(self.services).await?;
        let request = Restore {
            at: Some(Point::Seq(self.proposal.plan.seq)),
            refs: Vec::new(),
            target: Target::Server(server.clone()),
            force: true,
        };
        let plan = self.rest(now);
        let (tell, mut told) = watch::channel(Step::Read(Progress { done: 0, total: 0 }));
        let heard = |step| {
            tell.send_replace(step);
        };
        let mut work = Box::pin(restore::run(&backup, &request, &plan, &heard));
        let mut every = tokio::time::interval(TELL_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                receipt = &mut work => return receipt,
                _ = every.tick() => {
                    if told.has_changed().unwrap_or(false) {
                        let step = *told.borrow_and_update();
                        let (Step::Read(Progress { done, total }) | Step::Pushed(Progress { done, total })) = step;
                        self.show(Done { done, total, pushes: matches!(step, Step::Pushed(_)), before }).await;
                    }
                }
            }
        }
    }

    /// That nobody sees how far it is stops nothing.
    async fn show(&self, done: Done) {
        let shown = match kept(&done) {
            Ok(progress) => self.services.catalog.restore_progress(self.proposal.id, progress).await,
            Err(error) => Err(error),
        };
        if let Err(error) = shown {
            tracing::warn!(restore = self.proposal.id, "cannot show how far it is: {}", error.for_log());
        }
    }

    /// What is left of the plan.
    fn rest(&self, now: &Standing) -> Plan {
        let plan = &self.proposal.plan;
        let refs = self.planned().map(|planned| PlannedRef {
            name: planned.name.clone(),
            target: planned.target.clone(),
            old: planned.now,
            new: planned.then,
            action: if is_done(planned, now) { Action::Unchanged } else { planned.action.clone() },
        });
        let refs: Vec<PlannedRef> = refs.collect();
        Plan {
            repository: plan.repository.clone(),
            seq: plan.seq,
            time: plan.time,
            makes: None,
            object_format: refs.first().map(|planned| planned.new.format()).unwrap_or_default(),
            head: None,
            refs,
            checked_out: None,
            missing: plan.missing.clone(),
            left_behind: plan.left_behind.clone(),
            namesakes: Vec::new(),
        }
    }

    /// What came of the push.
    async fn settle(&self, server: &Server, pushed: restore::Receipt, before: Option<Seq>) -> Result<()> {
        let refused = pushed.refused.into_iter().map(|refused| (refused.name, refused.why));
        let mut refused: HashMap<RefName, String> = refused.collect();
        if !refused.is_empty() {
            let now = refs_of(self.services, &server.remote).await?;
            if let Some(moved) = self.moved(&now) {
                return self.stop(moved, &now, true).await;
            }
            refused.retain(|name, _| !self.planned().any(|planned| planned.target == *name && is_done(planned, &now)));
        }
        let left_over = pushed.left_over.into_iter().map(|left| left.name).collect();
        let receipt = Receipt { left_over, ..self.receipt(refused, before)? };
        let Some(first) = receipt.refused.first() else { return self.finish(receipt).await };
        let name = first.name.short();
        let why = match (&first.rule, &first.way_out) {
            (Some(rule), Some(way_out)) => format!("{rule}; {way_out}"),
            _ => first.why.clone(),
        };
        let more = match receipt.refused.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let error = format!("the forge refused {name}{more}: {why}");
        fail(self.services, self.proposal, error, Some(&receipt), Verdict::Failed).await?;
        self.look_at_the_target(&receipt).await
    }

    async fn finish(&self, mut receipt: Receipt) -> Result<()> {
        receipt.page = self.page(&receipt).await;
        let moves = receipt.written.iter().take(NAMED);
        let moves = moves.map(|written| json!([written.name, written.old, written.new]));
        let told = self.proposal.record(&refward(), "restore.run", Verdict::Done).detail(json!({
            "repository": self.proposal.repository,
            "target": self.proposal.plan.target,
            "requested_by": self.proposal.requested_by,
            "approved_by": self.proposal.decided_by,
            "written": moves.collect::<Vec<_>>(),
        }));
        let step = RestoreStep::Finish { receipt: kept(&receipt)? };
        self.services.catalog.step_restore(self.proposal.id, &self.proposal.repo, step, Some(told)).await?;
        self.look_at_the_target(&receipt).await
    }

    /// A reference is neither what the plan saw nor what it wants: whoever moved it meant something by that. `began`: what is
    /// as planned may be so through us.
    async fn stop(&self, moved: String, now: &Standing, began: bool) -> Result<()> {
        let elsewhere = self.planned().filter(|planned| !is_done(planned, now));
        let elsewhere = elsewhere.map(|planned| (planned.target.clone(), moved.clone())).collect();
        let receipt = self.receipt(elsewhere, self.held_before())?;
        let told = (began && !receipt.written.is_empty()).then_some(&receipt);
        outdate(self.services, &refward(), "restore.run", self.places, self.proposal, moved, told).await?;
        self.look_at_the_target(&receipt).await
    }

    /// So that the backup sees soon what was written.
    async fn look_at_the_target(&self, receipt: &Receipt) -> Result<()> {
        match &self.places.target {
            Some(target) if target.selected && !receipt.written.is_empty() => {
                let id = target.id.to_string();
                self.services.catalog.enqueue(job_kind::SYNC_REPO, &id, Priority::Manual).await
            }
            _ => Ok(()),
        }
    }

    fn receipt(&self, mut refused: HashMap<RefName, String>, before: Option<Seq>) -> Result<Receipt> {
        let target = self.places.target.as_ref().unwrap_or(&self.places.source);
        let forge = self.services.forge(&target.forge)?;
        let mut receipt = Receipt::default();
        for planned in self.planned() {
            let name = planned.target.clone();
            match refused.remove(&name) {
                None => receipt.written.push(Written { name, old: planned.now, new: planned.then }),
                Some(why) => {
                    let known = forge.refused(&why);
                    let (rule, way_out) = known.map(|known| (known.rule, known.way_out)).unzip();
                    receipt.refused.push(Refused { name, why, rule, way_out });
                }
            }
        }
        receipt.undo = before.and_then(|seq| self.undo(&receipt, seq));
        receipt.duration_ms = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(receipt)
    }

    /// Where the first of it shows. A receipt without is one all the same.
    async fn page(&self, receipt: &Receipt) -> Option<String> {
        let (first, target) = (receipt.written.first()?, self.places.target.as_ref()?);
        let connection = self.services.connection(target.connection_id).await.ok()?;
        let page = match &first.old {
            Some(old) => Page::Between(&target.full_name, old, &first.new),
            None if first.name.is_branch() || first.name.is_tag() => {
                Page::Branch(&target.full_name, first.name.short())
            }
            None => return None,
        };
        let forge = self.services.forge(&connection.forge).ok()?;
        forge.page(&connection.address().ok()?, page).ok().map(String::from)
    }

    fn undo(&self, receipt: &Receipt, seq: Seq) -> Option<Undo> {
        let (address, at) = (self.places.source.lasting_address().to_string(), seq.to_string());
        let overwritten: Vec<&Written> = receipt.written.iter().filter(|written| written.old.is_some()).collect();
        if overwritten.is_empty() {
            return None;
        }
        let names = overwritten.iter().flat_map(|written| ["--ref", written.name.as_str()]);
        let arguments = ["restore", &address, "--at", &at].into_iter().chain(names);
        Some(Undo { seq, command: command(arguments.chain(["--to-origin", "--force"])) })
    }

    fn planned(&self) -> impl Iterator<Item = &PlannedMove> {
        self.proposal.plan.written()
    }

    fn overwrites(&self, now: &Standing) -> bool {
        self.planned().any(|planned| planned.action == Action::Overwrite && !is_done(planned, now))
    }

    fn moved(&self, now: &Standing) -> Option<String> {
        let moved = self.planned().filter(|planned| {
            let held = now.get(&planned.target).copied();
            held != planned.now && held != Some(planned.then)
        });
        told_of(moved.map(|planned| planned.target.short()))
    }

    /// As a worker before us has noted.
    fn held_before(&self) -> Option<Seq> {
        self.proposal.progress.and_then(|done| done.before)
    }
}

fn is_done(planned: &PlannedMove, now: &Standing) -> bool {
    now.get(&planned.target) == Some(&planned.then)
}
