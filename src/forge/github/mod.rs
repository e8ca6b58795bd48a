//! GitHub: github.com, GitHub Enterprise Cloud with data residency, and GitHub Enterprise Server.

mod access;
mod api;
mod errors;
mod hosts;
mod payload;
mod repositories;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use self::api::Api;
use self::hosts::Host;
use super::{Access, Delivery, Forge, HookSecret, Inspection, Rejected, Verified};
use crate::domain::{Error, RemoteRepository, Result};
use crate::git::{Credential, Remote};

/// The word for GitHub in paths, the database and the vault.
pub const SLUG: &str = "github";

/// The name that goes with a token over git. GitHub documents it for App tokens and takes any name with personal ones;
/// the login, which one report wants for those, is not always known (a token of an App has none).
const GIT_USER: &str = "x-access-token";

/// GitHub through `http`, which must not follow redirects: a client that does would carry on where we stop.
pub fn connect(http: reqwest::Client) -> Box<dyn Forge> {
    Box::new(Github { http })
}

struct Github {
    http: reqwest::Client,
}

impl Github {
    fn api(&self, access: &Access) -> Result<Api> {
        Api::new(self.http.clone(), Host::at(&access.url)?, &access.token)
    }
}

#[async_trait]
impl Forge for Github {
    fn slug(&self) -> &'static str {
        SLUG
    }

    fn verify(&self, headers: &HeaderMap, body: Bytes, secrets: &[HookSecret]) -> Result<Verified, Rejected> {
        verify::verify(headers, body, secrets)
    }

    fn read(&self, verified: &Verified) -> Result<Delivery, Rejected> {
        payload::read(verified)
    }

    fn settle_url(&self, url: &Url) -> Result<Url> {
        Host::at(url).map(|host| host.web)
    }

    async fn inspect(&self, access: &Access) -> Result<Inspection> {
        access::inspect(&self.api(access)?, access).await
    }

    async fn repositories(&self, access: &Access) -> Result<Vec<RemoteRepository>> {
        repositories::all(&self.api(access)?, &access.owner).await
    }

    fn remote(&self, access: &Access, full_name: &str) -> Result<Remote> {
        let mut url = Host::at(&access.url)?.web;
        match full_name.split_once('/') {
            Some((owner, name)) if repositories::is_name(owner) && repositories::is_name(name) => {
                let mut path = url.path_segments_mut().map_err(|()| Error::bug("a host's address has no path"))?;
                path.pop_if_empty().push(owner).push(&format!("{name}.git"));
            }
            _ => return Err(Error::bad_request(format!("`{}` is not OWNER/NAME", full_name.escape_debug()))),
        }
        let credential = Credential { username: GIT_USER.to_owned(), password: access.token.clone() };
        Ok(Remote { url, credential: Some(Arc::new(credential)) })
    }
}
