//! Whether an address answers, and its pages for people.

use http::StatusCode;
use url::Url;

use super::api::Api;
use super::errors;
use super::git_address;
use super::hosts::Host;
use crate::domain::{Error, Result};
use crate::forge::{Page, Reached};

/// Whoever answers is there: everything wants a credential first.
pub(super) async fn reach(anybody: &Api) -> Vec<Reached> {
    let answer = anybody.get(&["_apis", "connectionData"], &[("api-version", "5.0-preview")]).await;
    let outcome = answer.and_then(|answer| match answer.status {
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if !errors::is_web_page(&answer) => Ok(()),
        _ if errors::is_sign_in(&answer) => Ok(()),
        _ => anybody.refusal(&answer).map_or(Ok(()), Err),
    });
    vec![Reached { what: "web, API and git", address: anybody.host.web.to_string(), outcome }]
}

/// <https://learn.microsoft.com/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate>
pub(super) fn page(host: &Host, page: Page<'_>) -> Result<Url> {
    match page {
        // Hooks belong to projects, so there is no one page for all of them.
        Page::Hooks(_) | Page::Installations(_) => host.below(&["_settings"]),
        Page::Tokens => host.below(&["_usersSettings", "tokens"]),
        Page::NewRepository(full_name) => {
            let (project, _) = super::repositories::split(full_name)?;
            host.below(&[project, "_settings", "repositories"])
        }
        Page::Branch(full_name, branch) => {
            let mut url = git_address(&host.web, full_name)?;
            url.query_pairs_mut().append_pair("version", &format!("GB{branch}"));
            Ok(url)
        }
        Page::Between(full_name, old, new) => {
            let mut url = git_address(&host.web, full_name)?;
            url.path_segments_mut().map_err(|()| Error::bug("a host's address has no path"))?.push("branchCompare");
            let (base, target) = (format!("GC{old}"), format!("GC{new}"));
            url.query_pairs_mut().append_pair("baseVersion", &base).append_pair("targetVersion", &target);
            Ok(url)
        }
    }
}

/// Where people make tokens.
pub(super) fn tokens(host: &Host) -> String {
    format!("{}/_usersSettings/tokens", host.web)
}

/// Where people are added to an organization.
pub(super) fn users(host: &Host) -> String {
    format!("{}/_settings/users", host.web)
}
