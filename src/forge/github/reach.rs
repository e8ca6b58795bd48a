//! Which of a host's addresses answer, and its pages for people.

use http::StatusCode;
use url::Url;

use super::api::{Api, Bearer};
use super::apps::page as page_at;
use super::errors;
use super::git_address;
use super::hosts::Host;
use crate::domain::{Error, Result};
use crate::forge::line::silence;
use crate::forge::quota::Urgency;
use crate::forge::{Net, Page, Reached};

/// Whoever answers is there: a server in private mode refuses everybody without a credential.
pub(super) async fn reach(net: &Net, host: Host) -> Result<Vec<Reached>> {
    let (web, api) = (host.web.clone(), host.api());
    let answered = net.http.get(web.clone()).send().await;
    let outcome = match answered.map(|answer| answer.status()) {
        Ok(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => Err(errors::proxy_wants_password()),
        Ok(status) if status.is_server_error() => {
            Err(Error::remote(format!("{} is in trouble: it answers {status}", host.name())))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(silence(&host.name(), &error)),
    };
    let web = Reached { what: "web and git", address: web.into(), outcome };
    let anybody = Api::new(net, host, "nobody", Bearer::Nobody, Urgency::Person)?;
    let outcome = anybody.get("/meta").await.and_then(|answer| match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if !errors::is_web_page(&answer) => {
            Ok(())
        }
        _ => errors::refusal(&anybody.host, &answer).map_or(Ok(()), Err),
    });
    Ok(vec![web, Reached { what: "API", address: format!("{api}{}", anybody.host.version()), outcome }])
}

/// <https://docs.github.com/en/repositories/creating-and-managing-repositories/creating-a-new-repository#creating-a-repository-from-a-url-query>
pub(super) fn page(host: &Host, page: Page<'_>) -> Result<Url> {
    match page {
        Page::Hooks(owner) => page_at(host, &["organizations", owner, "settings", "hooks"]),
        Page::Installations(owner) => page_at(host, &["organizations", owner, "settings", "installations"]),
        Page::Tokens => page_at(host, &["settings", "tokens"]),
        Page::NewRepository(full_name) => {
            let (owner, name) = full_name.split_once('/').ok_or_else(|| Error::bug("a repository without an owner"))?;
            let mut url = page_at(host, &["new"])?;
            url.query_pairs_mut().extend_pairs([("owner", owner), ("name", name), ("visibility", "private")]);
            Ok(url)
        }
        Page::Branch(full_name, branch) => {
            let below: Vec<&str> = ["tree"].into_iter().chain(branch.split('/')).collect();
            below_repository(host, full_name, &below)
        }
        Page::Between(full_name, old, new) => {
            below_repository(host, full_name, &["compare", &format!("{old}...{new}")])
        }
    }
}

/// References may be called almost anything; what stands for more than itself in an address is encoded.
fn below_repository(host: &Host, full_name: &str, below: &[&str]) -> Result<Url> {
    let mut url = git_address(&host.web, full_name)?;
    let name = full_name.rsplit('/').next().unwrap_or_default();
    let mut path = url.path_segments_mut().map_err(|()| Error::bug("a host's address has no path"))?;
    path.pop().push(name).extend(below);
    drop(path);
    Ok(url)
}
