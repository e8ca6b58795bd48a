//! GraphQL at `/api/graphql`: enough of it to ask for an owner's repositories and how they stand.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use apollo_compiler::ast::{Definition, Document, OperationDefinition, OperationType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Map, Value, json};

use super::FakeGithub;
use super::limits::Left;
use super::reply::{Call, Reply, message, not_found, ok, play};
use super::resolver::Resolver;
use super::state::{Fault, State};
use super::tokens::Token;

/// The most nodes that a query may ask for.
const MAX_NODES: u64 = 500_000;

/// Whether it is there, and what is wrong with it.
#[derive(Default)]
pub struct Graphql {
    off: bool,
    troubles: VecDeque<Trouble>,
}

/// What can go wrong with a query that is right.
#[derive(Clone)]
pub enum Trouble {
    /// No answer in GraphQL's form: a 502 after ten seconds of work.
    Http(Fault),
    /// 200, an error of this type and no data.
    Refused(&'static str),
    /// 200, an error and data in which this field of the first repository is null.
    Partial(&'static str),
}

impl FakeGithub {
    /// An old server that has no GraphQL, or one where it was switched off.
    pub fn without_graphql(&self) {
        self.state().graphql.off = true;
    }

    /// The next `times` queries go wrong.
    pub fn fail_graphql(&self, times: usize, trouble: &Trouble) {
        self.state().graphql.troubles.extend(std::iter::repeat_n(trouble.clone(), times));
    }
}

pub fn respond(github: &FakeGithub, call: &Call) -> HttpResponse {
    let mut state = github.state();
    if state.graphql.off || call.method != "POST" {
        return not_found().finish(&state);
    }
    if let Some(fault) = state.api_faults.pop_front() {
        return play(&fault);
    }
    let Some(token) = call.bearer().and_then(|text| state.present(text)) else {
        return message(401, "Bad credentials").finish(&state);
    };
    if let Some(refusal) = state.too_fast(&token, 1) {
        return refusal.finish(&state);
    }
    let trouble = state.graphql.troubles.pop_front();
    if let Some(Trouble::Http(fault)) = &trouble {
        return play(fault);
    }
    let reply = run(github, &mut state, &token, &call.body, trouble.as_ref());
    let reply = match state.left(&token, "graphql") {
        Some(left) => left.tell(reply),
        None => reply,
    };
    reply.finish(&state)
}

fn run(github: &FakeGithub, state: &mut State, token: &Token, body: &Value, trouble: Option<&Trouble>) -> Reply {
    let query = match checked(body["query"].as_str().unwrap_or_default()) {
        Ok(query) => query,
        Err(why) => {
            state.violations.push(format!("GraphQL: {why}"));
            return refused("undefinedField", &why);
        }
    };
    let Some(operation) = operation(&query) else { return refused("INVALID", "There is no query in it.") };
    let left = state.left(token, "graphql");
    if left.as_ref().is_some_and(|left| left.remaining == 0) {
        let reply = state.exceeded(token);
        return refused(
            "RATE_LIMITED",
            reply.body.as_ref().and_then(|body| body["message"].as_str()).unwrap_or_default(),
        );
    }
    if let Some(Trouble::Refused(kind)) = trouble {
        return refused(kind, "Something went wrong while executing your query.");
    }
    let resolver = Resolver::new(github.inner.root.path(), token, operation, &body["variables"]);
    let (requests, nodes) = resolver.weight(&operation.selection_set, 1);
    if nodes > MAX_NODES {
        return refused("MAX_NODE_LIMIT_EXCEEDED", &format!("This query requests up to {nodes} possible nodes."));
    }
    let cost = ((requests + 50) / 100).max(1);
    state.charge(token, "graphql", cost);
    let rate = state.left(token, "graphql").map(|left| {
        json!({
            "__typename": "RateLimit", "cost": cost, "limit": Left::LIMIT, "remaining": left.remaining,
            "used": left.used, "resetAt": left.reset, "nodeCount": nodes,
        })
    });
    let (mut data, mut errors) = resolver.answer(state, rate.unwrap_or_default());
    if let Some(Trouble::Partial(field)) = trouble {
        if let Some(first) = first_node(&mut data) {
            first.insert((*field).to_owned(), Value::Null);
        }
        let text = "Something went wrong while executing your query.";
        errors.push(json!({ "message": text, "path": ["repositoryOwner", "repositories", "nodes", 0, field] }));
    }
    if errors.is_empty() { ok(json!({ "data": data })) } else { ok(json!({ "data": data, "errors": errors })) }
}

/// The first object in a list.
fn first_node(data: &mut Value) -> Option<&mut Map<String, Value>> {
    match data {
        Value::Array(values) => values.first_mut()?.as_object_mut(),
        Value::Object(fields) => fields.values_mut().find_map(first_node),
        _ => None,
    }
}

fn refused(kind: &str, text: &str) -> Reply {
    ok(json!({ "data": null, "errors": [{ "type": kind, "message": text }] }))
}

/// A query that GitHub's own schema allows, if that was fetched.
fn checked(text: &str) -> Result<Document, String> {
    static SCHEMA: LazyLock<Option<Valid<Schema>>> = LazyLock::new(|| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test-tools/openapi/schema.graphql");
        let Ok(text) = std::fs::read_to_string(&file) else {
            eprintln!("\n!!! NOT CHECKED: {} is missing. Run scripts/test-setup.sh.\n", file.display());
            return None;
        };
        // GitHub's schema has two fields twice; the first ones are kept.
        let schema = Schema::parse(text, "schema.graphql").unwrap_or_else(|errors| errors.partial);
        Some(Valid::assume_valid(schema))
    });
    if let Some(schema) = &*SCHEMA {
        ExecutableDocument::parse_and_validate(schema, text, "query.graphql")
            .map_err(|error| error.errors.to_string())?;
    }
    Document::parse(text, "query.graphql").map_err(|error| error.errors.to_string())
}

fn operation(query: &Document) -> Option<&OperationDefinition> {
    query.definitions.iter().find_map(|definition| match definition {
        Definition::OperationDefinition(found) if found.operation_type == OperationType::Query => Some(&**found),
        _ => None,
    })
}
