//! Holds requests and answers against GitHub's own description of its REST API, if `scripts/test-setup.sh` fetched it.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::reply::{Call, Reply};

/// Paths that links and redirects lead to, and that no description has.
const UNDOCUMENTED: &[&[&str]] = &[&["organizations", "*", "repos"]];

/// An API as it is described.
pub struct Description {
    name: &'static str,
    document: Value,
    /// Paths in segments.
    paths: Vec<(Vec<String>, String)>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
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
        let Ok(text) = std::fs::read(&file) else {
            eprintln!("\n!!! NOT CHECKED: {} is missing. Run scripts/test-setup.sh.\n", file.display());
            return None;
        };
        let document: Value = serde_json::from_slice(&text).unwrap();
        let templates = document["paths"].as_object().unwrap().keys();
        let segments = |path: &String| path.trim_start_matches('/').split('/').map(str::to_owned).collect();
        let mut paths: Vec<(Vec<String>, String)> = templates.map(|path| (segments(path), path.clone())).collect();
        // Paths with fewer parameters win: `/user/repos` is not somebody's.
        paths.sort_by_key(|(_, path)| path.matches('{').count());
        Some(Self { name, document, paths, validators: Mutex::default() })
    }

    /// What is wrong with a request.
    pub fn check_request(&self, call: &Call) -> Result<(), String> {
        self.request(call).map_err(|why| format!("{} {} ({}): {why}", call.method, call.path, self.name))
    }

    fn request(&self, call: &Call) -> Result<(), String> {
        if is_undocumented(call.path) {
            return Ok(());
        }
        let (template, operation) = self.operation(call.method, call.path)?;
        let parameters: Vec<&Value> =
            operation["parameters"].as_array().into_iter().flatten().map(|parameter| self.resolve(parameter)).collect();
        for (name, value) in url::form_urlencoded::parse(call.query.as_bytes()) {
            let known = parameters.iter().find(|known| known["in"] == "query" && known["name"] == *name);
            let schema = &known.ok_or_else(|| format!("there is no query parameter `{name}`"))?["schema"];
            let instance = match self.resolve(schema)["type"].as_str() {
                Some("integer") => value.parse::<i64>().map_or_else(|_| json!(value), Value::from),
                Some("boolean") => value.parse::<bool>().map_or_else(|_| json!(value), Value::from),
                _ => json!(value),
            };
            self.validate(&format!("{} {template} ?{name}", call.method), schema, &instance)?;
        }
        let schema = &self.resolve(&operation["requestBody"])["content"]["application/json"]["schema"];
        match (schema, &call.body) {
            (_, Value::Null) => Ok(()),
            (Value::Null, body) if body.as_object().is_some_and(Map::is_empty) => Ok(()),
            (Value::Null, body) => Err(format!("it has a body, which nobody reads: {body}")),
            (schema, body) => self.validate(&format!("{} {template} body", call.method), schema, body),
        }
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        self.answer(method, path, reply)
            .map_err(|why| format!("{method} {path} → {} ({}): {why}", reply.status, self.name))
    }

    fn answer(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        // An unknown path was already complained about.
        let Ok((template, operation)) = self.operation(method, path) else { return Ok(()) };
        let status = reply.status.to_string();
        let Some(answer) = operation["responses"].get(&status).map(|answer| self.resolve(answer)) else {
            return if reply.status < 300 { Err("there is no such answer".to_owned()) } else { Ok(()) };
        };
        match (&answer["content"]["application/json"]["schema"], &reply.body) {
            (Value::Null, None) => Ok(()),
            (Value::Null, Some(_)) if reply.status >= 300 => Ok(()),
            (Value::Null, Some(_)) => Err("there should be no body".to_owned()),
            (_, None) => Err("there should be a body".to_owned()),
            (schema, Some(body)) => self.validate(&format!("{method} {template} {status}"), schema, &sample(body)),
        }
    }

    /// What is wrong with the payload of a webhook.
    pub fn check_webhook(&self, event: &str, payload: &Value) -> Result<(), String> {
        let name = |action: &str| format!("{event}{action}").replace('_', "-");
        let action = payload["action"].as_str().map(|action| format!("-{action}")).unwrap_or_default();
        let known = [name(&action), name("")].into_iter().find(|name| self.document["x-webhooks"].get(name).is_some());
        let name = known.ok_or_else(|| format!("{event}{action}: there is no such webhook"))?;
        let post = &self.document["x-webhooks"][&name]["post"];
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        self.validate(&format!("webhook {name}"), schema, &sample(payload)).map_err(|why| format!("{name}: {why}"))
    }

    fn operation(&self, method: &str, path: &str) -> Result<(&str, &Value), String> {
        let mut segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        // Redirects lead to a repository by its number, and there all is as it is below its name.
        if segments[0] == "repositories" && segments.len() > 1 {
            segments.splice(..2, ["repos", "{owner}", "{repo}"]);
        }
        let fits = |template: &[String]| {
            let pairs = || template.iter().zip(&segments);
            template.len() == segments.len() && pairs().all(|(known, given)| known.starts_with('{') || known == given)
        };
        let (_, path) = self.paths.iter().find(|(template, _)| fits(template)).ok_or("GitHub has no such path")?;
        let operation = self.document["paths"][path].get(method.to_lowercase());
        Ok((path, operation.ok_or("this path does not know that method")?))
    }

    fn validate(&self, key: &str, schema: &Value, instance: &Value) -> Result<(), String> {
        let known = self.validators.lock().unwrap().get(key).cloned();
        let validator = known.unwrap_or_else(|| {
            let made = Arc::new(self.compile(schema));
            self.validators.lock().unwrap().insert(key.to_owned(), made.clone());
            made
        });
        validator.validate(instance).map_err(|error| {
            let text: String = error.to_string().chars().take(300).collect();
            format!("at `{}`: {text}", error.instance_path())
        })
    }

    /// A schema with those that it refers to, and no others: all of them would take seconds.
    fn compile(&self, schema: &Value) -> Validator {
        let (mut found, mut todo) = (BTreeSet::new(), Vec::new());
        references(schema, &mut todo);
        while let Some(reference) = todo.pop() {
            if found.insert(reference.clone()) {
                references(self.at(&reference), &mut todo);
            }
        }
        let mut root = json!({ "allOf": [converted(schema)], "components": { "schemas": {} } });
        for reference in found {
            let name = reference.rsplit('/').next().unwrap();
            root["components"]["schemas"][name] = converted(self.at(&reference));
        }
        jsonschema::options().with_draft(Draft::Draft4).build(&root).unwrap()
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        value["$ref"].as_str().map_or(value, |reference| self.at(reference))
    }

    fn at(&self, reference: &str) -> &Value {
        self.document.pointer(reference.trim_start_matches('#')).unwrap()
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

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => (),
    }
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
