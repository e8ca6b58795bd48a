//! What a channel is for.

use crate::config::ChatChannel;
use crate::domain::Result;
use crate::domain::policy::{RepositoryFacts, Selection, Selector};

/// What a channel is for, ready to be asked. What it says nothing about does not matter for it.
pub struct Rule {
    connections: Vec<String>,
    /// `None`: every repository of those connections.
    repositories: Option<Selector>,
}

impl Rule {
    /// Fails with the glob that is none.
    pub fn new(channel: &ChatChannel) -> Result<Self> {
        let all = channel.groups.is_empty() && channel.repositories.is_empty();
        let wanted =
            Selection { groups: channel.groups.clone(), include: channel.repositories.clone(), ..Selection::default() };
        let selector = wanted.compile();
        let selector = selector.map_err(|error| {
            error.while_doing(format!("reading what the channel {} is for, in the settings", channel.id))
        })?;
        Ok(Self { connections: channel.connections.clone(), repositories: (!all).then_some(selector) })
    }

    /// What happens to this repository belongs there.
    pub fn covers(&self, repository: &RepositoryFacts) -> bool {
        let fits = self.repositories.as_ref().is_none_or(|selector| selector.matches(repository));
        fits && self.names(&repository.connection)
    }

    /// What happens to a connection, or, without one, to everything, belongs there: not where it is about some repositories.
    pub fn covers_connection(&self, connection: Option<&str>) -> bool {
        self.repositories.is_none() && connection.is_none_or(|connection| self.names(connection))
    }

    fn names(&self, connection: &str) -> bool {
        self.connections.is_empty() || self.connections.iter().any(|name| name.eq_ignore_ascii_case(connection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RepoId, Severity};

    fn rule(connections: &[&str], groups: &[&str], repositories: &[&str]) -> Rule {
        let owned = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
        let channel = ChatChannel {
            id: "1".to_owned(),
            severity: Severity::Info,
            connections: owned(connections),
            groups: owned(groups),
            repositories: owned(repositories),
        };
        Rule::new(&channel).expect("globs")
    }

    fn repository(connection: &str, full_name: &str, groups: &[&str]) -> RepositoryFacts {
        RepositoryFacts {
            id: RepoId::derive("github", "github.com", full_name),
            connection: connection.to_owned(),
            full_name: full_name.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            archived: false,
            private: true,
        }
    }

    #[test]
    fn a_channel_that_says_nothing_hears_of_everything() {
        let all = rule(&[], &[], &[]);
        assert!(all.covers(&repository("acme", "acme/api", &[])));
        assert!(all.covers_connection(Some("acme")) && all.covers_connection(None));
    }

    #[test]
    fn everything_that_a_channel_says_must_fit() {
        let infra = rule(&["Acme"], &["payments"], &["acme/infra-*"]);
        assert!(infra.covers(&repository("acme", "acme/infra-dns", &["web", "payments"])));
        assert!(!infra.covers(&repository("umbrella", "acme/infra-dns", &["payments"])));
        assert!(!infra.covers(&repository("acme", "acme/infra-dns", &["web"])));
        assert!(!infra.covers(&repository("acme", "acme/api", &["payments"])));
    }

    #[test]
    fn what_is_about_no_repository_goes_where_no_repositories_are_named() {
        assert!(rule(&["acme"], &[], &[]).covers_connection(Some("acme")));
        assert!(!rule(&["acme"], &[], &[]).covers_connection(Some("umbrella")));
        assert!(rule(&["acme"], &[], &[]).covers_connection(None), "a full disk is everybody's business");
        assert!(!rule(&["acme"], &["payments"], &[]).covers_connection(Some("acme")));
        assert!(!rule(&[], &[], &["acme/*"]).covers_connection(None));
    }

    #[test]
    fn a_glob_that_is_none_is_told_with_its_channel() {
        let channel = ChatChannel { repositories: vec!["[".to_owned()], ..channel() };
        let error = Rule::new(&channel).err().expect("no glob").to_string();
        assert!(error.contains("channel 7") && error.contains("`[`"), "{error}");
    }

    fn channel() -> ChatChannel {
        let none = Vec::new;
        let id = "7".to_owned();
        ChatChannel { id, severity: Severity::Info, connections: none(), groups: none(), repositories: none() }
    }
}
