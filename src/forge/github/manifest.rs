//! What our Apps ask for: <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::apps::page;
use super::hosts::{Host, Product};
use crate::domain::{Error, Result};
use crate::forge::{ManifestForm, Registration, Role};

const BACKUP: &str = include_str!("../../../app-manifests/github-backup.json");
const RESTORE: &str = include_str!("../../../app-manifests/github-restore.json");

/// GitHub's limit for an App's name, which is unique on a whole host.
const MAX_NAME: usize = 34;

#[derive(Serialize, Deserialize)]
struct Manifest {
    name: String,
    url: String,
    description: String,
    public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook_attributes: Option<Hook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setup_url: Option<String>,
    setup_on_update: bool,
    default_permissions: BTreeMap<String, String>,
    default_events: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Hook {
    url: String,
    active: bool,
}

/// What a browser posts so that GitHub registers the App.
pub(super) fn form(host: &Host, wish: &Registration) -> Result<ManifestForm> {
    let at = |path: &str| {
        let joined = wish.public_url.join(path);
        joined.map(String::from).map_err(|error| Error::bug("an address below the public one").detail(error))
    };
    let mut manifest = read(wish.role)?;
    manifest.name = name(wish);
    manifest.hook_attributes = Some(Hook { url: at("hooks/github")?, active: wish.role == Role::Backup });
    manifest.redirect_url = Some(at("setup/registered")?);
    manifest.setup_url = Some(at("setup/installed")?);
    if host.product == Product::DataResidency && wish.organization.is_none() {
        // Managed users cannot install Apps on their own accounts.
        return Err(Error::bad_request(format!("on {} an App has to belong to an organization", host.name())));
    }
    let mut action = match &wish.organization {
        Some(organization) => page(host, &["organizations", organization, "settings", "apps", "new"])?,
        None => page(host, &["settings", "apps", "new"])?,
    };
    action.query_pairs_mut().append_pair("state", &wish.state);
    let manifest =
        serde_json::to_string(&manifest).map_err(|error| Error::bug("cannot write a manifest").detail(error));
    Ok(ManifestForm { action, manifest: manifest? })
}

/// What the role's App asks for and was not granted, as `name: level`.
pub(super) fn missing(role: Role, granted: &BTreeMap<String, String>) -> Vec<String> {
    let Ok(manifest) = read(role) else { return Vec::new() };
    let lacks = |(name, level): &(&String, &String)| {
        granted.get(*name).is_none_or(|granted| strength(granted) < strength(level))
    };
    manifest.default_permissions.iter().filter(lacks).map(|(name, level)| format!("{name}: {level}")).collect()
}

fn strength(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

fn read(role: Role) -> Result<Manifest> {
    let text = match role {
        Role::Backup => BACKUP,
        Role::Restore => RESTORE,
    };
    serde_json::from_str(text).map_err(|error| Error::bug("an App's manifest cannot be read").detail(error))
}

/// People may change it before they confirm.
fn name(wish: &Registration) -> String {
    let whose = wish.organization.as_deref().unwrap_or("me");
    let what = match wish.role {
        Role::Backup => "Refward",
        Role::Restore => "Refward restore",
    };
    let number = format!(" #{}", wish.number);
    let room = MAX_NAME.saturating_sub(what.len() + 1 + number.len());
    let whose: String = whose.chars().take(room).collect();
    format!("{what} {}{number}", whose.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::github::tokens::{FETCH, SURVEY};

    #[test]
    fn a_backup_app_asks_for_what_its_tokens_are_narrowed_to() {
        let asked = read(Role::Backup).expect("it is there").default_permissions;
        for (name, level) in SURVEY.iter().chain(FETCH) {
            let has = asked.get(*name).map(|level| strength(level));
            assert!(has >= Some(strength(level)), "{name}: {level}");
        }
        assert!(asked.values().all(|level| level == "read"), "a backup App only reads");
    }
}
