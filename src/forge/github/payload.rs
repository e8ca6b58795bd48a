//! Foreign JSON to our words. Nothing but what we need is looked at, and nothing of that has to be there: GitHub's
//! payloads differ between products, versions and years.

use std::fmt;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::legible::legible;
use crate::domain::{Actor, Change, DeliveryId, Event, ObjectId, RefName, RemoteRepository};
use crate::forge::{Content, Delivery, Rejected, Verified};

/// Events that GitHub sends and that no backup needs.
const NOISE: &[&str] = &[
    "check_run",
    "check_suite",
    "code_scanning_alert",
    "dependabot_alert",
    "deployment",
    "deployment_protection_rule",
    "deployment_review",
    "deployment_status",
    "fork",
    "marketplace_purchase",
    "merge_group",
    "org_block",
    "package",
    "personal_access_token_request",
    "project",
    "project_card",
    "project_column",
    "registry_package",
    "repository_dispatch",
    "repository_vulnerability_alert",
    "secret_scanning_alert",
    "secret_scanning_alert_location",
    "secret_scanning_scan",
    "security_advisory",
    "sponsorship",
    "star",
    "status",
    "watch",
    "workflow_dispatch",
    "workflow_job",
    "workflow_run",
];

/// Where a payload may say when its event happened, most telling first.
const TIMES: &[&str] = &[
    "/comment/updated_at",
    "/review/submitted_at",
    "/issue/updated_at",
    "/pull_request/updated_at",
    "/discussion/updated_at",
    "/release/published_at",
    "/milestone/updated_at",
    "/rule/updated_at",
    "/repository_ruleset/updated_at",
    "/installation/updated_at",
];

pub(super) fn read(verified: &Verified) -> Result<Delivery, Rejected> {
    let payload = Payload::parse(verified)?;
    let name = header(verified.headers(), "x-github-event").ok_or(Rejected::Malformed("X-GitHub-Event is missing"))?;
    let id = header(verified.headers(), "x-github-delivery").and_then(|id| DeliveryId::parse(id).ok());
    let id = id.ok_or(Rejected::Malformed("X-GitHub-Delivery is missing or malformed"))?;
    let event = payload.action().map_or_else(|| name.to_owned(), |action| format!("{name}.{action}"));
    Ok(Delivery { id, event, installation: payload.installation(), scope: None, content: payload.content(name)? })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

/// Most of a push's bytes are lists of commits, which nobody here reads: git tells better.
const SKIPPED: &[&str] = &["commits", "head_commit"];

struct Payload(Value);

/// The members of an object but those that are skipped.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Payload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Payload, A::Error> {
                let mut kept = Map::new();
                while let Some(name) = members.next_key::<String>()? {
                    if SKIPPED.contains(&name.as_str()) {
                        members.next_value::<IgnoredAny>()?;
                    } else {
                        kept.insert(name, members.next_value()?);
                    }
                }
                Ok(Payload(Value::Object(kept)))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl Payload {
    fn parse(verified: &Verified) -> Result<Self, Rejected> {
        let declared = header(verified.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let value = match media_type.as_str() {
            "application/json" => parse(verified.body()),
            "application/x-www-form-urlencoded" => {
                let fields = url::form_urlencoded::parse(verified.body());
                let field = fields.into_iter().find(|(name, _)| name == "payload");
                let (_, text) = field.ok_or(Rejected::Malformed("the form has no field `payload`"))?;
                parse(text.as_bytes())
            }
            _ => return Err(Rejected::UnsupportedType),
        };
        value.map_err(|error: serde_json::Error| match error.classify() {
            Category::Data => Rejected::Malformed("the payload is not a JSON object"),
            _ => Rejected::Malformed("the payload is not JSON"),
        })
    }

    fn content(&self, name: &str) -> Result<Content, Rejected> {
        if name == "ping" {
            return Ok(Content::Ping);
        }
        let changes = self.changes(name);
        if changes.is_empty() {
            if !NOISE.contains(&name) {
                metrics::counter!("refward_events_not_understood_total", "forge" => super::SLUG, "event" => name.to_owned())
                    .increment(1);
            }
            return Ok(Content::Ignored);
        }
        let repository = self.repository();
        if repository.is_none() && !changes.iter().all(concerns_account) {
            return Err(Rejected::Malformed("the payload names no repository"));
        }
        let (actor, at) = (self.actor(), self.time(name));
        let event = |change| Event { repository: repository.clone(), actor: actor.clone(), at, change };
        Ok(Content::Events(changes.into_iter().map(event).collect()))
    }

    /// What has to be looked at again. Empty: nothing.
    fn changes(&self, name: &str) -> Vec<Change> {
        let action = self.action().unwrap_or("changed");
        let in_repository = self.0.get("repository").is_some_and(Value::is_object);
        let one = |change| vec![change];
        match name {
            "push" => one(self.push()),
            "create" | "delete" | "repository_import" => one(Change::Refs),
            "gollum" => one(Change::Wiki),
            "repository" => one(Change::Repository(action.to_owned())),
            "public" => one(Change::Repository("publicized".to_owned())),
            "installation"
            | "installation_repositories"
            | "installation_target"
            | "github_app_authorization"
            | "meta" => one(Change::Access(format!("{name}.{action}"))),
            "organization" if matches!(action, "renamed" | "deleted") => {
                one(Change::Access(format!("{name}.{action}")))
            }
            "organization" => one(Change::Account("members")),
            "issues" | "issue_comment" => self.issue(),
            "sub_issues" => self.numbers(&["/parent_issue/number", "/sub_issue/number"], Change::Issue),
            "issue_dependencies" => self.numbers(&["/blocked_issue/number", "/blocking_issue/number"], Change::Issue),
            "pull_request" => {
                // Its head and merge references move without an event of their own.
                let mut changes = self.numbers(&["/pull_request/number"], Change::PullRequest);
                changes.push(Change::Refs);
                changes
            }
            "pull_request_review" | "pull_request_review_comment" | "pull_request_review_thread" => {
                self.numbers(&["/pull_request/number"], Change::PullRequest)
            }
            "discussion" | "discussion_comment" => self.numbers(&["/discussion/number"], Change::Discussion),
            "release" => self.numbers(&["/release/id"], Change::Release),
            "repository_ruleset" if !in_repository => one(Change::Account("rulesets")),
            "team" if !in_repository => one(Change::Account("teams")),
            "membership" => one(Change::Account("teams")),
            "custom_property" => one(Change::Account("properties")),
            "projects_v2" | "projects_v2_item" | "projects_v2_status_update" => one(Change::Account("projects")),
            other => settings(other).map(Change::Settings).into_iter().collect(),
        }
    }

    fn push(&self) -> Change {
        let name = self.text("/ref").and_then(|name| name.parse::<RefName>().ok());
        let side = |path| self.text(path).and_then(|id| ObjectId::parse_nullable(id).ok());
        match (name, side("/before"), side("/after")) {
            (Some(name), Some(old), Some(new)) if old.is_some() || new.is_some() => {
                Change::Push { name, old, new, forced: self.0["forced"].as_bool().unwrap_or(false) }
            }
            // Something moved, even if we cannot tell what: the remote's references will.
            _ => Change::Refs,
        }
    }

    /// Comments on pull requests arrive as comments on issues.
    fn issue(&self) -> Vec<Change> {
        let is_pull_request = self.0.pointer("/issue/pull_request").is_some_and(Value::is_object);
        self.numbers(&["/issue/number"], if is_pull_request { Change::PullRequest } else { Change::Issue })
    }

    fn numbers(&self, paths: &[&str], change: fn(u64) -> Change) -> Vec<Change> {
        paths.iter().filter_map(|path| self.0.pointer(path)?.as_u64()).map(change).collect()
    }

    fn repository(&self) -> Option<RemoteRepository> {
        let repository = self.0.get("repository")?;
        let forge_id = match repository.get("id")? {
            Value::Number(id) => id.to_string(),
            Value::String(id) if !id.is_empty() => id.clone(),
            _ => return None,
        };
        let flag = |name: &str| repository.get(name).and_then(Value::as_bool);
        Some(RemoteRepository {
            forge_id,
            full_name: self.full_name()?,
            // Not told is treated as the one that needs more care.
            private: flag("private").unwrap_or(true),
            archived: flag("archived").unwrap_or(false),
            default_branch: self.text("/repository/default_branch").map(str::to_owned),
        })
    }

    /// `OWNER/NAME`. Older products tell the parts alone, and of the owner of a pushed repository the name, not the login.
    fn full_name(&self) -> Option<String> {
        let told = self.text("/repository/full_name").map(str::to_owned);
        told.or_else(|| {
            let owner = self.text("/repository/owner/login").or_else(|| self.text("/repository/owner/name"))?;
            Some(format!("{owner}/{}", self.text("/repository/name")?))
        })
    }

    /// A delivery of an App says on whose account.
    fn installation(&self) -> Option<String> {
        self.0.pointer("/installation/id")?.as_u64().map(|id| id.to_string())
    }

    fn actor(&self) -> Option<Actor> {
        self.text("/sender/login").or_else(|| self.text("/pusher/name")).map(|name| Actor(name.to_owned()))
    }

    fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        if name == "push" {
            return moment(self.0.pointer("/repository/pushed_at")?);
        }
        TIMES.iter().find_map(|path| moment(self.0.pointer(path)?))
    }

    fn action(&self) -> Option<&str> {
        self.text("/action")
    }

    /// What stands there, if it could be read.
    fn text(&self, path: &str) -> Option<&str> {
        self.0.pointer(path)?.as_str().filter(|text| !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER))
    }
}

/// One character that is none, in a description that nobody reads here, must not cost a push.
fn parse(body: &[u8]) -> serde_json::Result<Payload> {
    serde_json::from_slice(body).or_else(|error| serde_json::from_str(&legible(body)).map_err(|_| error))
}

/// Events that are about one kind of a repository's settings.
fn settings(event: &str) -> Option<&'static str> {
    Some(match event {
        "label" => "labels",
        "milestone" => "milestones",
        "commit_comment" => "commit_comments",
        "branch_protection_rule" | "branch_protection_configuration" => "protection",
        "repository_ruleset" => "rulesets",
        "member" | "team" | "team_add" => "people",
        "deploy_key" => "keys",
        "custom_property_values" => "properties",
        "security_and_analysis" => "security",
        "repository_advisory" => "advisories",
        "page_build" => "pages",
        _ => return None,
    })
}

fn concerns_account(change: &Change) -> bool {
    matches!(change, Change::Account(_) | Change::Access(_))
}

/// Seconds since 1970, or RFC 3339.
fn moment(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(seconds) => DateTime::from_timestamp(seconds.as_i64()?, 0),
        Value::String(text) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()),
        _ => None,
    }
}
