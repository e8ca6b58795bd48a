//! The same words at the command line, with every right: whoever is there has the keys anyway.

use std::time::Duration;

use chrono::Utc;

use super::answer::{self, Outcome};
use super::grammar::{self, Request};
use super::visitor::Visitor;
use super::waits::Looked;
use crate::chat::Reply;
use crate::domain::Result;
use crate::services::Services;

/// Answers words as a shell has split them, or one line of them. `name`: who asks, for the record.
pub async fn ask(services: &Services, name: &str, words: &[String]) -> Result<Reply> {
    let line = match words {
        [line] => grammar::split(line)?,
        words => words.to_vec(),
    };
    let visitor = Visitor::at_the_command_line(name)?;
    let request = Request::from_line(&line)?;
    wait(services, answer::perform(services, &visitor, request, None).await?).await
}

/// Presses a button of an answer.
pub async fn press(services: &Services, name: &str, button: &str) -> Result<Reply> {
    let visitor = Visitor::at_the_command_line(name)?;
    wait(services, answer::press(services, &visitor, button).await?).await
}

/// The work itself is the running service's. A sign-in has to be read before it can be done: it is not waited for.
async fn wait(services: &Services, outcome: Outcome) -> Result<Reply> {
    let (reply, waits) = match outcome {
        Outcome::Said(reply) | Outcome::Secret(reply) => return Ok(reply),
        Outcome::Waits(reply, waits) => (reply, waits),
    };
    let (since, patience) = (Utc::now(), Duration::from_secs(10));
    while !waits.is_elsewhere() && (Utc::now() - since).to_std().unwrap_or_default() < patience {
        match waits.look(services, since).await? {
            Looked::Done(reply) => return Ok(reply),
            Looked::NotYet(pause) => tokio::time::sleep(pause.min(Duration::from_millis(200))).await,
        }
    }
    Ok(reply)
}
