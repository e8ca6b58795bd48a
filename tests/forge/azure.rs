//! How the adapter for Azure DevOps keeps what a forge promises, against Services and Server.

#[path = "azure/addresses.rs"]
mod addresses;
#[path = "azure/api.rs"]
mod api;
#[path = "azure/errors.rs"]
mod errors;
#[path = "azure/inspection.rs"]
mod inspection;
#[path = "azure/limits.rs"]
mod limits;
#[path = "azure/listing.rs"]
mod listing;
#[path = "azure/payloads.rs"]
mod payloads;
#[path = "azure/survey.rs"]
mod survey;
#[path = "azure/verify.rs"]
mod verify;

use refward::forge::{Forge, azure_devops};

use crate::support::fake_azure_devops::FakeAzureDevops;
use crate::{client, net};

/// All that a token for backups is asked for.
const SCOPES: &[&str] = &["vso.project", "vso.code", "vso.work", "vso.build", "vso.wiki"];

/// The adapter over a client as the service makes it.
fn azure() -> Box<dyn Forge> {
    azure_devops::connect(net(client()))
}

/// What differs from run to run made a constant.
fn steady(host: &FakeAzureDevops, text: &str) -> String {
    let text = text.replace(&format!(":{}", host.host().port().unwrap()), ":PORT");
    let tenant = host.org("acme").tenant().to_string();
    text.replace(&tenant, "TENANT")
}
