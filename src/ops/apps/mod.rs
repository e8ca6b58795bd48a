//! Our Apps: registered with a forge once, installed by owners on their accounts.

mod add;
mod list;

use crate::catalog::StoredApp;
use crate::domain::{Error, Result};
use crate::forge::Apps;
use crate::services::Services;

pub use crate::catalog::InstallationState;
pub use crate::forge::Role;
pub use add::{ByHand, add};
pub use list::{AppRow, InstallationRow, RequestRow, list};

/// Apps of one role that an account may own here.
pub const MOST: u8 = 10;

/// What a forge does for Apps.
pub(super) fn of_forge<'a>(services: &'a Services, slug: &str) -> Result<&'a dyn Apps> {
    let apps = services.forge(slug)?.apps();
    apps.ok_or_else(|| Error::bad_request(format!("`{slug}` knows no Apps")))
}

/// The App with this name in addresses.
pub(super) async fn named(services: &Services, slug: &str) -> Result<StoredApp> {
    let mut found = services.catalog.apps().await?;
    found.retain(|app| app.facts.slug.eq_ignore_ascii_case(slug));
    match (found.pop(), found.is_empty()) {
        (Some(app), true) => Ok(app),
        (None, _) => Err(Error::not_found(format!("there is no App `{slug}` here")).hint("see `refward apps list`")),
        // Slugs are unique on a host only.
        (Some(_), false) => Err(Error::bad_request(format!("several hosts have an App `{slug}` of ours"))
            .hint("give its number: the id in `refward apps list --json`")),
    }
}
