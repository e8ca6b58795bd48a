//! What runs at an address, and how it wants to be asked: Services, or a Server of some year.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::hosts::Host;

/// What runs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// Azure DevOps Services.
    pub hosted: bool,
    /// What it is asked with.
    pub version: Version,
}

/// A version of the API. <https://learn.microsoft.com/azure/devops/integrate/concepts/rest-api-versioning>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub major: u8,
    pub minor: u8,
}

impl Version {
    /// The one that this program is written for.
    pub const OURS: Self = Self { major: 7, minor: 1 };

    /// The oldest that has all that we ask for: Azure DevOps Server 2019.
    pub const OLDEST: Self = Self { major: 5, minor: 0 };

    /// For what is not released in this version.
    pub fn preview(self) -> String {
        format!("{self}-preview")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        let minor = minor.split('-').next().unwrap_or_default();
        Ok(Self { major: major.parse().map_err(drop)?, minor: minor.parse().map_err(drop)? })
    }
}

impl Product {
    const SERVICES: Self = Self { hosted: true, version: Version::OURS };

    /// Services, or a Server that offers this version and perhaps newer ones.
    pub fn new(hosted: bool, newest: Version) -> Self {
        if hosted { Self::SERVICES } else { Self { hosted, version: newest.min(Version::OURS) } }
    }
}

impl fmt::Display for Product {
    /// By the year in its name; every Server since then speaks one version more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let year = match (self.version.major, self.version.minor) {
            _ if self.hosted => return f.write_str("Azure DevOps Services"),
            (5, 0) => " 2019",
            (5, _) => " 2019.1",
            (6, _) => " 2020",
            (7, 0) => " 2022",
            (7, _) => " 2022.1",
            _ => "",
        };
        write!(f, "Azure DevOps Server{year} (api {})", self.version)
    }
}

/// What was found out so far, by address.
#[derive(Default)]
pub(super) struct Products(Mutex<HashMap<String, Product>>);

impl Products {
    pub fn known(&self, host: &Host) -> Option<Product> {
        if host.services {
            return Some(Product::SERVICES);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host.web.as_str()).copied()
    }

    pub fn learn(&self, host: &Host, product: Product) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.web.to_string(), product);
    }
}

/// A route, as `OPTIONS _apis` lists all of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Route {
    area: Option<String>,
    resource_name: Option<String>,
    released_version: Option<String>,
}

/// The newest version in which a server has released what we ask most.
pub(super) fn newest(routes: &[Route]) -> Option<Version> {
    let is = |told: &Option<String>, word: &str| told.as_deref().is_some_and(|told| told.eq_ignore_ascii_case(word));
    let repositories = |route: &&Route| is(&route.area, "git") && is(&route.resource_name, "repositories");
    routes.iter().filter(repositories).filter_map(|route| route.released_version.as_deref()?.parse().ok()).max()
}
