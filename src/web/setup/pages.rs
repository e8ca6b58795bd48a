//! The pages, and what every one of them is sent with. They need no script, so none may run.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::domain::{Error, Kind, Result};
use crate::ops::apps::AppRow;
use crate::ops::connect::ConnectionRow;
use crate::ops::setup::{Authority, Steps};
use crate::web::error::status_of;

pub(in crate::web) const STYLE: &str = include_str!("../../../templates/setup/style.css");

/// Asks for a code.
#[derive(Template)]
#[template(path = "setup/code.html")]
pub(super) struct Code<'a> {
    pub trouble: Option<&'a str>,
}

/// Asks what to register.
#[derive(Template)]
#[template(path = "setup/wish.html")]
pub(super) struct WishForm {
    pub apps: Vec<AppRow>,
    /// Where people can let us act for them instead.
    pub authorities: Vec<Authority>,
    /// Connections that somebody has signed in for.
    pub signed_in: Vec<String>,
    pub token: String,
    pub trouble: Option<String>,
}

/// Asks what to connect, and as which client.
#[derive(Template)]
#[template(path = "setup/connect.html")]
pub(super) struct ConnectForm {
    pub slug: &'static str,
    pub title: &'static str,
    pub token: String,
    pub trouble: Option<String>,
    pub name: String,
    pub url: String,
    pub authority: String,
    pub tenant: String,
    pub client_id: String,
}

/// Sends the browser to the authority.
#[derive(Template)]
#[template(path = "setup/sign-in.html")]
pub(super) struct StepsPage {
    pub steps: Steps,
}

/// What came of that.
#[derive(Template)]
#[template(path = "setup/connected.html")]
pub(super) struct ConnectedPage {
    pub row: ConnectionRow,
}

/// Sends the browser to the forge to register one App.
#[derive(Template)]
#[template(path = "setup/next.html")]
pub(super) struct NextApp {
    pub role: &'static str,
    pub number: u8,
    pub owner: String,
    pub host: String,
    pub more: usize,
    pub action: String,
    pub manifest: String,
}

/// Where the Apps are installed.
#[derive(Template)]
#[template(path = "setup/apps.html")]
pub(super) struct AppsPage {
    pub apps: Vec<AppRow>,
    /// The forge's answer is in there.
    pub done: bool,
    /// The browser came from asking an owner.
    pub requested: bool,
    /// What is to be registered next.
    pub next: Option<u8>,
}

/// Says something.
#[derive(Template)]
#[template(path = "setup/told.html")]
pub(in crate::web) struct Told<'a> {
    pub title: &'a str,
    pub text: &'a str,
    pub hint: Option<&'a str>,
}

/// A page whose forms stay here.
pub(in crate::web) fn page(status: StatusCode, page: &impl Template) -> Result<HttpResponse> {
    sent(status, page, "'self'")
}

/// A page whose form leads to the forge, which may send the browser on to wherever its people sign in: browsers hold
/// `form-action` against redirects, too.
pub(super) fn page_to_forge(page: &impl Template, forge: &str) -> Result<HttpResponse> {
    sent(StatusCode::OK, page, &format!("{forge} https:"))
}

fn sent(status: StatusCode, page: &impl Template, forms: &str) -> Result<HttpResponse> {
    let html = page.render().map_err(|error| Error::bug("cannot write a page").detail(error))?;
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action {forms}; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Addresses of these pages hold codes and states.
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Ok(response.content_type("text/html; charset=utf-8").body(html))
}

/// An error as a page.
#[derive(Debug)]
pub(in crate::web) struct Trouble(Error);

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Trouble {
    fn status_code(&self) -> StatusCode {
        status_of(self.0.kind())
    }

    fn error_response(&self) -> HttpResponse {
        if self.status_code().is_server_error() {
            tracing::error!("a page: {}", self.0.for_log());
        }
        let text = match self.0.kind() {
            Kind::Bug => "Something is wrong inside the service; its log says what.".to_owned(),
            _ => self.0.to_string(),
        };
        let told = Told { title: "That did not work", text: &text, hint: self.0.next_step() };
        page(self.status_code(), &told).unwrap_or_else(|_| HttpResponse::InternalServerError().finish())
    }
}
