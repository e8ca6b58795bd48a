//! Who somebody is: linked to a forge, and the first admin.

use chrono::{TimeDelta, Utc};

use super::answer::Outcome;
use super::visitor::Visitor;
use super::waits::{Looked, Waits};
use crate::catalog::{Recorded, Verdict};
use crate::chat::{Line, Reply, Tone};
use crate::domain::{Error, Kind, Result, Role};
use crate::ops::identity::{self, Begun, Linked};
use crate::ops::people;
use crate::services::Services;

/// Sign-ins that somebody may begin [`WHILE`]: anybody may, and the forge is asked every few seconds about each.
const SIGN_INS: usize = 5;
const WHILE: TimeDelta = TimeDelta::minutes(15);

/// Rows of the record that are looked through for them.
const LOOK_BACK: u64 = 1_000;

/// Somebody says who they are on the forge: they sign in there.
pub(super) async fn begin(services: &Services, visitor: &Visitor, host: Option<&str>) -> Result<Outcome> {
    let lately = services.catalog.recorded(Some(Utc::now() - WHILE), LOOK_BACK).await?;
    let theirs = |row: &&Recorded| row.action == "link" && row.verdict == Verdict::Asked && row.actor == visitor.by.who;
    if lately.iter().filter(theirs).count() >= SIGN_INS {
        return Err(Error::not_allowed("you have begun to sign in too often").hint("wait a quarter of an hour"));
    }
    let begun = identity::begin(services, &visitor.person, &visitor.by, host).await?;
    let attempt = begun.attempt.clone();
    Ok(Outcome::Waits(sign_in(&begun), Waits::Link { attempt }))
}

fn sign_in(begun: &Begun) -> Reply {
    let host = begun.page.host_str().unwrap_or("the forge").to_owned();
    Reply::new(Tone::Plain, format!("Sign in to {host} to link yourself"))
        .line(Line::new().text("Open ").link(begun.page.to_string(), begun.page.clone()).text(" and type this code:"))
        .code(&begun.user_code)
        .line(Line::new().text("It ends ").when(begun.expires_at).text(". This answer changes when it is done."))
        .line("Refward learns who you are and keeps your user's number and name; your sign-in itself is not kept.")
}

/// Whether they have.
pub(super) async fn poll(services: &Services, attempt: &str) -> Result<Looked> {
    let again = "Ask again: `/refward link`.";
    Ok(match identity::poll(services, attempt).await? {
        Linked::Waiting { interval } => Looked::NotYet(interval),
        Linked::Done { login, expires_at } => Looked::Done(
            Reply::new(Tone::Good, format!("You are linked to {login}"))
                .line("What you may do there now decides what you may restore and read here.")
                .line(Line::new().text("It ends ").when(expires_at).text("; then link yourself again.")),
        ),
        Linked::Denied => {
            Looked::Done(Reply::new(Tone::Careful, "You did not agree there; you are not linked.").line(again))
        }
        Linked::Expired => {
            Looked::Done(Reply::new(Tone::Careful, "Nobody signed in in time; you are not linked.").line(again))
        }
    })
}

/// Somebody is nobody on the forge any more.
pub(super) async fn end(services: &Services, visitor: &Visitor) -> Result<Reply> {
    let ended = services.catalog.end_links(&visitor.person, None, &visitor.by).await?;
    Ok(match ended {
        0 => Reply::new(Tone::Plain, "You were not linked."),
        _ => Reply::new(Tone::Good, "You are not linked any more.")
            .line("To restore, or to read what is private, link yourself again: `/refward link`."),
    })
}

/// Somebody says the code that makes them the first admin.
pub(super) async fn claim(services: &Services, visitor: &Visitor, code: &str) -> Result<Reply> {
    match people::claim(services, code.trim(), &visitor.person, &visitor.by).await {
        // The code was taken, and then we died before we could say so.
        Err(error) if error.kind() == Kind::NotAllowed && visitor.everywhere() == Some(Role::Admin) => {}
        granted => _ = granted?,
    }
    Ok(Reply::new(Tone::Good, "You are an admin of everything now.")
        .line(format!("Since {}. Grant others what they need: `refward grants add --help`.", Utc::now().format("%F")))
        .line("To restore, say who you are on the forge: `/refward link`."))
}
