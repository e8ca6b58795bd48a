//! How what somebody types may go on: only what they may see, quickly, and never an error.

use std::borrow::Cow;
use std::time::Duration;

use super::asked::Asked;
use super::grammar::Over;
use super::visitor::Visitor;
use super::words::minute;
use crate::catalog::Repository;
use crate::chat::{Asker, Choice, Words};
use crate::domain::{Person, RepoId, Result, Role, same_name};
use crate::ops::{identity, policy};
use crate::services::Services;

/// As many as platforms show.
const MOST: usize = 25;

/// What is longer, no platform takes as a choice.
const LONGEST: usize = 100;

/// Whoever types waits for no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The forge is not asked at every key whether somebody may read a repository.
const RIGHTS_LAST: Duration = Duration::from_mins(1);

/// Finds choices.
pub(super) struct Completer {
    /// Whether a person could read a repository a moment ago. Only what is suggested depends on it.
    readers: moka::future::Cache<(Person, RepoId), bool>,
}

impl Default for Completer {
    fn default() -> Self {
        Self { readers: moka::future::Cache::builder().max_capacity(10_000).time_to_live(RIGHTS_LAST).build() }
    }
}

impl Completer {
    /// How `typed` may go on.
    pub(super) async fn choices(
        &self,
        services: &Services,
        from: &Asker,
        words: &Words,
        option: &str,
        typed: &str,
    ) -> Vec<Choice> {
        let found = tokio::time::timeout(PATIENCE, self.find(services, from, words, option, typed)).await;
        match found {
            Ok(Ok(choices)) => choices,
            Ok(Err(error)) => {
                tracing::debug!("nothing to suggest: {}", error.for_log());
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn find(
        &self,
        services: &Services,
        from: &Asker,
        words: &Words,
        option: &str,
        typed: &str,
    ) -> Result<Vec<Choice>> {
        let visitor = Visitor::in_chat(services, &Asked::typing(from)).await?;
        let several = matches!(option, "repos" | "ref");
        let (before, last) = if several { last_of(typed) } else { ("", typed) };
        let mut candidates = match option {
            "repo" | "repos" => repositories(services, &visitor).await?,
            "to" => places(services, &visitor).await?,
            "ref" => self.references(services, &visitor, words).await?,
            "at" => self.moments(services, &visitor, words).await?,
            "name" => policies(services, &visitor).await?,
            "change" => changes(services, &visitor).await?,
            "host" => hosts(services).await?,
            _ => Vec::new(),
        };
        if several {
            for choice in &mut candidates {
                choice.value = shlex::try_quote(&choice.value).map(Cow::into_owned).unwrap_or_default();
            }
        }
        Ok(fitting(candidates, before, last))
    }

    async fn references(&self, services: &Services, visitor: &Visitor, words: &Words) -> Result<Vec<Choice>> {
        let Some(repository) = self.readable(services, visitor, words).await? else { return Ok(Vec::new()) };
        let at = option(words, "at").and_then(|at| at.parse().ok());
        let (_, state) = services.catalog.refs_at(&repository.id, at).await?;
        Ok(state.refs.keys().map(|name| same(if name.is_branch() { name.short() } else { name.as_str() })).collect())
    }

    async fn moments(&self, services: &Services, visitor: &Visitor, words: &Words) -> Result<Vec<Choice>> {
        let Some(repository) = self.readable(services, visitor, words).await? else { return Ok(Vec::new()) };
        let snapshots = services.catalog.snapshots(&repository.id).await?;
        let choice = |snapshot: &crate::domain::Snapshot| {
            let forced = if snapshot.refs.forced > 0 { ", forced" } else { "" };
            let label = format!("{}: {} UTC, {}{forced}", snapshot.seq, minute(snapshot.time), snapshot.trigger.kind);
            Choice { label, value: snapshot.seq.to_string() }
        };
        Ok(snapshots.iter().rev().map(choice).collect())
    }

    /// The repository that the command names, if they may read it.
    async fn readable(&self, services: &Services, visitor: &Visitor, words: &Words) -> Result<Option<Repository>> {
        let Some(address) = option(words, "repo").and_then(|repo| repo.parse().ok()) else { return Ok(None) };
        let repository = visitor.repository(services, &address, Role::Viewer).await?;
        let key = (visitor.person.clone(), repository.id.clone());
        let may = self.readers.get_with(key, async { visitor.reads(services, &repository).await.is_ok() }).await;
        Ok(may.then_some(repository))
    }
}

async fn repositories(services: &Services, visitor: &Visitor) -> Result<Vec<Choice>> {
    let visible: Vec<Repository> = visitor.visible(services).await?.into_iter().map(|(one, _)| one).collect();
    let twice = |name: &str| visible.iter().filter(|one| same_name(&one.full_name, name)).count() > 1;
    let name = |one: &Repository| {
        if twice(&one.full_name) { one.lasting_address().to_string() } else { one.full_name.clone() }
    };
    Ok(visible.iter().map(|one| same(&name(one))).collect())
}

async fn places(services: &Services, visitor: &Visitor) -> Result<Vec<Choice>> {
    let words = [
        ("new-branch: beside what is there", "new-branch"),
        ("same: the branch itself", "same"),
        ("download: a file for you", "download"),
    ];
    let words = words.map(|(label, value)| Choice { label: label.to_owned(), value: value.to_owned() });
    let visible = visitor.visible(services).await?.into_iter();
    Ok(words.into_iter().chain(visible.map(|(one, _)| same(&one.address().to_string()))).collect())
}

async fn policies(services: &Services, visitor: &Visitor) -> Result<Vec<Choice>> {
    visitor.check(services, Role::Viewer, Over::Everywhere).await?;
    Ok(policy::list(services).await?.iter().map(|row| same(&row.name)).collect())
}

async fn changes(services: &Services, visitor: &Visitor) -> Result<Vec<Choice>> {
    visitor.check(services, Role::Admin, Over::Everywhere).await?;
    let waiting = policy::waiting(&services.catalog).await?.into_iter();
    let choice = |change: policy::Waiting| Choice {
        label: format!("{}: {} {}", change.change, change.kind, change.policy),
        value: change.change.to_string(),
    };
    Ok(waiting.map(choice).collect())
}

async fn hosts(services: &Services) -> Result<Vec<Choice>> {
    let hosts = identity::hosts(services).await?;
    Ok(hosts.iter().filter_map(|host| host.url.host_str()).map(same).collect())
}

/// Of several words the last, which is being typed, and what stands before it. Spaces in quotes part nothing.
fn last_of(typed: &str) -> (&str, &str) {
    let (mut quote, mut start) = (None, 0);
    for (at, letter) in typed.char_indices() {
        match (letter, quote) {
            (' ', None) => start = at + 1,
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            _ => {}
        }
    }
    let (before, last) = typed.split_at(start);
    (before, last.trim_matches(['\'', '"']))
}

/// Those in which what is typed occurs, those first that begin so.
fn fitting(candidates: Vec<Choice>, before: &str, typed: &str) -> Vec<Choice> {
    let typed = typed.to_lowercase();
    let place = |choice: &Choice| choice.label.to_lowercase().find(&typed);
    let mut found: Vec<(usize, Choice)> =
        candidates.into_iter().filter_map(|choice| Some((place(&choice)?.min(1), choice))).collect();
    found.sort_by_key(|(place, _)| *place);
    let whole = found.into_iter().map(|(_, Choice { label, value })| Choice {
        label: format!("{before}{label}"),
        value: format!("{before}{value}"),
    });
    let short = |choice: &Choice| choice.label.chars().count() <= LONGEST && choice.value.chars().count() <= LONGEST;
    whole.filter(short).take(MOST).collect()
}

fn same(text: &str) -> Choice {
    Choice { label: text.to_owned(), value: text.to_owned() }
}

fn option<'a>(words: &'a Words, name: &str) -> Option<&'a str> {
    words.options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::{fitting, last_of, same};

    #[test]
    fn what_begins_so_comes_before_what_contains_it() {
        let names = ["acme/infra", "infra/acme", "beta/web"].map(same).to_vec();
        let found: Vec<String> = fitting(names, "", "INFRA").into_iter().map(|choice| choice.value).collect();
        assert_eq!(found, ["infra/acme", "acme/infra"]);
    }

    #[test]
    fn of_several_the_last_goes_on_and_the_others_stay() {
        let found = fitting(vec![same("main"), same("next")], "v1 ", "ne");
        assert_eq!(found, [same("v1 next")]);
    }

    #[test]
    fn what_is_quoted_is_one_word() {
        assert_eq!(last_of("'Prój eñt/My Repo' \"Prój eñt/Ot"), ("'Prój eñt/My Repo' ", "Prój eñt/Ot"));
        assert_eq!(last_of("acme/api be"), ("acme/api ", "be"));
        assert_eq!(last_of("be"), ("", "be"));
    }

    #[test]
    fn no_more_are_suggested_than_platforms_take() {
        let names = (0..100).map(|number| same(&format!("acme/{number}"))).chain([same(&"x".repeat(101))]);
        assert_eq!(fitting(names.collect(), "", "").len(), 25);
    }
}
