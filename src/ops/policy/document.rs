//! Policies as text: `key=value`, differences, and TOML that can live in a repository of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::{Asked, Submitted, submit};
use super::names::Names;
use super::{Changed, find, ordered_names};
use crate::catalog::PolicyEdit;
use crate::domain::policy::{Order, Policy};
use crate::domain::{Error, Result};
use crate::jobs::policies;
use crate::services::Services;

/// Keys that take several values, written with commas between them.
const LISTS: [&str; 9] = [
    "credentials",
    "data",
    "notify.protected",
    "retention.labels",
    "select.connections",
    "select.exclude",
    "select.groups",
    "select.include",
    "select.repositories",
];

/// A file of policies, in the order in which they are asked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: Vec<Policy>,
}

/// All policies, or those that are named, as TOML.
pub async fn export(services: &Services, wanted: &[String]) -> Result<String> {
    let (order, names) = (policies::order(services).await?, Names::load(services).await?);
    for name in wanted {
        super::named(services, name).await?;
    }
    let exported = order
        .policies()
        .filter(|policy| wanted.is_empty() || wanted.iter().any(|name| name.eq_ignore_ascii_case(&policy.name)));
    let file = File { policy: exported.cloned().map(|policy| names.to_names(policy)).collect() };
    toml::to_string(&file).map_err(|error| Error::bug("cannot write the policies").detail(error))
}

/// Makes the policies of a file, and changes those that are there already. Others stay as they are.
pub async fn import(services: &Services, text: &str, asked: Asked<'_>) -> Result<Vec<Submitted>> {
    let policies = parse(text)?;
    let waiting: BTreeSet<String> =
        services.catalog.waiting_changes().await?.iter().map(|change| change.edit.policy().to_lowercase()).collect();
    if let Some(policy) = policies.iter().find(|policy| waiting.contains(&policy.name.to_lowercase())) {
        return Err(Error::bad_request(format!("a change of the policy {} waits already", policy.name))
            .hint("take it back first: `refward policy history` shows it, `refward policy revoke` takes it back"));
    }
    // Everything is checked before anything is changed.
    run(services, &policies, Asked { plan: true, ..asked }).await?;
    run(services, &policies, asked).await
}

/// What [`import`] would do.
pub async fn import_plan(services: &Services, text: &str, asked: Asked<'_>) -> Result<Vec<Submitted>> {
    run(services, &parse(text)?, Asked { plan: true, ..asked }).await
}

async fn run(services: &Services, wanted: &[Policy], asked: Asked<'_>) -> Result<Vec<Submitted>> {
    let mut submitted = Vec::new();
    for policy in wanted {
        let order = policies::order(services).await?;
        let edit = match find(&order, &policy.name) {
            Some(before) => {
                let after = Policy { name: before.name.clone(), ..policy.clone() };
                PolicyEdit::Set { before: Box::new(before.clone()), after: Box::new(after) }
            }
            None => PolicyEdit::Create(Box::new(policy.clone())),
        };
        submitted.push(submit(services, edit, asked).await?);
    }
    let order = policies::order(services).await?;
    if let Some(edit) = in_that_order(&order, wanted) {
        submitted.push(submit(services, edit, asked).await?);
    }
    Ok(submitted)
}

/// `None`: those that are there already are in that order.
fn in_that_order(order: &Order, wanted: &[Policy]) -> Option<PolicyEdit> {
    let before = ordered_names(order);
    let there = |policy: &&Policy| before.iter().any(|name| name.eq_ignore_ascii_case(&policy.name));
    let first: Vec<String> = wanted.iter().filter(there).map(|policy| policy.name.clone()).collect();
    let now: Vec<&String> = before.iter().filter(|name| first.contains(name)).collect();
    let rest = before.iter().filter(|name| !first.contains(name)).cloned();
    let after = first.iter().cloned().chain(rest).collect();
    (now != first.iter().collect::<Vec<_>>()).then_some(PolicyEdit::Order { before, after })
}

/// `[[policy]]` as often as there are policies, or a single one without that heading.
fn parse(text: &str) -> Result<Vec<Policy>> {
    let refused = |error: toml::de::Error| {
        Error::bad_request(format!("the policies cannot be read: {}", error.to_string().trim_end()))
            .hint("`refward policy export` shows how they are written")
    };
    let table: toml::Table = toml::from_str(text).map_err(refused)?;
    let policies = if table.contains_key("policy") {
        toml::from_str::<File>(text).map_err(refused)?.policy
    } else {
        vec![toml::from_str::<Policy>(text).map_err(refused)?]
    };
    let mut seen = BTreeSet::new();
    for policy in &policies {
        policy.check().map_err(|error| error.while_doing(format!("the policy {}", policy.name)))?;
        if !seen.insert(policy.name.to_lowercase()) {
            return Err(Error::bad_request(format!("the policy {} is there twice", policy.name)));
        }
    }
    Ok(policies)
}

/// A policy with `key=value` laid over it. A key without a value is as if it had never been set.
pub(super) fn assignments(mut policy: Policy, set: &[(String, String)]) -> Result<Policy> {
    for (key, text) in set {
        let mut document = json(&policy)?;
        put(&mut document, key, value(key, text));
        policy = serde_json::from_value(document).map_err(|error| {
            Error::bad_request(format!("`{key}={text}`: {error}")).hint(
                "the keys are those of `refward policy export`, e.g. retention.daily, trigger.schedule, select.include",
            )
        })?;
    }
    policy.check()?;
    Ok(policy)
}

/// Numbers, flags and lists as in TOML; everything else is a word.
fn value(key: &str, text: &str) -> Option<Value> {
    if text.is_empty() {
        return None;
    }
    let literal = toml::from_str::<BTreeMap<String, Value>>(&format!("value = {text}"));
    let literal = literal.ok().and_then(|mut table| table.remove("value"));
    Some(match literal {
        Some(list @ Value::Array(_)) => list,
        _ if LISTS.contains(&key) => text.split(',').map(|one| Value::from(one.trim())).collect(),
        // Where only words are read, a number is one that says too little, or a description.
        Some(value @ Value::Number(_)) if key.starts_with("retention.") && key != "retention.within" => value,
        Some(value @ (Value::Bool(_) | Value::String(_) | Value::Object(_))) => value,
        _ => Value::from(text),
    })
}

fn put(document: &mut Value, key: &str, value: Option<Value>) {
    let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut place = document;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        if !place[part].is_object() {
            place[part] = Value::Object(serde_json::Map::new());
        }
        place = &mut place[part];
    }
    match (value, place.as_object_mut()) {
        (Some(value), Some(table)) => drop(table.insert(last.to_owned(), value)),
        (None, Some(table)) => drop(table.remove(last)),
        (_, None) => {}
    }
}

/// What a change changes, by key.
pub(super) fn differences(edit: &PolicyEdit, names: &Names) -> Vec<Changed> {
    let flat = |policy: Option<&Policy>| {
        let mut keys = BTreeMap::new();
        if let Some(document) = policy.and_then(|policy| json(&names.to_names(policy.clone())).ok()) {
            flatten("", &document, &mut keys);
        }
        keys
    };
    let (before, after) = match edit {
        // What is not said here is as in every new one.
        PolicyEdit::Create(after) => (flat(Some(&Policy::new(&after.name))), flat(Some(after))),
        PolicyEdit::Set { before, after } => (flat(Some(before)), flat(Some(after))),
        PolicyEdit::Delete(before) => (flat(Some(before)), flat(None)),
        PolicyEdit::Order { before, after } => {
            let order = |names: &[String]| BTreeMap::from([("order".to_owned(), names.join(", "))]);
            (order(before), order(after))
        }
    };
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let told = |side: &BTreeMap<String, String>, key: &String| side.get(key).map_or("-", String::as_str).to_owned();
    let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    changed.map(|key| Changed { setting: key.clone(), from: told(&before, key), to: told(&after, key) }).collect()
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        Value::Array(list) => {
            let words: Vec<String> = list.iter().map(word).collect();
            into.insert(path.to_owned(), words.join(", "));
        }
        other => drop(into.insert(path.to_owned(), word(other))),
    }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn json(policy: &Policy) -> Result<Value> {
    serde_json::to_value(policy).map_err(|error| Error::bug("a policy cannot be written").detail(error))
}
