//! The globs of a connection: which repositories it wants, and to which groups they belong.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::catalog::ConnectionSettings;
use crate::domain::{Error, Result};

/// Which of an owner's repositories a connection wants, by `OWNER/NAME` or `NAME` globs.
pub struct Filter {
    include: GlobSet,
    exclude: GlobSet,
}

impl Filter {
    /// No include globs: everything.
    pub fn new(settings: &ConnectionSettings) -> Result<Self> {
        let everything = ["*".to_owned()];
        let include = if settings.include.is_empty() { &everything[..] } else { &settings.include };
        Ok(Self { include: globs(include)?, exclude: globs(&settings.exclude)? })
    }

    /// Excludes win.
    pub fn lets_through(&self, full_name: &str) -> bool {
        matches(&self.include, full_name) && !matches(&self.exclude, full_name)
    }
}

/// The groups of a connection, ready to be asked about many repositories.
pub struct Groups(Vec<(String, GlobSet)>);

impl Groups {
    /// Fails with the glob that is none.
    pub fn new(settings: &ConnectionSettings) -> Result<Self> {
        let groups = settings.groups.iter().map(|(name, patterns)| Ok((name.clone(), globs(patterns)?)));
        groups.collect::<Result<_>>().map(Self)
    }

    /// Those that a repository belongs to, by rule.
    pub fn of(&self, full_name: &str) -> Vec<String> {
        let fits = self.0.iter().filter(|(_, globs)| matches(globs, full_name));
        fits.map(|(name, _)| name.clone()).collect()
    }
}

/// The groups of a connection that a repository belongs to, by rule.
pub fn groups_of(settings: &ConnectionSettings, full_name: &str) -> Result<Vec<String>> {
    Ok(Groups::new(settings)?.of(full_name))
}

fn matches(set: &GlobSet, full_name: &str) -> bool {
    let name = full_name.rsplit('/').next().unwrap_or(full_name);
    set.is_match(full_name) || set.is_match(name)
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob =
            Glob::new(pattern).map_err(|error| Error::bad_request(format!("`{pattern}` is not a glob: {error}")))?;
        set.add(glob);
    }
    set.build().map_err(|error| Error::bad_request(format!("the globs are too complex: {error}")))
}
