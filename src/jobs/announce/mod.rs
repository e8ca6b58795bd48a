//! Tells chat channels what happens: each hears of what it is for, in one message for each thing that it is about.
//!
//! To the outbox a channel is a receiver of its own, `discord:CHANNEL`: what one of them refuses holds up no other, and each
//! gets everything in order.

mod names;
mod rule;
mod say;
mod wording;

use uuid::Uuid;

use crate::catalog::{NewAlarm, NewNotice, Posted, RESOLVED, StoredNotice};
use crate::chat::{Platform, Reply, Tone};
use crate::domain::policy::{Notify, RepositoryFacts, Threshold};
use crate::domain::{Error, Result, Severity, command};
use crate::notify::Told;
use crate::services::Services;

use super::alarms;

pub(super) use names::Names;
pub use rule::Rule;
pub use say::{Spot, say};

/// The alarm about a channel that does not take what it should be told, and the beginning of its subject.
const REFUSED: &str = "channel.refused";
const RECEIVER: &str = "receiver:";

/// A channel of a chat that is told of notices.
pub(super) struct Channel<'a> {
    services: &'a Services,
    platform: &'a dyn Platform,
    id: &'a str,
    receiver: &'a str,
    rule: Rule,
}

impl<'a> Channel<'a> {
    /// The channel that is called so in the outbox. `None`: the settings have no such, or no longer.
    pub(super) fn open(services: &'a Services, receiver: &'a str) -> Result<Option<Self>> {
        let Some((chat, id)) = receiver.split_once(':') else { return Ok(None) };
        let Some(platform) = services.chat(chat) else { return Ok(None) };
        let Some(channel) = platform.channels().iter().find(|channel| channel.id == id) else { return Ok(None) };
        Ok(Some(Self { services, platform: platform.as_ref(), id, receiver, rule: Rule::new(channel)? }))
    }

    /// What is for this channel to hear. The rest is withdrawn.
    pub(super) async fn sort_out(&self, waiting: Vec<Posted>) -> Result<Vec<Posted>> {
        let names = Names::read(self.services, waiting.iter().map(|posted| &posted.notice)).await?;
        let (ours, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|posted| posted.tried || self.is_for(&names, &posted.notice));
        let others: Vec<i64> = others.iter().map(|posted| posted.id).collect();
        self.services.catalog.withdraw(&others).await?;
        Ok(ours)
    }

    fn is_for(&self, names: &Names, notice: &StoredNotice) -> bool {
        // That it could not be told is not for itself to hear.
        if notice.subject.as_deref() == Some(&refused_subject(self.receiver)) {
            return false;
        }
        match names.repository(notice) {
            Some(repository) => self.rule.covers(repository),
            None => self.rule.covers_connection(names.connection(notice)),
        }
    }

    /// Tells one notice, in the message that its subject has, or many in one that sums them up. `once` names this attempt
    /// and every repetition of it.
    pub(super) async fn tell(&self, together: Vec<Posted>, once: &str) -> Result<()> {
        let told = self.speak(together, once).await;
        keep_standing(self.services, self.receiver, told.as_ref().err()).await?;
        told
    }

    async fn speak(&self, together: Vec<Posted>, once: &str) -> Result<()> {
        let notices: Vec<StoredNotice> = together.into_iter().map(|posted| posted.notice).collect();
        match <[StoredNotice; 1]>::try_from(notices) {
            Ok([notice]) => self.go_on(notice, once).await,
            Err(many) => self.sum_up(many, once).await,
        }
    }

    async fn go_on(&self, notice: StoredNotice, once: &str) -> Result<()> {
        let mut story = self.services.catalog.told_before(self.receiver, &notice).await?;
        story.push(notice);
        let thread = thread(&story);
        let names = Names::read(self.services, thread.iter()).await?;
        let told: Vec<Told> = thread.iter().map(|notice| names.told(notice.clone())).collect();
        let subject = format!("notice:{}", told.first().map_or(0, |first| first.id));
        self.say(&subject, &wording::thread(&told), once).await
    }

    async fn sum_up(&self, many: Vec<StoredNotice>, once: &str) -> Result<()> {
        let names = Names::read(self.services, many.iter()).await?;
        let told: Vec<(Told, String)> = many.into_iter().map(|notice| names.told_with_place(notice)).collect();
        self.say(once, &wording::summary(&told), once).await
    }

    async fn say(&self, subject: &str, reply: &Reply, once: &str) -> Result<()> {
        let spot = Spot { platform: self.platform, channel: self.id, subject };
        say(&self.services.catalog, &spot, reply, once).await
    }
}

/// The notices that one message tells: what happens to the same thing on the same day, and that it is over, whenever that
/// is. What comes after the end, or on another day, is news: it deserves a message that is not above a hundred others.
fn thread(story: &[StoredNotice]) -> &[StoredNotice] {
    let goes_on = |before: &StoredNotice, then: &StoredNotice| {
        before.kind != RESOLVED && (then.kind == RESOLVED || then.at.date_naive() == before.at.date_naive())
    };
    let begins = story.windows(2).rposition(|pair| !goes_on(&pair[0], &pair[1]));
    begins.map_or(story, |before| &story[before + 1..])
}

/// Whether a channel wants even what is only good to know of this repository.
pub(super) fn anybody_curious(services: &Services, notify: &Notify, repository: &RepositoryFacts) -> Result<bool> {
    for platform in &services.chats {
        let said = notify.severity.get(platform.slug());
        for channel in platform.channels() {
            let curious = said.map_or(channel.severity == Severity::Info, |least| *least == Threshold::Info);
            if curious && Rule::new(channel)?.covers(repository) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Says this in every channel, now; what came of it, by the channel's name in the outbox.
pub async fn try_channels(services: &Services, text: &str) -> Vec<(String, Result<()>)> {
    let mut tried = Vec::new();
    for platform in &services.chats {
        for channel in platform.channels() {
            let said = async {
                Rule::new(channel)?;
                let once = Uuid::new_v4().simple().to_string();
                platform.post(&channel.id, &Reply::new(Tone::Plain, text), &once).await.map(drop)
            };
            tried.push((format!("{}:{}", platform.slug(), channel.id), said.await));
        }
    }
    tried
}

/// Raises an alarm about a channel that will not be told anything until a person does something, and ends it.
pub async fn keep_standing(services: &Services, receiver: &str, refused: Option<&Error>) -> Result<()> {
    let subject = refused_subject(receiver);
    match refused {
        Some(error) if error.kind().is_transient() => Ok(()),
        Some(error) => {
            let notice = NewNotice {
                kind: REFUSED,
                severity: Severity::Warning,
                text: format!("The channel {receiver} cannot be told anything: {error}. What waits for it is kept."),
                subject: Some(subject),
                command: command(["notices", "test"]),
                ..NewNotice::default()
            };
            services.catalog.raise(NewAlarm { notice, hold: Vec::new(), reason: String::new() }).await
        }
        None => alarms::over(services, subject, format!("The channel {receiver} is told again.")).await.map(drop),
    }
}

/// Ends the alarms about channels that the settings do not name any more: nobody will try whether they take messages.
pub(super) async fn forget_removed(services: &Services) -> Result<()> {
    let named = |receiver: &str| {
        let is = |chat: &str, id: &str| Some(services.chat(chat)?.channels().iter().any(|channel| channel.id == id));
        receiver.split_once(':').and_then(|(chat, id)| is(chat, id)).unwrap_or_default()
    };
    for alarm in services.catalog.alarms().await?.into_iter().filter(|alarm| alarm.kind == REFUSED) {
        let Some(receiver) = alarm.subject.strip_prefix(RECEIVER) else { continue };
        if !named(receiver) {
            let text = format!("The settings do not name the channel {receiver} any more.");
            alarms::over(services, alarm.subject.clone(), text).await?;
        }
    }
    Ok(())
}

fn refused_subject(receiver: &str) -> String {
    format!("{RECEIVER}{receiver}")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn notice(hour: i64, kind: &str) -> StoredNotice {
        StoredNotice {
            id: hour,
            at: DateTime::UNIX_EPOCH + TimeDelta::hours(hour),
            kind: kind.to_owned(),
            severity: Severity::Alarm,
            connection: None,
            repo: None,
            text: String::new(),
            subject: Some("repo:1:history".to_owned()),
            command: None,
            undo: None,
        }
    }

    fn told_together(story: &[(i64, &str)]) -> Vec<i64> {
        let story: Vec<StoredNotice> = story.iter().map(|&(hour, kind)| notice(hour, kind)).collect();
        thread(&story).iter().map(|notice| notice.id).collect()
    }

    #[test]
    fn what_happens_to_one_thing_on_one_day_is_one_message() {
        assert_eq!(told_together(&[(1, "x")]), [1]);
        assert_eq!(told_together(&[(1, "x"), (2, "x"), (23, "x")]), [1, 2, 23]);
        assert_eq!(told_together(&[(1, "x"), (2, "x"), (25, "x"), (26, "x")]), [25, 26]);
    }

    #[test]
    fn the_end_belongs_to_what_ends_and_what_comes_after_it_is_news() {
        assert_eq!(told_together(&[(1, "x"), (99, RESOLVED)]), [1, 99]);
        assert_eq!(told_together(&[(1, "x"), (2, RESOLVED), (3, "x")]), [3]);
        assert_eq!(told_together(&[(1, "x"), (2, RESOLVED), (3, "x"), (4, RESOLVED)]), [3, 4]);
    }
}
