//! Answers GraphQL queries from what the double knows.

use std::path::Path;

use apollo_compiler::ast::{self, Field, OperationDefinition, Selection};
use serde_json::{Map, Value, json};

use super::state::{RefList, Repository, State};
use super::tokens::Token;
use crate::support::shell::git_command;

/// Lists that cannot be asked for without saying how much of them.
const CONNECTIONS: &[&str] = &["repositories", "refs", "pullRequests"];

/// The most of a list at a time.
const MAX_PAGE: u64 = 100;

pub struct Resolver<'a> {
    root: &'a Path,
    token: &'a Token,
    operation: &'a OperationDefinition,
    variables: &'a Value,
}

/// An answer in the making.
struct Making<'a> {
    state: &'a mut State,
    rate: Value,
    path: Vec<Value>,
    errors: Vec<Value>,
}

impl<'a> Resolver<'a> {
    pub fn new(root: &'a Path, token: &'a Token, operation: &'a OperationDefinition, variables: &'a Value) -> Self {
        Self { root, token, operation, variables }
    }

    /// How many requests GitHub counts for this, and how many nodes it could give at most.
    pub fn weight(&self, selections: &[Selection], times: u64) -> (u64, u64) {
        let weigh = |selection: &Selection| match selection {
            Selection::Field(field) => {
                let size = self.argument(field, "first").as_u64().or_else(|| self.argument(field, "last").as_u64());
                let (requests, nodes) = self.weight(&field.selection_set, times * size.unwrap_or(1));
                if size.is_some() { (requests + times, nodes + times * size.unwrap_or(0)) } else { (requests, nodes) }
            }
            Selection::InlineFragment(fragment) => self.weight(&fragment.selection_set, times),
            Selection::FragmentSpread(_) => (0, 0),
        };
        selections.iter().map(weigh).fold((0, 0), |(requests, nodes), (more, others)| (requests + more, nodes + others))
    }

    /// The data, and errors beside it.
    pub fn answer(&self, state: &mut State, rate: Value) -> (Value, Vec<Value>) {
        let mut making = Making { state, rate, path: Vec::new(), errors: Vec::new() };
        let data = self.select(&mut making, &self.operation.selection_set, &json!({ "__typename": "Query" }));
        (data, making.errors)
    }

    fn select(&self, making: &mut Making, selections: &[Selection], object: &Value) -> Value {
        match object {
            Value::Array(values) => {
                let each = values.iter().enumerate().map(|(index, value)| {
                    making.path.push(index.into());
                    let made = self.select(making, selections, value);
                    making.path.pop();
                    made
                });
                each.collect()
            }
            Value::Object(_) => {
                let mut made = Map::new();
                self.fill(making, selections, object, &mut made);
                made.into()
            }
            plain => plain.clone(),
        }
    }

    fn fill(&self, making: &mut Making, selections: &[Selection], object: &Value, made: &mut Map<String, Value>) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name).to_string();
                    making.path.push(key.as_str().into());
                    let value = self.field(making, object, field);
                    let value = if field.selection_set.is_empty() {
                        value
                    } else {
                        self.select(making, &field.selection_set, &value)
                    };
                    making.path.pop();
                    made.insert(key, value);
                }
                Selection::InlineFragment(fragment) => {
                    let wanted = fragment.type_condition.as_ref().map(ToString::to_string);
                    if wanted.is_none_or(|wanted| is_a(object, &wanted)) {
                        self.fill(making, &fragment.selection_set, object, made);
                    }
                }
                Selection::FragmentSpread(_) => making.complain("INVALID", "the double knows no named fragments"),
            }
        }
    }

    fn field(&self, making: &mut Making, object: &Value, field: &Field) -> Value {
        let name = field.name.as_str();
        if CONNECTIONS.contains(&name) && !self.is_paged(making, field) {
            return Value::Null;
        }
        let text = |argument: &str| self.argument(field, argument).as_str().unwrap_or_default().to_owned();
        match (object["__typename"].as_str().unwrap_or_default(), name) {
            ("Query", "rateLimit") => making.rate.clone(),
            ("Query", "viewer") => owner_json(making.state, &self.token.user),
            ("Query", "repositoryOwner" | "organization" | "user") => self.owner(making, &text("login"), name),
            ("Query", "repository") => {
                let full_name = format!("{}/{}", text("owner"), text("name"));
                let found = making.state.by_name(&full_name).or_else(|| making.state.by_former_name(&full_name));
                let found = found.filter(|found| self.token.sees(found)).map(|found| found.id);
                let Some(id) = found else {
                    making.complain(
                        "NOT_FOUND",
                        &format!("Could not resolve to a Repository with the name '{full_name}'."),
                    );
                    return Value::Null;
                };
                self.repository(making, id)
            }
            ("Organization" | "User", "repositories") => self.repositories(making, object, field),
            ("Repository", "defaultBranchRef" | "refs") if !self.token.may("contents", "read") => making.forbid(),
            ("Repository", "pullRequests") if !self.token.may("pull_requests", "read") => making.forbid(),
            ("Repository", "refs") => self.refs(making, object, field),
            _ => object[name].clone(),
        }
    }

    fn is_paged(&self, making: &mut Making, field: &Field) -> bool {
        let given = [self.argument(field, "first"), self.argument(field, "last")];
        match given.iter().find_map(Value::as_u64) {
            Some(1..=MAX_PAGE) => true,
            Some(size) => {
                let text = format!(
                    "Requesting {size} records on the `{}` connection exceeds the `first` limit of {MAX_PAGE} records.",
                    field.name
                );
                making.complain("EXCESSIVE_PAGINATION", &text);
                false
            }
            None => {
                let text = format!(
                    "You must provide a `first` or `last` value to properly paginate the `{}` connection.",
                    field.name
                );
                making.complain("MISSING_PAGINATION_BOUNDARIES", &text);
                false
            }
        }
    }

    fn owner(&self, making: &mut Making, login: &str, asked: &str) -> Value {
        let known = making.state.account(login).map(|(name, account)| (name.to_owned(), account.organization));
        match known {
            Some((_, true)) if self.token.sso_required => {
                making.complain("FORBIDDEN", "Resource protected by organization SAML enforcement.");
                Value::Null
            }
            Some((name, organization)) if asked == "repositoryOwner" || (asked == "organization") == organization => {
                owner_json(making.state, &name)
            }
            _ if asked == "repositoryOwner" => Value::Null,
            _ => {
                making.complain("NOT_FOUND", &format!("Could not resolve to an account with the login of '{login}'."));
                Value::Null
            }
        }
    }

    fn repositories(&self, making: &mut Making, owner: &Value, field: &Field) -> Value {
        let login = owner["login"].as_str().unwrap_or_default();
        // Private ones of a person are theirs alone, whatever the scopes of somebody else's token.
        let open = owner["__typename"] == "Organization" || login.eq_ignore_ascii_case(&self.token.user);
        let mine = |found: &&Repository| found.owner == login && (open || !found.private) && self.token.sees(found);
        let all = making.state.repositories.iter().filter(mine);
        let mut all: Vec<&Repository> = all.collect();
        let order = self.argument(field, "orderBy");
        match order["field"].as_str() {
            Some("PUSHED_AT") => all.sort_by_key(|found| found.pushed_at),
            Some("NAME") => all.sort_by(|one, other| one.name.cmp(&other.name)),
            _ => (),
        }
        if order["direction"] == "DESC" {
            all.reverse();
        }
        let ids: Vec<u64> = all.into_iter().map(|found| found.id).collect();
        let after = self.argument(field, "after");
        let after = after.as_str().and_then(|cursor| cursor.strip_prefix("cursor:")?.parse().ok()).unwrap_or(0);
        let size = usize::try_from(self.argument(field, "first").as_u64().unwrap_or(MAX_PAGE)).unwrap();
        let shown = &ids[after.min(ids.len())..(after + size).min(ids.len())];
        let end = after + shown.len();
        let nodes: Vec<Value> = shown.iter().map(|id| self.repository(making, *id)).collect();
        let page = json!({
            "hasNextPage": end < ids.len(),
            "hasPreviousPage": after > 0,
            "endCursor": (!shown.is_empty()).then(|| format!("cursor:{end}")),
        });
        json!({ "totalCount": ids.len(), "pageInfo": page, "nodes": nodes })
    }

    fn repository(&self, making: &mut Making, id: u64) -> Value {
        making.state.look_at(self.root, id);
        let state = &*making.state;
        let found = state.repository(id).expect("it was just found");
        let refs = found.refs.as_ref().expect("they were just looked at");
        let branch = refs.head.as_deref().and_then(|head| refs.refs.iter().find(|(name, _)| name == head));
        let branch = branch.map(|(name, id)| {
            let name = name.trim_start_matches("refs/heads/");
            json!({ "__typename": "Ref", "name": name, "prefix": "refs/heads/", "target": { "__typename": "Commit", "oid": id } })
        });
        let pulls: Vec<Value> = found.pull_updated.iter().map(|at| json!({ "updatedAt": at })).collect();
        json!({
            "__typename": "Repository",
            "id": format!("R_{id}"),
            "databaseId": id,
            "name": found.name,
            "nameWithOwner": found.full_name(),
            "isPrivate": found.private,
            "isArchived": found.archived,
            "isDisabled": false,
            "isFork": false,
            "isLocked": false,
            "isEmpty": branch.is_none(),
            "visibility": if found.private { "PRIVATE" } else { "PUBLIC" },
            "createdAt": found.created_at,
            "updatedAt": found.pushed_at,
            "pushedAt": found.pushed_at,
            "url": format!("{}/{}", state.host, found.full_name()),
            "owner": owner_json(state, &found.owner),
            "defaultBranchRef": branch,
            "pullRequests": { "totalCount": pulls.len(), "nodes": pulls },
        })
    }

    fn refs(&self, making: &mut Making, repository: &Value, field: &Field) -> Value {
        let prefix = self.argument(field, "refPrefix");
        let prefix = prefix.as_str().unwrap_or_default();
        let found = repository["databaseId"].as_u64().and_then(|id| making.state.repository(id));
        let Some(refs) = found.and_then(|found| found.refs.as_ref()) else { return Value::Null };
        let all: Vec<_> = refs.refs.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        let size = usize::try_from(self.argument(field, "first").as_u64().unwrap_or(MAX_PAGE)).unwrap();
        let nodes = all.iter().take(size).map(|(name, id)| {
            json!({ "__typename": "Ref", "name": &name[prefix.len()..], "prefix": prefix, "target": { "oid": id } })
        });
        let nodes: Vec<Value> = nodes.collect();
        json!({ "totalCount": all.len(), "nodes": nodes, "pageInfo": { "hasNextPage": size < all.len() } })
    }

    /// What a field was given under this name; null if nothing.
    fn argument(&self, field: &Field, name: &str) -> Value {
        let mut arguments = field.arguments.iter();
        arguments.find(|argument| argument.name == name).map_or(Value::Null, |argument| self.value(&argument.value))
    }

    fn value(&self, value: &ast::Value) -> Value {
        match value {
            ast::Value::Null => Value::Null,
            ast::Value::Enum(name) => name.as_str().into(),
            ast::Value::String(text) => text.as_str().into(),
            ast::Value::Boolean(flag) => (*flag).into(),
            ast::Value::Int(number) => number.as_str().parse::<i64>().unwrap_or_default().into(),
            ast::Value::Float(number) => number.as_str().parse::<f64>().unwrap_or_default().into(),
            ast::Value::List(values) => values.iter().map(|value| self.value(value)).collect(),
            ast::Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.to_string(), self.value(value))).collect()
            }
            ast::Value::Variable(name) => self.variable(name),
        }
    }

    fn variable(&self, name: &str) -> Value {
        if let Some(given) = self.variables.get(name) {
            return given.clone();
        }
        let declared = self.operation.variables.iter().find(|variable| variable.name == name);
        let default = declared.and_then(|variable| variable.default_value.as_ref());
        default.map_or(Value::Null, |default| self.value(default))
    }
}

impl Making<'_> {
    fn complain(&mut self, kind: &str, text: &str) {
        self.errors.push(json!({ "type": kind, "path": self.path, "message": text }));
    }

    fn forbid(&mut self) -> Value {
        self.complain("FORBIDDEN", "Resource not accessible by integration");
        Value::Null
    }
}

impl State {
    /// Reads a repository's references, unless nothing was pushed since.
    fn look_at(&mut self, root: &Path, id: u64) {
        let repository = self.by_id(id);
        if repository.refs.is_none() {
            let folder = root.join(format!("{}.git", repository.full_name()));
            repository.refs = Some(references(&folder));
        }
    }
}

/// Repositories on paper have none.
fn references(folder: &Path) -> RefList {
    if !folder.is_dir() {
        return RefList::default();
    }
    let listed = git_command(folder, &["for-each-ref", "--format=%(refname) %(objectname)"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let refs = listed.lines().filter_map(|line| line.split_once(' '));
    let refs = refs.map(|(name, id)| (name.to_owned(), id.to_owned())).collect();
    let head = std::fs::read_to_string(folder.join("HEAD")).unwrap();
    RefList { refs, head: head.trim().strip_prefix("ref: ").map(str::to_owned) }
}

fn owner_json(state: &State, login: &str) -> Value {
    let json = state.account_json(login);
    json!({
        "__typename": if json["type"] == "Organization" { "Organization" } else { "User" },
        "id": json["node_id"],
        "databaseId": json["id"],
        "login": login,
        "url": json["html_url"],
    })
}

fn is_a(object: &Value, name: &str) -> bool {
    object["__typename"] == name || ["RepositoryOwner", "Node", "Actor", "GitObject"].contains(&name)
}
