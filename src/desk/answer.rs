//! Answers what was asked: understands it, checks who asks, has it done, and says what came of it.
//!
//! What is to be said is kept before it is said, so that a process that dies, or a platform that does not answer, makes
//! nothing happen twice. What waits for something longer says so, and its job comes back until there is more to say.

use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use serde_json::{Value, json};

use super::asked::{self, Asked, Wish};
use super::buttons::Button;
use super::grammar::{Policy, Request};
use super::visitor::Visitor;
use super::waits::{Looked, Waits};
use super::{help, link, looks, policies, restores, words, work};
use crate::catalog::{NewRecord, StoredInteraction, Verdict, job_kind};
use crate::chat::{Look, Platform, Reply, ReplyTo, Words};
use crate::domain::{Error, Kind, Result};
use crate::jobs::Errand;
use crate::services::Services;

/// A database that is busy for longer is told to whoever waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// What passes is tried again sooner than other jobs: somebody waits.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(10);

/// After this, an answer that the platform knows nothing of is too late. Before, ours may have been quicker than its own first.
const FIRST_ANSWER_ARRIVES: Duration = Duration::from_secs(10);

/// The errand.
pub(super) struct Answer;

/// What came of something that was asked.
pub(super) enum Outcome {
    /// That is all.
    Said(Reply),
    /// That is all, and it is for one pair of eyes: it is not kept, and whoever asks again gets another.
    Secret(Reply),
    /// There is more to come.
    Waits(Reply, Waits),
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Said(reply)
    }
}

#[async_trait]
impl Errand for Answer {
    fn kind(&self) -> &'static str {
        job_kind::ANSWER
    }

    async fn run(&self, services: &Services, id: &str) -> Result<()> {
        let stored = match services.catalog.interaction(id).await {
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            stored => stored?,
        };
        let Some(sealed) = &stored.reply_to else { return Ok(()) };
        let opened = Asked::read(&stored).and_then(|asked| Ok((asked::open(services, &asked, sealed)?, asked)));
        let ((to, wish), asked) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(id, "nobody can be answered: {}", error.for_log());
                return services.catalog.answered(id).await;
            }
        };
        let Some(platform) = services.chat(&asked.platform) else {
            tracing::warn!(id, "nobody is there any more to be answered: the platform was switched off");
            return services.catalog.answered(id).await;
        };
        let task = Task { services, platform: platform.as_ref(), stored: &stored, to };
        task.run(asked, &wish).await.map_err(|error| soon(error, task.waited()))
    }
}

/// The longer they have waited, the longer the pause. How often the job ran says nothing: it runs whenever it looks at what
/// it waits for.
fn soon(error: Error, waited: Duration) -> Error {
    let retry_after = Some((waited / 4).clamp(SOONEST, LATEST));
    let kind = match error.kind() {
        Kind::Busy { retry_after: None } => Kind::Busy { retry_after },
        Kind::Remote { retry_after: None } => Kind::Remote { retry_after },
        _ => return error,
    };
    Error::new(kind, error.to_string()).detail(error.for_log())
}

/// One answer to be given.
struct Task<'a> {
    services: &'a Services,
    platform: &'a dyn Platform,
    stored: &'a StoredInteraction,
    to: ReplyTo,
}

impl Task<'_> {
    async fn run(&self, mut asked: Asked, wish: &Wish) -> Result<()> {
        let reply = match (asked.said.clone(), asked.waits.clone()) {
            (Some(reply), _) => reply,
            (None, Some(waits)) => match waits.look(self.services, self.stored.received_at).await {
                Ok(Looked::Done(reply)) => self.keep(&mut asked, reply).await?,
                Ok(Looked::NotYet(pause)) => return Err(not_yet(pause)),
                // What is waited for has an end of its own.
                Err(error) if error.kind().is_transient() => return Err(error),
                Err(error) => self.keep(&mut asked, self.failed(error)?).await?,
            },
            (None, None) => match self.work(&asked, wish).await {
                Ok(Outcome::Said(reply)) => self.keep(&mut asked, reply).await?,
                Ok(Outcome::Secret(reply)) => reply,
                Ok(Outcome::Waits(reply, waits)) => {
                    self.say(&asked, &reply).await?;
                    asked.waits = Some(waits);
                    self.services.catalog.keep_interaction(&self.stored.id, asked.to_json()?).await?;
                    return Err(not_yet(Duration::from_secs(1)));
                }
                Err(error) => self.keep(&mut asked, self.failed(error)?).await?,
            },
        };
        self.say(&asked, &reply).await?;
        self.services.catalog.answered(&self.stored.id).await
    }

    async fn work(&self, asked: &Asked, wish: &Wish) -> Result<Outcome> {
        let visitor = Visitor::in_chat(self.services, asked).await?;
        match wish {
            Wish::Command { path, options } => {
                let words = Words { path: path.clone(), options: options.clone() };
                let request = match Request::from_words(&words) {
                    Ok(request) => request,
                    Err(error) => {
                        let what = NewRecord::new(&visitor.by, "command", Verdict::Refused).about(words.path.join(" "));
                        self.services.catalog.record(what.detail(why(&error))).await?;
                        return Err(error);
                    }
                };
                perform(self.services, &visitor, request, Some(&self.stored.id)).await
            }
            Wish::Press(button) => press(self.services, &visitor, button).await,
        }
    }

    /// What passes by itself is tried again while that helps whoever waits.
    fn failed(&self, error: Error) -> Result<Reply> {
        if matches!(error.kind(), Kind::Busy { .. }) && self.waited() < PATIENCE {
            return Err(error);
        }
        if words::is_unexpected(&error) {
            tracing::error!(id = self.stored.id, "cannot do what was asked: {}", error.for_log());
        }
        Ok(words::error(&error, &self.stored.id))
    }

    fn waited(&self) -> Duration {
        (Utc::now() - self.stored.received_at).to_std().unwrap_or_default()
    }

    async fn keep(&self, asked: &mut Asked, reply: Reply) -> Result<Reply> {
        asked.waits = None;
        asked.said = Some(reply.clone());
        self.services.catalog.keep_interaction(&self.stored.id, asked.to_json()?).await?;
        Ok(reply)
    }

    async fn say(&self, asked: &Asked, reply: &Reply) -> Result<()> {
        match self.platform.reply(&self.to, reply).await {
            Err(error) if error.kind() == Kind::NotFound && self.waited() < FIRST_ANSWER_ARRIVES => {
                Err(Error::busy("the platform does not know yet what is to be answered").detail(error.for_log()))
            }
            Err(error) if error.kind() == Kind::NotFound => self.too_late(asked).await,
            Err(error) if error.kind().is_transient() => Err(error),
            Err(error) => {
                tracing::error!(id = self.stored.id, "cannot say what came of it: {}", error.for_log());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Nobody can be answered privately any more. Where it matters, a message that names nothing leads back to it.
    async fn too_late(&self, asked: &Asked) -> Result<()> {
        // What a button does has a message of its own in the channel.
        let command = matches!(asked.wish, Wish::Command { .. });
        let (Some(channel), Some(_), true) = (&asked.channel, &asked.said, command) else {
            tracing::info!(id = self.stored.id, "answered too late; nothing was said");
            return Ok(());
        };
        let show = Button::Answer { asked: self.stored.id.clone() };
        let reply = words::ready(&asked.person).button(Look::Main, "Show", show.to_string());
        match self.platform.post(channel, &reply, &self.stored.id).await {
            Err(error) if error.kind().is_transient() => Err(error),
            Err(error) => {
                tracing::warn!(id = self.stored.id, "answered too late: {}", error.for_log());
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

fn not_yet(pause: Duration) -> Error {
    Error::throttled(pause, "what was asked is under way")
}

/// Does what is asked, if it is allowed. `id`: under which it is kept.
pub(super) async fn perform(
    services: &Services,
    visitor: &Visitor,
    request: Request,
    id: Option<&str>,
) -> Result<Outcome> {
    let action = request.action();
    let subject = subject(&request);
    let record = async |verdict, error: Option<&Error>| {
        let mut record = NewRecord::new(&visitor.by, action, verdict).detail(error.map(why).unwrap_or_default());
        record.subject.clone_from(&subject);
        services.catalog.record(record).await
    };
    let repository = match request.needs() {
        None => None,
        Some((role, over)) => match visitor.check(services, role, over).await {
            Ok(repository) => repository,
            Err(error) => {
                record(Verdict::Refused, Some(&error)).await?;
                return Err(error);
            }
        },
    };
    let recorded_elsewhere = matches!(
        request,
        Request::Restore { .. }
            | Request::Unlink
            | Request::Claim { .. }
            | Request::Policy(Policy::Approve { .. } | Policy::Revoke { .. })
    );
    // Nothing is changed before it is confirmed.
    let only_shown = matches!(request, Request::Policy(Policy::Set { .. } | Policy::Assign { .. }));
    let done = dispatch(services, visitor, request, repository, id).await;
    match &done {
        _ if recorded_elsewhere || action == "help" => {}
        Ok(Outcome::Waits(..)) => record(Verdict::Asked, None).await?,
        Ok(_) if only_shown => record(Verdict::Asked, None).await?,
        Ok(_) => record(Verdict::Done, None).await?,
        Err(error) if refuses(error) => record(Verdict::Refused, Some(error)).await?,
        Err(error) => record(Verdict::Failed, Some(error)).await?,
    }
    done
}

async fn dispatch(
    services: &Services,
    visitor: &Visitor,
    request: Request,
    repository: Option<crate::catalog::Repository>,
    id: Option<&str>,
) -> Result<Outcome> {
    let this = || repository.as_ref().ok_or_else(|| Error::bug("a request about a repository came without one"));
    match request {
        Request::Status { repo: None } => looks::status(services, visitor).await.map(Outcome::from),
        Request::Status { repo: Some(_) } => looks::repository(services, this()?).await.map(Outcome::from),
        Request::Snapshots { .. } => looks::snapshots(services, visitor, this()?).await.map(Outcome::from),
        Request::Journal { name, .. } => {
            looks::journal(services, visitor, this()?, name.as_deref()).await.map(Outcome::from)
        }
        Request::Credentials => looks::credentials(services).await.map(Outcome::from),
        Request::Backup { .. } => work::Work::Backup.begin(services, this()?).await,
        Request::Verify { .. } => work::Work::Verify.begin(services, this()?).await,
        Request::Drill { .. } => work::Work::Drill.begin(services, this()?).await,
        Request::Restore { refs, at, to, .. } => {
            restores::propose(services, visitor, this()?, refs, at, to).await.map(Outcome::from)
        }
        Request::Policy(Policy::Explain { .. }) => {
            // The name alone may be another's, too.
            let explain = Policy::Explain { repo: this()?.lasting_address() };
            policies::perform(services, visitor, explain, id).await
        }
        Request::Policy(request) => policies::perform(services, visitor, request, id).await,
        Request::Link { host } => link::begin(services, visitor, host.as_deref()).await,
        Request::Unlink => link::end(services, visitor).await.map(Outcome::from),
        Request::Claim { code } => link::claim(services, visitor, &code).await.map(Outcome::from),
        Request::Help => Ok(help::help(visitor).into()),
    }
}

/// Does what a button does, and records that it was pressed: what it changes is recorded with the change.
pub(super) async fn press(services: &Services, visitor: &Visitor, id: &str) -> Result<Outcome> {
    let pressed = async { do_what_it_says(services, visitor, &id.parse()?).await }.await;
    let (verdict, detail) = match &pressed {
        Ok(Outcome::Waits(..)) => (Verdict::Asked, Value::Null),
        Ok(_) => (Verdict::Done, Value::Null),
        Err(error) if refuses(error) => (Verdict::Refused, why(error)),
        Err(error) => (Verdict::Failed, why(error)),
    };
    services.catalog.record(NewRecord::new(&visitor.by, "press", verdict).about(id).detail(detail)).await?;
    pressed
}

async fn do_what_it_says(services: &Services, visitor: &Visitor, button: &Button) -> Result<Outcome> {
    match button {
        Button::Change { asked, means } => policies::confirm(services, visitor, asked, means).await.map(Outcome::from),
        Button::Look { change } => policies::look(services, visitor, *change).await.map(Outcome::from),
        Button::Agree { change } => policies::approve(services, visitor, *change).await.map(Outcome::from),
        Button::Revoke { change } => policies::revoke(services, visitor, *change).await.map(Outcome::from),
        Button::Answer { asked } => again(services, visitor, asked).await.map(Outcome::from),
        button => restores::press(services, visitor, button).await,
    }
}

/// What came of it, for whoever asked it, if they may still see it.
async fn again(services: &Services, visitor: &Visitor, id: &str) -> Result<Reply> {
    let gone = || Error::not_found("this answer is not kept any more, or it is somebody else's").hint("ask again");
    let stored = services.catalog.interaction(id).await.map_err(|_| gone())?;
    let asked = Asked::read(&stored)?;
    let reply = asked.said.filter(|_| asked.person == visitor.person).ok_or_else(gone)?;
    let Wish::Command { path, options } = asked.wish else { return Err(gone()) };
    let Ok(request) = Request::from_words(&Words { path, options }) else { return Ok(reply) };
    let Some((role, over)) = request.needs() else { return Ok(reply) };
    let repository = visitor.check(services, role, over).await?;
    if let (Some(repository), true) = (repository, request.reads()) {
        visitor.reads(services, &repository).await?;
    }
    Ok(reply)
}

fn subject(request: &Request) -> Option<String> {
    match request {
        Request::Status { repo } => repo.as_ref().map(ToString::to_string),
        Request::Snapshots { repo }
        | Request::Journal { repo, .. }
        | Request::Backup { repo }
        | Request::Verify { repo }
        | Request::Drill { repo }
        | Request::Restore { repo, .. }
        | Request::Policy(Policy::Explain { repo }) => Some(repo.to_string()),
        Request::Policy(Policy::Set { name, .. } | Policy::Assign { name, .. }) => Some(name.clone()),
        Request::Policy(Policy::Show { name } | Policy::History { name }) => name.clone(),
        Request::Policy(Policy::Approve { change } | Policy::Revoke { change }) => Some(format!("change {change}")),
        Request::Credentials | Request::Link { .. } | Request::Unlink | Request::Claim { .. } | Request::Help => None,
    }
}

fn why(error: &Error) -> Value {
    json!({ "why": error.to_string() })
}

fn refuses(error: &Error) -> bool {
    matches!(error.kind(), Kind::NotAllowed | Kind::NotFound | Kind::BadRequest)
}
