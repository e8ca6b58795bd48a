//! Exactly one policy applies to a repository.

use refward::domain::RepoId;
use refward::domain::policy::{Order, Policy, RepositoryFacts};

use crate::policy;

fn facts(full_name: &str) -> RepositoryFacts {
    RepositoryFacts {
        id: RepoId::derive("github", "github.com", full_name),
        connection: "work".into(),
        full_name: full_name.into(),
        groups: vec!["web".into()],
        archived: false,
        private: true,
    }
}

fn select(name: &str, selection: &str) -> Policy {
    policy(&format!("name = \"{name}\"\n[select]\n{selection}"))
}

/// Name and reason.
fn chosen(policies: Vec<Policy>, facts: &RepositoryFacts) -> String {
    let order = Order::new(policies).unwrap();
    let choice = order.choose(facts);
    format!("{}: {}", choice.policy.name, choice.why)
}

#[test]
fn what_no_policy_selects_is_under_the_default_one() {
    insta::assert_snapshot!(chosen(Vec::new(), &facts("acme/api")), @"default: no other policy selects this repository");
    let mut default = Policy::built_in();
    default.description = "mine".into();
    let order = Order::new(vec![default, select("web", "groups = [\"mobile\"]")]).unwrap();
    assert_eq!(order.choose(&facts("acme/api")).policy.description, "mine");
}

#[test]
fn a_policy_that_names_it_comes_before_those_that_it_fits_and_they_are_told() {
    let policies = vec![
        select("everything", "include = [\"*\"]"),
        select("web", "groups = [\"web\", \"mobile\"]\nconnections = [\"Work\"]"),
        select("vip", "repositories = [\"ACME/API\"]"),
    ];
    insta::assert_snapshot!(chosen(policies.clone(), &facts("acme/api")), @"vip: it names this repository; it comes before everything, web, which would apply as well");
    insta::assert_snapshot!(chosen(policies, &facts("acme/docs")), @"everything: it selects this repository: `*`; it comes before web, which would apply as well");
}

#[test]
fn all_that_is_said_must_fit() {
    let fits = |selection: &str| {
        let selector = select("one", selection).select.compile().unwrap();
        selector.matches(&facts("acme/api"))
    };
    assert!(fits("include = [\"Api\"]") && fits("include = [\"acme/*\"]") && fits("archived = false"));
    assert!(fits("connections = [\"work\"]\nprivate = true\nexclude = [\"*-old\"]"));
    assert!(!fits("connections = [\"home\"]\ninclude = [\"*\"]"));
    assert!(!fits("include = [\"*\"]\nexclude = [\"ACME/*\"]"));
    assert!(!fits("archived = true") && !fits("private = false") && !fits("groups = [\"mobile\"]"));
    assert!(!fits(""), "a policy that says nothing selects nothing");
    assert!(fits("exclude = [\"*\"]\nrepositories = [\"work:acme/api\"]"), "a name wins over a glob");
    assert!(!fits("repositories = [\"home:acme/api\"]"));
}

#[test]
fn names_of_any_script_fit_in_any_case() {
    let fits = |selection: &str| select("one", selection).select.compile().unwrap().matches(&facts("Prój Eñt/My Repo"));
    assert!(fits("include = [\"PRÓJ eñt/*\"]") && fits("include = [\"my repo\"]") && fits("include = [\"*Eñ*/*\"]"));
    assert!(fits("repositories = [\"prój EÑT/my repo\"]") && fits("repositories = [\"work:Prój Eñt/My Repo\"]"));
    assert!(!fits("include = [\"proj ent/*\"]") && !fits("include = [\"*\"]\nexclude = [\"PRÓJ*\"]\n"));
}

#[test]
fn an_id_outlives_a_rename() {
    let mut renamed = facts("acme/api");
    let policies = vec![select("vip", &format!("repositories = [\"{}\"]", renamed.id))];
    renamed.full_name = "acme/service".into();
    assert!(chosen(policies, &renamed).starts_with("vip"));
}
