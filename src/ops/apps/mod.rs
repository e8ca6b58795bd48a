//! Our Apps: registered with a forge once, installed by owners on their accounts.

mod add;
mod list;
mod remove;
mod rotate;

use crate::catalog::StoredApp;
use crate::domain::{Error, Result};
use crate::forge::Apps;
use crate::jobs;
use crate::services::Services;

pub use crate::catalog::InstallationState;
pub use crate::forge::Role;
pub use add::{ByHand, add};
pub(super) use add::{Place, keep};
pub use list::{AppRow, InstallationRow, RequestRow, list};
pub use remove::{Removal, plan_removal, remove};
pub use rotate::{retire_secrets, rotate_key, rotate_secret};

/// Apps of one role that an account may own here.
pub const MOST: u8 = 10;

/// Looks at the forge where one App, or every one, is installed now. Each is tried; the first error is returned.
pub async fn sync(services: &Services, slug: Option<&str>) -> Result<Vec<AppRow>> {
    let apps = match slug {
        Some(slug) => vec![named(services, slug).await?],
        None => services.catalog.apps().await?,
    };
    let mut outcome = Ok(());
    for app in &apps {
        outcome = outcome.and(jobs::follow_app(services, app.id).await);
    }
    outcome?;
    let rows = list(services).await?.into_iter();
    Ok(rows.filter(|row| apps.iter().any(|app| app.id == row.id)).collect())
}

/// What a forge does for Apps.
pub(super) fn of_forge<'a>(services: &'a Services, slug: &str) -> Result<&'a dyn Apps> {
    let apps = services.forge(slug)?.apps();
    apps.ok_or_else(|| Error::bad_request(format!("`{slug}` knows no Apps")))
}

/// The App with this name in addresses. Where several hosts have one, the first registered.
pub(super) async fn named(services: &Services, slug: &str) -> Result<StoredApp> {
    let apps = services.catalog.apps().await?.into_iter();
    let mut found: Vec<StoredApp> = apps.filter(|app| app.facts.slug.eq_ignore_ascii_case(slug)).collect();
    match found.len() {
        0 => Err(Error::not_found(format!("there is no App `{slug}` here")).hint("see `refward apps list`")),
        1 => Ok(found.remove(0)),
        // A slug is unique on its host only.
        _ => Err(Error::bad_request(format!("Apps on several hosts are called `{slug}`"))
            .hint("rename one of them on its host, then `refward apps sync`")),
    }
}
