//! The desk: what people ask from a chat is understood, allowed or refused, done, and told, here.
//!
//! A request arrives at [`Desk::receive`]: what the platform has signed is kept together with the job that answers it, and
//! only then is "an answer follows" said. [`answer`] does it: [`grammar`] says what is asked and which role that needs,
//! [`visitor`] whether they have it, `ops` does it, and a file for each kind of answer words it.

mod answer;
mod asked;
mod buttons;
mod complete;
mod digest;
mod grammar;
mod help;
mod link;
mod looks;
mod plain;
mod policies;
mod restores;
mod show;
mod terminal;
mod visitor;
mod waits;
mod words;
mod work;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::catalog::{NewRecord, Verdict};
use crate::chat::{First, Incoming, Platform, Rejected, What, Words};
use crate::domain::{Error, Result};
use crate::jobs::{Errand, Errands};
use crate::ops::restores::CarryOut;
use crate::services::Services;

use asked::Asked;
use complete::Completer;

pub use grammar::spec;
pub use plain::plain;
pub use terminal::{ask, press};

/// What the desk has the workers do.
pub fn errands() -> Errands {
    Errands::from([
        Box::new(answer::Answer) as Box<dyn Errand>,
        Box::new(CarryOut),
        Box::new(show::Show),
        Box::new(digest::Digest),
        Box::new(work::Verify),
    ])
}

/// Takes what platforms send.
pub struct Desk {
    services: Arc<Services>,
    completer: Completer,
}

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// JSON, or nothing.
    pub body: Bytes,
}

impl Desk {
    /// One for the life of the process.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services, completer: Completer::default() }
    }

    /// A platform of this name is switched on.
    pub fn has(&self, platform: &str) -> bool {
        self.services.chat(platform).is_some()
    }

    /// Takes a request of a platform's. What is to be done is kept before this returns. Fails with `Busy` if it could not
    /// be.
    pub async fn receive(&self, platform: &str, headers: &HeaderMap, body: Bytes) -> Result<Answer> {
        let Some(platform) = self.services.chat(platform) else {
            return Ok(Answer::bare(StatusCode::NOT_FOUND));
        };
        let read = platform.verify(headers, body).and_then(|verified| platform.read(&verified));
        let outcome = match &read {
            Ok(_) => "taken",
            Err(Rejected::Unauthenticated) => "unauthenticated",
            Err(Rejected::Malformed(_)) => "malformed",
        };
        metrics::counter!("refward_chat_requests_total", "platform" => platform.slug(), "outcome" => outcome)
            .increment(1);
        match read {
            Ok(incoming) => self.take(platform.as_ref(), &incoming).await,
            Err(Rejected::Unauthenticated) => Ok(Answer::bare(StatusCode::UNAUTHORIZED)),
            Err(Rejected::Malformed(why)) => {
                let body = serde_json::json!({ "status": "refused", "error": why }).to_string().into();
                Ok(Answer { status: StatusCode::BAD_REQUEST, body })
            }
        }
    }

    async fn take(&self, platform: &dyn Platform, incoming: &Incoming) -> Result<Answer> {
        let first = match &incoming.what {
            What::Ping => First::Pong,
            What::Complete { words, option, typed } => {
                let hears = platform.answers_in(incoming.channel.as_deref());
                let choices = if hears {
                    self.completer.choices(&self.services, &incoming.from, words, option, typed).await
                } else {
                    Vec::new()
                };
                First::Choices(choices)
            }
            What::Command(words) if !platform.answers_in(incoming.channel.as_deref()) => {
                self.turned_away(platform, incoming, words).await;
                First::Now(words::not_here())
            }
            // What only they see may change; what others see, too, is answered beside it.
            What::Press { private: true, .. } => First::Change,
            What::Command(_) | What::Press { private: false, .. } => First::Later { private: true },
        };
        let follows = matches!(first, First::Later { .. } | First::Change);
        if follows && !self.keep(platform, incoming).await? {
            tracing::warn!(platform = platform.slug(), id = incoming.id, "the same request a second time");
            return Ok(Answer::bare(StatusCode::CONFLICT));
        }
        Ok(Answer { status: StatusCode::OK, body: platform.first(&first)? })
    }

    /// Whoever is turned away is in the record; if that cannot be written, they are turned away all the same.
    async fn turned_away(&self, platform: &dyn Platform, incoming: &Incoming, words: &Words) {
        let Some(asked) = Asked::of(platform.slug(), incoming) else { return };
        let what = NewRecord::new(&asked.by(), "command", Verdict::Refused).about(words.path.join(" "));
        let told = what.detail(serde_json::json!({ "why": "commands are not answered in this channel" }));
        if let Err(error) = self.services.catalog.record(told).await {
            tracing::error!(id = incoming.id, "a refusal is not in the record: {}", error.for_log());
        }
    }

    /// `false`: it was asked before.
    async fn keep(&self, platform: &dyn Platform, incoming: &Incoming) -> Result<bool> {
        let Some(asked) = Asked::of(platform.slug(), incoming) else { return Ok(false) };
        let sealed = asked::seal(&self.services, incoming)?;
        let sealed = sealed.ok_or_else(|| Error::bad_request("nothing says where the answer goes"))?;
        let id = format!("{}:{}", platform.slug(), incoming.id);
        self.services.catalog.put_interaction(&id, asked.to_json()?, Some(sealed)).await
    }
}

impl Answer {
    fn bare(status: StatusCode) -> Self {
        Self { status, body: Bytes::new() }
    }
}
