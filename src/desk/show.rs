//! Brings a message of ours in a channel up to date: one for each restore, and for each change of policies that waits.

use async_trait::async_trait;

use super::{policies, restores};
use crate::catalog::job_kind;
use crate::chat::{Platform, Reply};
use crate::domain::{Error, Kind, RepoId, Result};
use crate::jobs::{Errand, Rule, Spot, say};
use crate::ops::{people, restores as ops};
use crate::services::Services;

/// The errand. Subjects are `restore:NUMBER` and `policy:NUMBER:PLATFORM:CHANNEL`.
pub(super) struct Show;

#[async_trait]
impl Errand for Show {
    fn kind(&self) -> &'static str {
        job_kind::SHOW
    }

    async fn run(&self, services: &Services, subject: &str) -> Result<()> {
        let unknown = || Error::bug(format!("nothing shows `{subject}`"));
        let number = |text: &str| text.parse::<i64>().map_err(|_| unknown());
        match subject.splitn(4, ':').collect::<Vec<_>>()[..] {
            ["restore", id] => restore(services, number(id)?).await,
            ["policy", id, platform, channel] => {
                let Some(reply) = policies::standing(services, number(id)?).await? else { return Ok(()) };
                let Some(platform) = services.chat(platform) else { return Ok(()) };
                stand(services, platform.as_ref(), channel, &format!("policy:{id}"), &reply).await
            }
            _ => Err(unknown()),
        }
    }
}

async fn restore(services: &Services, id: i64) -> Result<()> {
    let proposal = match ops::get(services, id).await {
        Err(error) if error.kind() == Kind::NotFound => return Ok(()),
        proposal => proposal?,
    };
    let (Some(platform), Some(channel)) = (services.chat(&proposal.origin.platform), &proposal.origin.channel) else {
        return Ok(());
    };
    let named = proposal.public || hears_of(services, platform.as_ref(), channel, &proposal.repo).await?;
    let Some(reply) = restores::standing(&proposal, named) else { return Ok(()) };
    stand(services, platform.as_ref(), channel, &format!("restore:{id}"), &reply).await
}

/// The settings say that this channel is told of this repository by name.
async fn hears_of(services: &Services, platform: &dyn Platform, channel: &str, repo: &RepoId) -> Result<bool> {
    let Some(rule) = platform.channels().iter().find(|rule| rule.id == channel) else { return Ok(false) };
    let repository = services.catalog.repository(repo).await?;
    Ok(Rule::new(rule)?.covers(&people::facts(services, &repository).await?))
}

/// Makes this what stands in the channel about that.
async fn stand(
    services: &Services,
    platform: &dyn Platform,
    channel: &str,
    subject: &str,
    reply: &Reply,
) -> Result<()> {
    let once = format!("{subject}: {}", reply.title);
    match say(&services.catalog, &Spot { platform, channel, subject }, reply, &once).await {
        // Whoever asked is answered privately; a channel that takes no messages holds nothing up.
        Err(error) if !error.kind().is_transient() => {
            tracing::warn!(channel, subject, "cannot say how it stands: {}", error.for_log());
            Ok(())
        }
        said => said,
    }
}
