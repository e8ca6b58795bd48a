//! Policies: what they say, and changing them. A change is shown first and made once it is confirmed; what would protect
//! anything less waits for a second admin.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::answer::Outcome;
use super::asked::{Asked, Wish};
use super::buttons::Button;
use super::grammar::{Over, Policy, Request};
use super::visitor::Visitor;
use super::words::{count, minute, word};
use crate::catalog::{NewRecord, Priority, Verdict, job_kind};
use crate::chat::{Line, Look, Reply, Tone, Words};
use crate::domain::{Error, Person, Result, Role};
use crate::ops::policy::{self, Changed, Explained, Past, PolicyRow, Submitted, Waiting};
use crate::services::Services;

/// Rows that a chat shows.
const ROWS: usize = 12;

/// Does what is asked about policies; a change is only shown. `id`: under which it was asked.
pub(super) async fn perform(
    services: &Services,
    visitor: &Visitor,
    request: Policy,
    id: Option<&str>,
) -> Result<Outcome> {
    let reply = match &request {
        Policy::Show { name: None } => listed(&policy::list(services).await?),
        Policy::Show { name: Some(name) } => {
            let text = toml::to_string(&policy::show(services, name).await?);
            let text = text.map_err(|error| Error::bug("cannot write a policy").detail(error))?;
            Reply::new(Tone::Plain, format!("The policy {name}")).code(text)
        }
        Policy::Explain { repo } => explained(&policy::explain(services, repo).await?),
        Policy::History { name } => past(&policy::history(services, name.as_deref()).await?),
        Policy::Set { .. } | Policy::Assign { .. } => {
            let planned = submit(services, visitor, &request, true).await?;
            let reply = shown(&planned, "would be changed");
            if planned.iter().all(|one| one.state == "unchanged") {
                return Ok(reply.into());
            }
            let Some(id) = id else {
                return Ok(reply.line("Nothing has changed; `refward policy` at the command line does it.").into());
            };
            let weak = planned.iter().any(|one| one.state == "waiting");
            let confirm = Button::Change { asked: id.to_owned(), means: means(&planned)? };
            let look = if weak { Look::Danger } else { Look::Main };
            reply.line("Nothing has changed yet.").button(look, "Confirm", confirm.to_string())
        }
        Policy::Approve { change } => agree(services, visitor, *change).await?,
        Policy::Revoke { change } => take_back(services, visitor, *change).await?,
    };
    Ok(reply.into())
}

/// Whoever asked for a change confirms it, as it was shown to them.
pub(super) async fn confirm(services: &Services, visitor: &Visitor, id: &str, shown_as: &str) -> Result<Reply> {
    let gone =
        || Error::not_found("this change is not kept any more, or somebody else asked for it").hint("ask for it again");
    let stored = services.catalog.interaction(id).await.map_err(|_| gone())?;
    let asked = Asked::read(&stored)?;
    if asked.person != visitor.person {
        return Err(gone());
    }
    let lasts = services.settings.people.plan_lasts;
    if (Utc::now() - stored.received_at).to_std().unwrap_or_default() > lasts {
        return Err(Error::bad_request("this was asked for too long ago").hint("ask for it again, and look at it anew"));
    }
    let Wish::Command { path, options } = asked.wish else { return Err(gone()) };
    let Request::Policy(request) = Request::from_words(&Words { path, options })? else { return Err(gone()) };
    admin(services, visitor, "policy.set").await?;
    if let Some(change) = asked_for_already(services, visitor, &request, stored.received_at).await? {
        announce(services, visitor, Some(change)).await?;
        return look(services, visitor, change).await;
    }
    let planned = submit(services, visitor, &request, true).await?;
    if means(&planned)? != shown_as {
        let reply = shown(&planned, "would be changed");
        let unchanged = planned.iter().all(|one| one.state == "unchanged");
        let why = if unchanged {
            "It is so already."
        } else {
            "It would mean something else by now, so nothing was done. Ask for it again."
        };
        return Ok(reply.line(why));
    }
    let submitted = submit(services, visitor, &request, false).await?;
    for waiting in submitted.iter().filter(|one| one.state == "waiting") {
        announce(services, visitor, waiting.change).await?;
    }
    Ok(shown(&submitted, "is changed"))
}

/// It was confirmed before: twice by them, or we died before we could say so.
async fn asked_for_already(
    services: &Services,
    visitor: &Visitor,
    request: &Policy,
    since: DateTime<Utc>,
) -> Result<Option<i64>> {
    let (Policy::Set { name, .. } | Policy::Assign { name, .. }) = request else { return Ok(None) };
    let theirs = |one: &Waiting| one.actor == visitor.by.who && one.policy == *name && one.asked_at >= since;
    Ok(policy::waiting(&services.catalog).await?.into_iter().find(theirs).map(|one| one.change))
}

/// A change that waits, for an admin.
pub(super) async fn look(services: &Services, visitor: &Visitor, change: i64) -> Result<Reply> {
    admin(services, visitor, "policy.show").await?;
    let waiting = waiting(services, change).await?;
    let reply = told(&waiting);
    if waiting.approved_by.is_some() {
        return Ok(reply);
    }
    let asked_by_them = services.catalog.same_person(&waiting.actor, &visitor.person).await?;
    let reply =
        if asked_by_them { reply } else { reply.button(Look::Danger, "Approve", Button::Agree { change }.to_string()) };
    Ok(reply.button(Look::Plain, "Take it back", Button::Revoke { change }.to_string()))
}

/// A second admin agrees.
pub(super) async fn approve(services: &Services, visitor: &Visitor, change: i64) -> Result<Reply> {
    admin(services, visitor, "policy.approve").await?;
    agree(services, visitor, change).await
}

/// An admin takes a change back.
pub(super) async fn revoke(services: &Services, visitor: &Visitor, change: i64) -> Result<Reply> {
    admin(services, visitor, "policy.revoke").await?;
    take_back(services, visitor, change).await
}

async fn agree(services: &Services, visitor: &Visitor, change: i64) -> Result<Reply> {
    let approved = policy::approve(services, change, &visitor.by).await?;
    announce(services, visitor, Some(change)).await?;
    Ok(Reply::new(Tone::Good, format!("Change {change} of {} is approved", subject(&approved.policy)))
        .line(Line::new().text("It acts from ").when(approved.effective_at).text(" on.")))
}

async fn take_back(services: &Services, visitor: &Visitor, change: i64) -> Result<Reply> {
    let revoked = policy::revoke(services, change, &visitor.by).await?;
    announce(services, visitor, Some(change)).await?;
    let title = format!("Change {change} of {} is taken back", subject(&revoked.policy));
    Ok(Reply::new(Tone::Good, title).line("Nothing has changed."))
}

/// A message in the channel tells that a change waits, and what became of it.
async fn announce(services: &Services, visitor: &Visitor, change: Option<i64>) -> Result<()> {
    let (Some(change), Some(channel)) = (change, &visitor.channel) else { return Ok(()) };
    let subject = format!("policy:{change}:{}:{channel}", visitor.person.platform());
    services.catalog.enqueue(job_kind::SHOW, &subject, Priority::Manual).await
}

/// What stands in a channel about a change. `None`: there is no such change.
pub(super) async fn standing(services: &Services, change: i64) -> Result<Option<Reply>> {
    let changes = policy::history(services, None).await?;
    Ok(changes.iter().find(|past| past.change == change).map(stands))
}

fn stands(past: &Past) -> Reply {
    let change = past.change;
    let by = |reply: Reply, what: &str| {
        let line = Line::new().text("Asked for by ");
        let line = named(line, &past.actor);
        reply.line(match &past.decided_by {
            Some(who) => named(line.text(format!(", {what} by ")), who).text("."),
            None => line.text("."),
        })
    };
    let show = Button::Look { change }.to_string();
    match (word(past.state).as_str(), &past.decided_by) {
        ("waiting", None) => by(
            Reply::new(
                Tone::Careful,
                format!("Change {change} of policies protects less: it waits for a second admin"),
            ),
            "",
        )
        .button(Look::Main, "Show", show),
        ("waiting", Some(_)) => {
            let reply = Reply::new(Tone::Plain, format!("Change {change} of policies is approved"));
            by(reply, "approved").line(Line::new().text("It acts from ").when(past.effective_at).text(" on."))
        }
        ("revoked", _) => {
            by(Reply::new(Tone::Plain, format!("Change {change} of policies is taken back")), "taken back")
        }
        _ => by(Reply::new(Tone::Plain, format!("Change {change} of policies acts now")), "approved"),
    }
}

/// Somebody: a person whom the platform shows, or a name.
fn named(line: Line, who: &str) -> Line {
    match who.parse::<Person>() {
        Ok(person) if person.platform() != "cli" => line.who(&person),
        _ => line.text(who),
    }
}

async fn submit(services: &Services, visitor: &Visitor, request: &Policy, plan: bool) -> Result<Vec<Submitted>> {
    let asked = policy::Asked { by: &visitor.by, allow_empty: false, plan };
    match request {
        Policy::Set { name, set } => policy::set(services, name, set, asked).await.map(|one| vec![one]),
        Policy::Assign { name, repos } => policy::assign(services, name, repos, asked).await,
        _ => Err(Error::bug("this changes no policy")),
    }
}

/// What a change means, so that nothing else than what was shown is confirmed: the beginning of a SHA-256.
fn means(planned: &[Submitted]) -> Result<String> {
    let meant: Vec<_> = planned
        .iter()
        .map(|one| (&one.policy, one.kind, one.state, &one.differences, &one.moves, &one.weakens))
        .collect();
    let text = serde_json::to_vec(&meant).map_err(|error| Error::bug("cannot compare changes").detail(error))?;
    Ok(hex::encode(&Sha256::digest(text)[..16]))
}

async fn admin(services: &Services, visitor: &Visitor, action: &'static str) -> Result<()> {
    let Err(error) = visitor.check(services, Role::Admin, Over::Everywhere).await else { return Ok(()) };
    let why = serde_json::json!({ "why": error.to_string() });
    services.catalog.record(NewRecord::new(&visitor.by, action, Verdict::Refused).detail(why)).await?;
    Err(error)
}

async fn waiting(services: &Services, change: i64) -> Result<Waiting> {
    let waiting = policy::waiting(&services.catalog).await?.into_iter().find(|one| one.change == change);
    waiting.ok_or_else(|| {
        Error::not_found(format!("no change {change} waits any more"))
            .hint("`/refward policy history` tells what became of it")
    })
}

fn listed(rows: &[PolicyRow]) -> Reply {
    let cells = |row: &PolicyRow| {
        let waits = row.waiting.map(|change| format!("change {change} waits")).unwrap_or_default();
        [row.name.clone(), row.repositories.to_string(), row.trigger.clone(), row.retention.clone(), waits]
    };
    Reply::new(Tone::Plain, format!("{}, asked in this order", count(rows.len() as u64, "policy")))
        .table(["policy", "repositories", "when", "kept", ""], rows.iter().take(ROWS).map(cells))
}

fn explained(explained: &Explained) -> Reply {
    let mut reply =
        Reply::new(Tone::Plain, format!("{} is under the policy {}", explained.repository, explained.policy))
            .line(format!("Why: {}.", explained.why))
            .line(format!("Backed up: {}.", explained.trigger))
            .line(format!("Kept: {} ({}).", explained.retention, explained.timezone))
            .line(match explained.drill.as_str() {
                "never" => "A restore is never drilled.".to_owned(),
                every => format!("A restore is drilled every {every}."),
            });
    if let Some(next) = explained.next_run {
        reply = reply.line(Line::new().text("Next by schedule: ").when(next).text("."));
    }
    if let Some(why) = &explained.spared {
        reply = reply.line(format!("Nothing goes: {why}."));
    }
    if explained.points.is_empty() {
        return reply;
    }
    let rows = explained.points.iter().rev().take(ROWS).map(|point| {
        let why = if point.reasons.is_empty() { "no rule keeps it".to_owned() } else { point.reasons.join("; ") };
        [point.seq.to_string(), minute(point.time), point.until.map(minute).unwrap_or_default(), why]
    });
    reply.table(["seq", "time (UTC)", "until", "kept because"], rows)
}

fn past(changes: &[Past]) -> Reply {
    if changes.is_empty() {
        return Reply::new(Tone::Plain, "No policy was ever changed");
    }
    let rows = changes.iter().take(ROWS).map(|past| {
        let what = format!("{} {}", past.kind, past.policy);
        [past.change.to_string(), minute(past.at), past.actor.clone(), what, word(past.state)]
    });
    Reply::new(Tone::Plain, count(changes.len() as u64, "change"))
        .table(["change", "time (UTC)", "who", "what", "state"], rows)
}

fn shown(all: &[Submitted], changed: &str) -> Reply {
    let states: Vec<&str> = all.iter().map(|one| one.state).collect();
    let name = all.first().map(|one| subject(&one.policy)).unwrap_or_default();
    let waits = states.contains(&"waiting");
    let (tone, title) = match () {
        () if states.iter().all(|state| *state == "unchanged") => {
            (Tone::Plain, format!("{name}: nothing changes, it is so already"))
        }
        () if waits => (Tone::Careful, format!("{name} {changed}, but not at once: that protects less")),
        () => (if changed.starts_with("is") { Tone::Good } else { Tone::Plain }, format!("{name} {changed}")),
    };
    let mut reply = Reply::new(tone, title);
    for one in all {
        for Changed { setting, from, to } in &one.differences {
            let of = if all.len() > 1 { format!("{}: ", subject(&one.policy)) } else { String::new() };
            reply = reply.line(Line::new().text(of).code(setting).text(format!(": {from} → ")).strong(to.clone()));
        }
        for moved in one.moves.iter().take(ROWS) {
            reply = reply.line(format!("{}: {} → {}", moved.repository, moved.from, moved.to));
        }
        for less in &one.weakens {
            reply = reply.line(Line::new().strong("Less: ").text(less));
        }
        reply = waits_for(reply, one);
    }
    reply
}

fn waits_for(mut reply: Reply, one: &Submitted) -> Reply {
    if one.state != "waiting" {
        return reply;
    }
    if let Some(at) = one.effective_at {
        reply = reply.line(Line::new().text("It acts ").when(at).text(" at the earliest."));
    }
    if one.needs_approval {
        reply = reply.line("A second admin has to approve it.");
    }
    match one.change {
        Some(change) => reply.line(format!("This is change {change}.")).button(
            Look::Plain,
            "Take it back",
            Button::Revoke { change }.to_string(),
        ),
        None => reply,
    }
}

fn told(waiting: &Waiting) -> Reply {
    let title = format!("Change {} of {} waits", waiting.change, subject(&waiting.policy));
    let line = named(Line::new().text("Asked for by "), &waiting.actor).text(" ").when(waiting.asked_at).text(".");
    let mut reply = Reply::new(Tone::Careful, title).line(line);
    for less in &waiting.weakens {
        reply = reply.line(Line::new().strong("Less: ").text(less));
    }
    reply = reply.line(Line::new().text("It acts ").when(waiting.effective_at).text(" at the earliest."));
    match &waiting.approved_by {
        Some(who) => reply.line(named(Line::new().text("Approved by "), who).text(".")),
        None => reply,
    }
}

fn subject(policy: &str) -> String {
    if policy == "*" { "the order of the policies".to_owned() } else { format!("the policy {policy}") }
}
