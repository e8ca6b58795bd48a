//! Holds requests and answers against Discord's own description of its API (`discord/discord-api-spec`).

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Value, json};

use super::reply::{Call, Reply};

/// What an interaction can be answered with, whether over HTTP or as the answer to Discord's own request.
const CALLBACK: &str = "/interactions/{interaction_id}/{interaction_token}/callback";

/// The API as it is described.
pub struct Description {
    document: Value,
    /// Paths in segments, those with fewer parameters first.
    paths: Vec<(Vec<String>, String)>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The description; `None`: it is not there.
pub fn description() -> Option<&'static Description> {
    static DISCORD: LazyLock<Option<Description>> = LazyLock::new(Description::read);
    DISCORD.as_ref()
}

impl Description {
    fn read() -> Option<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/discord/openapi.json");
        let Ok(text) = std::fs::read(&file) else {
            eprintln!("\n!!! NOT CHECKED: {} is missing.\n", file.display());
            return None;
        };
        let mut document: Value = serde_json::from_slice(&text).unwrap();
        // It says that codes of errors in forms are numbers. They are words:
        // https://docs.discord.com/developers/reference#error-messages
        document["components"]["schemas"]["InnerErrors"]["properties"]["_errors"]["items"] =
            json!({ "type": "object" });
        let segments = |path: &String| path.trim_start_matches('/').split('/').map(str::to_owned).collect();
        let templates = document["paths"].as_object().unwrap().keys();
        let mut paths: Vec<(Vec<String>, String)> = templates.map(|path| (segments(path), path.clone())).collect();
        paths.sort_by_key(|(_, path)| path.matches('{').count());
        Some(Self { document, paths, validators: Mutex::default() })
    }

    /// What is wrong with a request.
    pub fn check_request(&self, call: &Call) -> Result<(), String> {
        let (template, operation) = self.operation(&call.method, &call.path)?;
        for (name, _) in url::form_urlencoded::parse(call.query.as_bytes()) {
            let mut known = operation["parameters"].as_array().into_iter().flatten();
            if !known.any(|known| known["in"] == "query" && known["name"] == *name) {
                return Err(format!("{template}: there is no query parameter `{name}`"));
            }
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        match (schema, &call.body) {
            (Value::Null, Value::Null) => Ok(()),
            (Value::Null, body) => Err(format!("it has a body, which nobody reads: {body}")),
            (schema, body) => self.validate(&format!("{} {template} body", call.method), schema, body),
        }
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        // An unknown path was already complained about.
        let Ok((template, operation)) = self.operation(method, path) else { return Ok(()) };
        let status = match reply.status {
            429 => "429".to_owned(),
            400..500 => "4XX".to_owned(),
            status => status.to_string(),
        };
        let answer = &operation["responses"][&status];
        let answer = answer["$ref"].as_str().map_or(answer, |reference| self.at(reference));
        let schema = &answer["content"]["application/json"]["schema"];
        let told = match (answer, schema, &reply.body) {
            (Value::Null, ..) => Err("there is no such answer".to_owned()),
            (_, Value::Null, None) => Ok(()),
            (_, Value::Null, Some(_)) => Err("there should be no body".to_owned()),
            (_, _, None) => Err("there should be a body".to_owned()),
            (_, schema, Some(body)) => self.validate(&format!("{method} {template} {status}"), schema, body),
        };
        told.map_err(|why| format!("{method} {path} → {}: {why}", reply.status))
    }

    /// What is wrong with the first answer to an interaction.
    pub fn check_callback(&self, body: &Value) -> Result<(), String> {
        let post = &self.document["paths"][CALLBACK]["post"];
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        self.validate("callback", schema, body)
    }

    fn operation(&self, method: &str, path: &str) -> Result<(&str, &Value), String> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let fits = |template: &[String]| {
            let pairs = || template.iter().zip(&segments);
            template.len() == segments.len() && pairs().all(|(known, given)| known.starts_with('{') || known == given)
        };
        let (_, path) = self.paths.iter().find(|(template, _)| fits(template)).ok_or("Discord has no such path")?;
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
            let error = deepest(&error);
            format!("at `{}`: {}", error.instance_path(), error.masked_with("it"))
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
        let mut root = json!({ "allOf": [schema], "components": { "schemas": {} } });
        for reference in found {
            let name = reference.rsplit('/').next().unwrap();
            root["components"]["schemas"][name] = self.at(&reference).clone();
        }
        jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap()
    }

    fn at(&self, reference: &str) -> &Value {
        self.document.pointer(reference.trim_start_matches('#')).unwrap()
    }
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

/// Of all alternatives that do not fit, what is wrong with the one that fits farthest. Things that say what they are, in
/// `type`, are held to it.
fn deepest<'a>(error: &'a ValidationError<'a>) -> &'a ValidationError<'a> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return error;
    };
    let something_else = |errors: &[ValidationError]| {
        let kind = format!("{}/type", error.instance_path());
        errors.iter().any(|wrong| wrong.instance_path().as_str() == kind)
    };
    let depth = |error: &&ValidationError| error.instance_path().as_str().matches('/').count();
    let meant = context.iter().filter(|errors| !something_else(errors));
    meant.flatten().map(deepest).max_by_key(depth).unwrap_or(error)
}
