//! A look at all repositories of an owner: what there is, and a mark of each that changes when something is pushed.
//!
//! One query of GraphQL tells of a hundred repositories, their last push, their default branch, and how many branches and
//! tags they have. REST tells less of as many: the time of the last push alone. It serves where GraphQL does not answer,
//! and where an App was given chosen repositories, because GraphQL lists public ones beside them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::repositories;
use crate::domain::{Availability, Error, Kind, RemoteRepository, Result};
use crate::forge::{Mark, Survey, Surveyed};

/// Times of pushes are whole seconds, and replicas lag: another push may hide behind one as young as this.
const YOUNG: TimeDelta = TimeDelta::minutes(1);

const QUERY: &str = include_str!("survey.graphql");

/// What GraphQL says of an owner's repositories. `None`: it does not answer here, or not in full.
pub(super) async fn by_graphql(api: &Api, owner: &str) -> Result<Option<Survey>> {
    let mut survey = Survey::default();
    let mut cursor = Value::Null;
    loop {
        let asked = api.query::<Reply>(QUERY, &json!({ "owner": owner, "cursor": cursor })).await;
        let reply = match asked {
            Ok(reply) => reply,
            Err(error) if is_a_wait(&error) => {
                return Err(error.while_doing(format!("listing the repositories of `{owner}`")));
            }
            // Not every server has GraphQL, not every token may ask for all of this, and not every query is answered in
            // time or in full.
            Err(error) => {
                tracing::debug!(owner, "no survey by GraphQL: {}", error.for_log());
                return Ok(None);
            }
        };
        let Some(owner) = reply.repository_owner else { return Ok(None) };
        survey.repositories.extend(owner.repositories.nodes.into_iter().flatten().map(Node::surveyed));
        match owner.repositories.page_info {
            Page { has_next_page: true, end_cursor: Some(next) } if cursor != next => cursor = next.into(),
            _ => return Ok(Some(survey)),
        }
    }
}

/// To ask another way would be to dodge a limit.
fn is_a_wait(error: &Error) -> bool {
    matches!(error.kind(), Kind::Throttled { .. } | Kind::Remote { retry_after: Some(_) })
}

/// What REST says of them.
pub(super) async fn by_rest(api: &Api, owner: &str) -> Result<Survey> {
    let (_, repositories) = repositories::find(api, owner).await?;
    Ok(Survey { repositories, ..Survey::default() })
}

/// What an installation was given.
pub(super) async fn of_installation(api: &Api) -> Result<Survey> {
    let repositories = repositories::installed(api).await?;
    Ok(Survey { repositories, ..Survey::default() })
}

/// The mark for what is known of a repository's state, as far as it is known: the least comes first, so that a mark that
/// tells less is the beginning of one that tells more. `touched` is when something else happened that may have moved a
/// reference.
pub(super) fn mark(pushed_at: Option<DateTime<Utc>>, touched: Option<DateTime<Utc>>, state: &[String]) -> Mark {
    let Some(pushed_at) = pushed_at else { return Mark::Untold };
    if Utc::now() - touched.map_or(pushed_at, |touched| touched.max(pushed_at)) < YOUNG {
        return Mark::Moving;
    }
    Mark::Told(std::iter::once(&pushed_at.timestamp().to_string()).chain(state).cloned().collect::<Vec<_>>().join("/"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    repository_owner: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    repositories: Connection,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    page_info: Page,
    nodes: Vec<Option<Node>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    database_id: u64,
    name_with_owner: String,
    is_private: bool,
    is_archived: bool,
    visibility: String,
    pushed_at: Option<DateTime<Utc>>,
    default_branch_ref: Option<Branch>,
    branches: Option<Count>,
    tags: Option<Count>,
    pull_requests: PullRequests,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    oid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    total_count: u64,
}

#[derive(Deserialize)]
struct PullRequests {
    nodes: Vec<Option<PullRequest>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    updated_at: DateTime<Utc>,
}

impl Node {
    fn surveyed(self) -> Surveyed {
        let tip = self.default_branch_ref.as_ref().and_then(|branch| branch.target.as_ref());
        let tip = tip.map_or("-", |target| &target.oid);
        let count = |of: &Option<Count>| of.as_ref().map_or(0, |count| count.total_count);
        // Commits come to pull requests from forks without a push to the repository.
        let touched = self.pull_requests.nodes.iter().flatten().map(|request| request.updated_at).max();
        let state = [
            tip.to_owned(),
            count(&self.branches).to_string(),
            count(&self.tags).to_string(),
            touched.map_or_else(|| "-".to_owned(), |touched| touched.timestamp().to_string()),
        ];
        let mark = mark(self.pushed_at, touched, &state);
        let repository = RemoteRepository {
            forge_id: self.database_id.to_string(),
            full_name: self.name_with_owner,
            private: self.is_private,
            archived: self.is_archived,
            default_branch: self.default_branch_ref.map(|branch| branch.name),
        };
        let visibility = Some(self.visibility.to_ascii_lowercase());
        Surveyed { repository, visibility, mark, availability: Availability::Open, scope: None }
    }
}
