//! What a forge promises, and how our GitHub adapter keeps it against a GitHub-like host.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "forge/addresses.rs"]
mod addresses;
#[path = "forge/azure.rs"]
mod azure;
#[path = "forge/azure_double.rs"]
mod azure_double;
#[path = "forge/azure/entra.rs"]
mod azure_entra;
#[path = "forge/azure/refusals.rs"]
mod azure_refusals;
#[path = "forge/azure/target.rs"]
mod azure_target;
#[path = "forge/contract.rs"]
mod contract;
#[path = "forge/demo.rs"]
mod demo;
#[path = "forge/double.rs"]
mod double;
#[path = "forge/errors.rs"]
mod errors;
#[path = "forge/examples.rs"]
mod examples;
#[path = "forge/git_server.rs"]
mod git_server;
#[path = "forge/inspection.rs"]
mod inspection;
#[path = "forge/listing.rs"]
mod listing;
#[path = "forge/openapi.rs"]
mod openapi;
#[path = "forge/payloads.rs"]
mod payloads;
#[path = "forge/people.rs"]
mod people;
#[path = "forge/refusals.rs"]
mod refusals;
#[path = "forge/rights.rs"]
mod rights;
#[path = "forge/signatures.rs"]
mod signatures;
#[path = "forge/survey.rs"]
mod survey;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use refward::domain::{ConnectionId, Error};
use refward::forge::quota::Quotas;
use refward::forge::{Forge, HookSecret, Net, Place, Posted, Signer, github};

/// The adapter over a client as the service makes it.
fn github() -> Box<dyn Forge> {
    github::connect(net(client()))
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.connect_timeout(std::time::Duration::from_secs(5)).build().unwrap()
}

fn net(http: reqwest::Client) -> Net {
    Net { http, quotas: Quotas::default() }
}

/// A repository by its name alone.
fn place(full_name: &str) -> Place<'_> {
    Place { forge_id: "1", full_name }
}

fn secret(connection: i64, text: &str) -> HookSecret {
    HookSecret { signer: Signer::Connection(ConnectionId(connection)), secret: text.into() }
}

/// As it comes to a path without a key.
fn posted(headers: &HeaderMap, body: impl Into<Bytes>) -> Posted<'_> {
    Posted { key: None, headers, body: body.into() }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    pairs.collect()
}

/// An error as a person would meet it.
fn told(error: &Error) -> String {
    format!("{:?}: {error}\n→ {}", error.kind(), error.next_step().unwrap_or("-"))
}
