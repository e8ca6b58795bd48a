//! Which scopes of an owner's repositories a connection wants to hear of.

use crate::catalog::ConnectionSettings;
use crate::domain::Result;
use crate::jobs::discover::fits_scope as fits;

/// Whether a connection's globs could let a repository of this scope through that nobody has seen yet.
pub(super) fn could_let_through(settings: &ConnectionSettings, scope: &str) -> Result<bool> {
    let mut included = settings.include.is_empty();
    for pattern in &settings.include {
        // Without a slash it is about names, in whatever scope.
        included |= match pattern.split_once('/') {
            Some((of, _)) => fits(of, scope)?,
            None => true,
        };
    }
    for pattern in &settings.exclude {
        let all = match pattern.split_once('/') {
            Some((of, "*" | "**")) => fits(of, scope)?,
            Some(_) => false,
            None => pattern == "*" || pattern == "**",
        };
        included &= !all;
    }
    Ok(included)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(include: &[&str], exclude: &[&str], scope: &str) -> bool {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let settings = ConnectionSettings { include: owned(include), exclude: owned(exclude), ..Default::default() };
        could_let_through(&settings, scope).expect("these are globs")
    }

    #[test]
    fn a_scope_is_wanted_where_a_repository_of_it_could_be() {
        assert!(wants(&[], &[], "Web"));
        assert!(wants(&["Web/*"], &[], "Web"));
        assert!(wants(&["W*/api"], &[], "Web"));
        assert!(wants(&["web/*"], &[], "Web"), "case does not matter");
        assert!(wants(&["api-*"], &[], "Web"), "any project can have a repository of that name");
        assert!(!wants(&["Shop/*"], &[], "Web"));
        assert!(!wants(&[], &["Web/*"], "Web"));
        assert!(wants(&[], &["Web/old-*"], "Web"));
        assert!(!wants(&["Web/*"], &["*"], "Web"));
    }
}
