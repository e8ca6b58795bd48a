//! Which repositories a policy is for.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::domain::{Error, RepoId, Result, same_name};

/// Which repositories a policy is for: those that are named, and those that fit everything else that is said. Where
/// nothing else is said, the named ones alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Of these connections, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<String>,
    /// In one of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Globs over `NAME` or `OWNER/NAME`; case does not matter, as on the forges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Globs that win over everything but a name in `repositories`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Only those that are archived, or only those that are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// Only those that are not visible to everyone, or only those that are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// By name: `OWNER/NAME`, `CONNECTION:OWNER/NAME`, or the 32 digits of its id, which outlives a rename.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
}

/// What a selection looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RepositoryFacts {
    pub id: RepoId,
    pub connection: String,
    pub full_name: String,
    pub groups: Vec<String>,
    pub archived: bool,
    pub private: bool,
}

/// A selection, ready to be asked about many repositories.
pub struct Selector {
    selection: Selection,
    include: GlobSet,
    exclude: GlobSet,
}

/// How a selection came to a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Named,
    Fits(Vec<String>),
}

impl Selection {
    /// Fails with the glob that is none.
    pub fn compile(&self) -> Result<Selector> {
        Ok(Selector { selection: self.clone(), include: globs(&self.include)?, exclude: globs(&self.exclude)? })
    }

    /// Nothing is said that a repository that is not named could fit.
    fn names_only(&self) -> bool {
        let lists = [&self.connections, &self.groups, &self.include, &self.exclude];
        lists.iter().all(|list| list.is_empty()) && self.archived.is_none() && self.private.is_none()
    }
}

impl Selector {
    /// The repository is named, or fits.
    pub fn matches(&self, facts: &RepositoryFacts) -> bool {
        self.find(facts).is_some()
    }

    pub(super) fn find(&self, facts: &RepositoryFacts) -> Option<Found> {
        let selection = &self.selection;
        if selection.repositories.iter().any(|name| names(name, facts)) {
            return Some(Found::Named);
        }
        if selection.names_only() || matches(&self.exclude, &facts.full_name) {
            return None;
        }
        let mut why = Vec::new();
        if !selection.connections.is_empty() {
            let of = selection.connections.iter().find(|name| name.eq_ignore_ascii_case(&facts.connection))?;
            why.push(format!("connection {of}"));
        }
        if !selection.groups.is_empty() {
            let group = selection.groups.iter().find(|group| facts.groups.contains(group))?;
            why.push(format!("group {group}"));
        }
        if !selection.include.is_empty() {
            let nth = glob_for(&self.include, &facts.full_name)?;
            why.push(format!("`{}`", selection.include[nth]));
        }
        for (wanted, is, word) in
            [(selection.archived, facts.archived, "archived"), (selection.private, facts.private, "private")]
        {
            match wanted {
                Some(wanted) if wanted != is => return None,
                Some(true) => why.push(word.to_owned()),
                Some(false) => why.push(format!("not {word}")),
                None => {}
            }
        }
        if !selection.exclude.is_empty() {
            why.push("not excluded".to_owned());
        }
        Some(Found::Fits(why))
    }
}

fn names(name: &str, facts: &RepositoryFacts) -> bool {
    let (connection, full_name) = name.split_once(':').map_or((None, name), |(of, rest)| (Some(of), rest));
    let named = same_name(full_name, &facts.full_name) || name == facts.id.as_str();
    named && connection.is_none_or(|connection| connection.eq_ignore_ascii_case(&facts.connection))
}

fn matches(set: &GlobSet, full_name: &str) -> bool {
    glob_for(set, full_name).is_some()
}

fn glob_for(set: &GlobSet, full_name: &str) -> Option<usize> {
    // Globs themselves know of no case beyond ASCII.
    let full_name = full_name.to_lowercase();
    let name = full_name.rsplit('/').next().unwrap_or(&full_name);
    set.matches(&full_name).into_iter().chain(set.matches(name)).min()
}

pub(super) fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(&pattern.to_lowercase()).case_insensitive(true).build();
        set.add(glob.map_err(|error| Error::bad_request(format!("`{pattern}` is not a glob: {error}")))?);
    }
    set.build().map_err(|error| Error::bad_request(format!("the globs are too complex: {error}")))
}
