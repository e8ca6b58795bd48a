//! Holds requests and answers against GitHub's own description of its REST API, if `scripts/test-setup.sh` fetched it.

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use super::reply::{Call, Reply};
use crate::support::openapi::Described;

/// Paths that links and redirects lead to, and that no description has.
const UNDOCUMENTED: &[&[&str]] = &[&["organizations", "*", "repos"]];

/// GitHub's API.
pub struct Description {
    name: &'static str,
    api: Described,
}

/// The description of GitHub Enterprise Server, or that of github.com; `None`: they were not fetched.
pub fn description(enterprise: bool) -> Option<&'static Description> {
    static SERVER: LazyLock<Option<Description>> = LazyLock::new(|| Description::read("ghes-3.19"));
    static CLOUD: LazyLock<Option<Description>> = LazyLock::new(|| Description::read("api.github.com"));
    if enterprise { SERVER.as_ref() } else { CLOUD.as_ref() }
}

impl Description {
    fn read(name: &'static str) -> Option<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(".test-tools/openapi/{name}.json"));
        Described::read(&file, Draft::Draft4, converted).map(|api| Self { name, api })
    }

    /// What is wrong with a request.
    pub fn check_request(&self, call: &Call) -> Result<(), String> {
        self.request(call).map_err(|why| format!("{} {} ({}): {why}", call.method, call.path, self.name))
    }

    fn request(&self, call: &Call) -> Result<(), String> {
        if is_undocumented(call.path) {
            return Ok(());
        }
        let (template, operation) = self.api.operation(call.method, &by_name(call.path))?;
        let parameters: Vec<&Value> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| self.api.resolve(parameter))
            .collect();
        for (name, value) in url::form_urlencoded::parse(call.query.as_bytes()) {
            let known = parameters.iter().find(|known| known["in"] == "query" && known["name"] == *name);
            let schema = &known.ok_or_else(|| format!("there is no query parameter `{name}`"))?["schema"];
            let instance = match self.api.resolve(schema)["type"].as_str() {
                Some("integer") => value.parse::<i64>().map_or_else(|_| json!(value), Value::from),
                Some("boolean") => value.parse::<bool>().map_or_else(|_| json!(value), Value::from),
                _ => json!(value),
            };
            self.api.validate(&format!("{} {template} ?{name}", call.method), schema, &instance)?;
        }
        let schema = &self.api.resolve(&operation["requestBody"])["content"]["application/json"]["schema"];
        match (schema, &call.body) {
            (_, Value::Null) => Ok(()),
            (Value::Null, body) if body.as_object().is_some_and(Map::is_empty) => Ok(()),
            (Value::Null, body) => Err(format!("it has a body, which nobody reads: {body}")),
            (schema, body) => self.api.validate(&format!("{} {template} body", call.method), schema, body),
        }
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        self.answer(method, path, reply)
            .map_err(|why| format!("{method} {path} → {} ({}): {why}", reply.status, self.name))
    }

    fn answer(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        // An unknown path was already complained about.
        let Ok((template, operation)) = self.api.operation(method, &by_name(path)) else { return Ok(()) };
        let status = reply.status.to_string();
        let Some(answer) = operation["responses"].get(&status).map(|answer| self.api.resolve(answer)) else {
            return if reply.status < 300 { Err("there is no such answer".to_owned()) } else { Ok(()) };
        };
        match (&answer["content"]["application/json"]["schema"], &reply.body) {
            (Value::Null, None) => Ok(()),
            (Value::Null, Some(_)) if reply.status >= 300 => Ok(()),
            (Value::Null, Some(_)) => Err("there should be no body".to_owned()),
            (_, None) => Err("there should be a body".to_owned()),
            (schema, Some(body)) => self.api.validate(&format!("{method} {template} {status}"), schema, &sample(body)),
        }
    }

    /// What is wrong with the payload of a webhook.
    pub fn check_webhook(&self, event: &str, payload: &Value) -> Result<(), String> {
        let name = |action: &str| format!("{event}{action}").replace('_', "-");
        let action = payload["action"].as_str().map(|action| format!("-{action}")).unwrap_or_default();
        let known =
            [name(&action), name("")].into_iter().find(|name| self.api.document["x-webhooks"].get(name).is_some());
        let name = known.ok_or_else(|| format!("{event}{action}: there is no such webhook"))?;
        let post = &self.api.document["x-webhooks"][&name]["post"];
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        self.api.validate(&format!("webhook {name}"), schema, &sample(payload)).map_err(|why| format!("{name}: {why}"))
    }
}

fn is_undocumented(path: &str) -> bool {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let fits = |known: &&[&str]| {
        known.len() == segments.len()
            && known.iter().zip(&segments).all(|(known, given)| *known == "*" || known == given)
    };
    UNDOCUMENTED.iter().any(fits)
}

/// Redirects lead to a repository by its number, and there all is as it is below its name.
fn by_name(path: &str) -> String {
    let mut segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if segments[0] == "repositories" && segments.len() > 1 {
        segments.splice(..2, ["repos", "{owner}", "{repo}"]);
    }
    segments.join("/")
}

/// `OpenAPI` 3.0 says `nullable` where JSON Schema has a type of its own for null.
fn converted(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        return match schema {
            Value::Array(values) => values.iter().map(converted).collect(),
            plain => plain.clone(),
        };
    };
    let kept = fields.iter().filter(|(key, value)| match key.as_str() {
        // A property may have such a name, too; then it is a schema.
        "example" | "examples" | "discriminator" => value.get("type").is_some(),
        key => key != "nullable" || value.is_object(),
    });
    let mut made: Map<String, Value> = kept.map(|(key, value)| (key.clone(), converted(value))).collect();
    // An error in the description of `GET /app/installations` for servers: nothing can be both.
    if made.get("allOf").is_some_and(|all| all[0]["title"] == "Simple User" && all[1]["title"] == "Enterprise") {
        let either = made.remove("allOf").unwrap();
        made.insert("anyOf".to_owned(), either);
    }
    if fields.get("nullable") != Some(&Value::Bool(true)) {
        return made.into();
    }
    if let Some(values) = made.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    let composed = ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|key| made.contains_key(*key));
    match made.get("type").cloned() {
        Some(kind) if !composed => {
            made.insert("type".to_owned(), json!([kind, "null"]));
            made.into()
        }
        _ => json!({ "anyOf": [made, { "type": "null" }] }),
    }
}

/// The same with long lists cut down to their first element, which stands for the others.
fn sample(body: &Value) -> Value {
    match body {
        Value::Array(values) if values.len() > 3 => json!([sample(&values[0])]),
        Value::Array(values) => values.iter().map(sample).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), sample(value))).collect(),
        plain => plain.clone(),
    }
}
