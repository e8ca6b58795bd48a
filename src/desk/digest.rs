//! The daily digest: what went well is told once a day, to each channel about what it is for.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use humantime_serde::re::humantime;
use indicatif::DecimalBytes;

use crate::catalog::{Catalog, job_kind};
use crate::chat::{Line, Platform, Reply, Tone};
use crate::config::ChatChannel;
use crate::domain::policy::RepositoryFacts;
use crate::domain::{ProofKind, RepoId, Result};
use crate::jobs::{self, Errand, Rule, Spot, policies};
use crate::ops::health::Health;
use crate::ops::status::{RepoStatus, status};
use crate::services::Services;

/// What a digest looks back on.
const A_DAY: TimeDelta = TimeDelta::days(1);

/// Repositories that are not green and named; of the others it gives the number.
const NAMED: usize = 10;

/// Tells the digest that is due in a chat; the subject is the chat.
pub struct Digest;

#[async_trait]
impl Errand for Digest {
    fn kind(&self) -> &'static str {
        job_kind::DIGEST
    }

    async fn run(&self, services: &Services, subject: &str) -> Result<()> {
        let Some(chat) = services.chat(subject) else { return Ok(()) };
        let Some(day) = jobs::digest_due(&services.catalog, chat.as_ref()).await? else { return Ok(()) };
        let (news, subject) = (read(services, Utc::now() - A_DAY).await?, format!("digest:{day}"));
        let mut unreached = None;
        for channel in chat.channels() {
            let receiver = format!("{}:{}", chat.slug(), channel.id);
            let told = tell(&services.catalog, chat.as_ref(), channel, &subject, &news).await;
            jobs::keep_standing(services, &receiver, told.as_ref().err()).await?;
            match told {
                Err(error) if error.kind().is_transient() => unreached = Some(error),
                Err(error) => tracing::warn!(receiver, "the daily digest cannot be told: {}", error.for_log()),
                Ok(()) => {}
            }
        }
        match unreached {
            Some(error) => Err(error.while_doing("telling the daily digest")),
            None => jobs::digest_told(&services.catalog, chat.as_ref(), day).await,
        }
    }
}

/// Tells a channel, unless it was told already.
async fn tell(
    catalog: &Catalog,
    chat: &dyn Platform,
    channel: &ChatChannel,
    subject: &str,
    news: &[News],
) -> Result<()> {
    let rule = Rule::new(channel)?;
    let of_concern: Vec<&News> = news.iter().filter(|news| rule.covers(&news.facts)).collect();
    if of_concern.is_empty() || catalog.chat_message(chat.slug(), &channel.id, subject).await?.is_some() {
        return Ok(());
    }
    let spot = Spot { platform: chat, channel: &channel.id, subject };
    jobs::say(catalog, &spot, &wording(&of_concern), &format!("{subject}:{}", channel.id)).await
}

/// What is told of a repository that is to be backed up.
struct News {
    facts: RepositoryFacts,
    health: Health,
    why: Option<&'static str>,
    snapshots: u64,
    bytes: u64,
    /// The longest that a push took to be in a snapshot.
    lag: Option<Duration>,
    drills_passed: usize,
    drills_failed: usize,
}

async fn read(services: &Services, since: DateTime<Utc>) -> Result<Vec<News>> {
    let catalog = &services.catalog;
    let wanted = |one: &RepoStatus| !one.state.is_at_rest();
    let stands = status(catalog).await?.repositories.into_iter().filter(wanted);
    let mut stands: HashMap<(Option<String>, String), RepoStatus> =
        stands.map(|one| ((one.connection.clone(), one.repository.clone()), one)).collect();
    let stored = catalog.stored_since(since).await?;
    let mut lags: HashMap<String, Duration> = HashMap::new();
    for lag in catalog.lags(since).await?.into_iter().filter(|lag| lag.time >= since) {
        let longest = lags.entry(lag.repo).or_default();
        *longest = lag.lag.max(*longest);
    }
    let mut drills: HashMap<RepoId, (usize, usize)> = HashMap::new();
    for proof in catalog.proofs(None, since).await?.into_iter().filter(|proof| proof.report.kind == ProofKind::Drill) {
        let (passed, failed) = drills.entry(proof.report.repo).or_default();
        *(if proof.report.passed { passed } else { failed }) += 1;
    }
    let news = policies::facts(services).await?.into_iter().filter_map(|(repository, facts)| {
        let stands = stands.remove(&(Some(repository.connection), repository.full_name))?;
        let (snapshots, bytes) = stored.get(&facts.id).copied().unwrap_or_default();
        let (drills_passed, drills_failed) = drills.get(&facts.id).copied().unwrap_or_default();
        let lag = lags.get(facts.id.as_str()).copied();
        let (health, why) = (stands.health, stands.health_reason);
        Some(News { facts, health, why, snapshots, bytes, lag, drills_passed, drills_failed })
    });
    Ok(news.collect())
}

fn wording(news: &[&News]) -> Reply {
    let mut worrying: Vec<&News> = news.iter().copied().filter(|news| news.health != Health::Green).collect();
    // Stable: the red ones first, each by name.
    worrying.sort_by_key(|news| news.health != Health::Red);
    let (tone, title) = match worrying.first() {
        None => (Tone::Good, "The last 24 hours: everything is green".to_owned()),
        Some(worst) => {
            let tone = if worst.health == Health::Red { Tone::Bad } else { Tone::Careful };
            (tone, format!("The last 24 hours: {} of {} repositories are not green", worrying.len(), news.len()))
        }
    };
    let sum = |of: fn(&News) -> u64| news.iter().map(|news| of(news)).sum::<u64>();
    let stored = DecimalBytes(sum(|news| news.bytes));
    let mut reply = Reply::new(tone, title)
        .line(format!("Repositories: {}", news.len()))
        .line(format!("New snapshots: {}, {stored} stored", sum(|news| news.snapshots)));
    if let Some((slowest, lag)) = news.iter().filter_map(|news| Some((news, news.lag?))).max_by_key(|(_, lag)| *lag) {
        let lag = humantime::format_duration(Duration::from_secs(lag.as_secs().max(1)));
        reply = reply.line(
            Line::new().text(format!("From a push to its snapshot: {lag} at most, ")).code(&slowest.facts.full_name),
        );
    }
    let drills = |of: fn(&News) -> usize| news.iter().map(|news| of(news)).sum::<usize>();
    let (passed, failed) = (drills(|news| news.drills_passed), drills(|news| news.drills_failed));
    if passed + failed > 0 {
        reply = reply.line(format!("Restore drills: {passed} passed, {failed} failed"));
    }
    if worrying.is_empty() {
        return reply;
    }
    let row = |news: &&News| [news.facts.full_name.clone(), news.why.unwrap_or_default().to_owned()];
    reply = reply.table(["repository", "why it is not green"], worrying.iter().take(NAMED).map(row));
    match worrying.len().saturating_sub(NAMED) {
        0 => reply,
        more => reply.line(Line::new().text(format!("and {more} more: ")).code("refward status")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Block, Piece};

    fn news(name: &str, health: Health, why: Option<&'static str>) -> News {
        let facts = RepositoryFacts {
            id: RepoId::derive("github", "github.com", name),
            connection: "acme".to_owned(),
            full_name: name.to_owned(),
            groups: Vec::new(),
            archived: false,
            private: true,
        };
        let lag = Some(Duration::from_millis(31_400));
        News { facts, health, why, snapshots: 170, bytes: 600_000_000, lag, drills_passed: 1, drills_failed: 0 }
    }

    fn shown(reply: &Reply) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Code(text) => text.clone(),
            other => format!("{other:?}"),
        };
        let block = |block: &Block| match block {
            Block::Line(line) => line.0.iter().map(piece).collect(),
            Block::Table { rows, .. } => rows.iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n"),
            Block::Code(code) => code.clone(),
        };
        let head = format!("{:?}: {}", reply.tone, reply.title);
        std::iter::once(head).chain(reply.blocks.iter().map(block)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_good_day_takes_four_lines() {
        let two = [news("acme/api", Health::Green, None), news("acme/web", Health::Green, None)];
        insta::assert_snapshot!(shown(&wording(&two.iter().collect::<Vec<_>>())), @"
        Good: The last 24 hours: everything is green
        Repositories: 2
        New snapshots: 340, 1.20 GB stored
        From a push to its snapshot: 31s at most, acme/web
        Restore drills: 2 passed, 0 failed
        ");
    }

    #[test]
    fn what_is_not_green_is_named_the_red_ones_first() {
        let mut many: Vec<News> = (10..22)
            .map(|nth| news(&format!("acme/r{nth}"), Health::Amber, Some("a change is not backed up yet")))
            .collect();
        many.push(News { lag: None, drills_passed: 0, ..news("acme/z", Health::Red, Some("backups fail")) });
        many.push(news("acme/fine", Health::Green, None));
        insta::assert_snapshot!(shown(&wording(&many.iter().collect::<Vec<_>>())), @"
        Bad: The last 24 hours: 13 of 14 repositories are not green
        Repositories: 14
        New snapshots: 2380, 8.40 GB stored
        From a push to its snapshot: 31s at most, acme/fine
        Restore drills: 13 passed, 0 failed
        acme/z | backups fail
        acme/r10 | a change is not backed up yet
        acme/r11 | a change is not backed up yet
        acme/r12 | a change is not backed up yet
        acme/r13 | a change is not backed up yet
        acme/r14 | a change is not backed up yet
        acme/r15 | a change is not backed up yet
        acme/r16 | a change is not backed up yet
        acme/r17 | a change is not backed up yet
        acme/r18 | a change is not backed up yet
        and 3 more: refward status
        ");
    }
}
