//! The globs of a connection: which repositories it wants, and to which groups they belong.
//!
//! One without a slash is about `NAME`, one with a slash about `OWNER/NAME`, where `*` stays on its side of the slash: what
//! is meant for a name must never fit the owner, or it would fit everything. Case does not matter, as on the forges.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::catalog::ConnectionSettings;
use crate::domain::{Error, Result};

/// Which of an owner's repositories a connection wants.
pub struct Filter {
    include: Globs,
    exclude: Globs,
}

impl Filter {
    /// No include globs: everything.
    pub fn new(settings: &ConnectionSettings) -> Result<Self> {
        let everything = ["*".to_owned()];
        let include = if settings.include.is_empty() { &everything[..] } else { &settings.include };
        Ok(Self { include: Globs::new(include)?, exclude: Globs::new(&settings.exclude)? })
    }

    /// Excludes win.
    pub fn lets_through(&self, full_name: &str) -> bool {
        self.include.fit(full_name) && !self.exclude.fit(full_name)
    }
}

/// The groups of a connection, ready to be asked about many repositories.
pub struct Groups(Vec<(String, Globs)>);

impl Groups {
    /// Fails with the glob that is none.
    pub fn new(settings: &ConnectionSettings) -> Result<Self> {
        let groups = settings.groups.iter().map(|(name, patterns)| Ok((name.clone(), Globs::new(patterns)?)));
        groups.collect::<Result<_>>().map(Self)
    }

    /// Those that a repository belongs to, by rule.
    pub fn of(&self, full_name: &str) -> Vec<String> {
        let fits = self.0.iter().filter(|(_, globs)| globs.fit(full_name));
        fits.map(|(name, _)| name.clone()).collect()
    }
}

/// The groups of a connection that a repository belongs to, by rule.
pub fn groups_of(settings: &ConnectionSettings, full_name: &str) -> Result<Vec<String>> {
    Ok(Groups::new(settings)?.of(full_name))
}

struct Globs {
    names: GlobSet,
    full_names: GlobSet,
}

impl Globs {
    fn new(patterns: &[String]) -> Result<Self> {
        let (full_names, names) = patterns.iter().partition::<Vec<_>, _>(|pattern| pattern.contains('/'));
        Ok(Self { names: set(&names)?, full_names: set(&full_names)? })
    }

    fn fit(&self, full_name: &str) -> bool {
        let full_name = lower(full_name);
        let name = full_name.rsplit('/').next().unwrap_or(&full_name);
        self.names.is_match(name) || self.full_names.is_match(&full_name)
    }
}

fn set(patterns: &[&String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    set.build().map_err(|error| Error::bad_request(format!("the globs are too complex: {error}")))
}

/// A glob over names, or parts of them, in lower case.
fn glob(pattern: &str) -> Result<Glob> {
    let glob = GlobBuilder::new(&lower(pattern)).case_insensitive(true).literal_separator(true).build();
    glob.map_err(|error| Error::bad_request(format!("`{pattern}` is not a glob: {error}")))
}

/// Globs themselves know of no case beyond ASCII.
fn lower(text: &str) -> String {
    text.to_lowercase()
}

/// Whether the part of a glob before its slash fits an owner, or a project.
pub(in crate::jobs) fn fits_scope(pattern: &str, scope: &str) -> Result<bool> {
    Ok(glob(pattern)?.compile_matcher().is_match(lower(scope)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets_through(include: &[&str], exclude: &[&str], full_name: &str) -> bool {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let settings = ConnectionSettings { include: owned(include), exclude: owned(exclude), ..Default::default() };
        Filter::new(&settings).expect("these are globs").lets_through(full_name)
    }

    #[test]
    fn a_glob_that_is_meant_for_names_does_not_look_at_the_owner() {
        assert!(lets_through(&[], &["a*"], "acme/web") && !lets_through(&[], &["a*"], "acme/api"));
        assert!(!lets_through(&["a*"], &[], "acme/web") && lets_through(&["a*"], &[], "acme/api"));
        assert!(lets_through(&[], &["sandbox-*"], "sandbox-corp/api"));
        assert!(!lets_through(&[], &["sandbox-*"], "sandbox-corp/sandbox-7"));
    }

    #[test]
    fn a_glob_with_a_slash_is_about_both_sides_of_it() {
        assert!(lets_through(&["acme/w?b"], &[], "acme/web") && !lets_through(&["acme/w?b"], &[], "else/web"));
        assert!(lets_through(&["*/web"], &[], "acme/web") && !lets_through(&["ac*/b"], &[], "acme/web"));
        assert!(lets_through(&["acme/*"], &["acme/old-*"], "acme/web"));
        assert!(lets_through(&["Web Shop/*"], &[], "Web Shop/api"), "a project is before the slash");
    }

    #[test]
    fn everything_is_let_through_unless_something_is_said() {
        assert!(lets_through(&[], &[], "acme/web") && lets_through(&["*"], &[], "acme/web"));
        assert!(lets_through(&["**"], &[], "acme/web") && lets_through(&["*/*"], &[], "acme/web"));
        assert!(!lets_through(&[], &["*"], "acme/web"));
    }

    #[test]
    fn case_does_not_matter() {
        assert!(lets_through(&["API*"], &[], "acme/api-docs") && lets_through(&["Acme/Api"], &[], "aCME/aPI"));
        assert!(!lets_through(&[], &["PRÓJ eñt/*"], "prój Eñt/My Repo"));
    }

    #[test]
    fn groups_are_found_by_the_same_rules() {
        let groups = [("backend".to_owned(), vec!["a*".to_owned()]), ("all".to_owned(), vec!["acme/*".to_owned()])];
        let settings = ConnectionSettings { groups: groups.into(), ..Default::default() };
        assert_eq!(groups_of(&settings, "acme/web").expect("these are globs"), ["all"]);
        assert_eq!(groups_of(&settings, "acme/api").expect("these are globs"), ["all", "backend"]);
    }
}
