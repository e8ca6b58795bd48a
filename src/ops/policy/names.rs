//! Policies keep ids of the repositories that they name, so that a rename does not take a policy away; people read names.

use crate::catalog::Repository;
use crate::domain::policy::Policy;
use crate::domain::{RepoAddress, Result, same_name};
use crate::services::Services;

/// Every repository that we know, by id and by name.
pub(super) struct Names(Vec<Repository>);

impl Names {
    pub(super) async fn load(services: &Services) -> Result<Self> {
        services.catalog.repositories().await.map(Self)
    }

    /// As it is kept. A name that nobody has yet, or that several have, stays a name.
    pub(super) fn to_ids(&self, mut policy: Policy) -> Policy {
        for entry in &mut policy.select.repositories {
            if let Some(id) = self.id(entry) {
                *entry = id;
            }
        }
        policy.select.repositories.dedup();
        policy
    }

    /// As people read it.
    pub(super) fn to_names(&self, mut policy: Policy) -> Policy {
        for entry in &mut policy.select.repositories {
            if let Some(repository) = self.0.iter().find(|known| known.id.as_str() == entry) {
                let name = &repository.full_name;
                let alone = self.0.iter().filter(|known| same_name(&known.full_name, name)).count() == 1;
                *entry = if alone { name.clone() } else { repository.lasting_address().to_string() };
            }
        }
        policy
    }

    fn id(&self, name: &str) -> Option<String> {
        let address: RepoAddress = name.parse().ok()?;
        let meant = |known: &&Repository| address.means(&known.id, &[&known.connection, &known.host], &known.full_name);
        let mut found: Vec<&Repository> = self.0.iter().filter(meant).collect();
        // A name can be used again after its repository was deleted or renamed away.
        if found.iter().any(|known| !known.gone) {
            found.retain(|known| !known.gone);
        }
        match found.as_slice() {
            [one] => Some(one.id.to_string()),
            _ => None,
        }
    }
}
