//! Holds requests and answers against Microsoft's own description of the API (`MicrosoftDocs/vsts-rest-api-specs`, 7.1).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use super::reply::{Call, Reply};
use super::state::same;
use crate::support::openapi::Described;

/// Calls that work, and that no description has.
const UNDOCUMENTED: &[&[&str]] = &[&[], &["connectiondata"], &["resourceareas"], &["securitynamespaces"]];

/// Which file tells of which part of the API.
fn file_of(rest: &[&str]) -> Option<&'static str> {
    Some(match rest.first()? {
        &"projects" => "core/core.json",
        &"git" => "git/git.json",
        &"graph" => "graph/graph.json",
        &"hooks" => "hooks/serviceHooks.json",
        &"identities" => "ims/identities.json",
        &"operations" => "operations/operations.json",
        &"wit" => "wit/workItemTracking.json",
        &"build" => "build/build.json",
        &"wiki" => "wiki/wiki.json",
        &"policy" => "policy/policy.json",
        &"securitynamespaces" | &"accesscontrollists" | &"accesscontrolentries" | &"permissions" => {
            "security/security.json"
        }
        _ => return None,
    })
}

/// What one file tells; `None`: it is not there.
fn description(file: &'static str) -> Option<Arc<Described>> {
    type Read = HashMap<&'static str, Option<Arc<Described>>>;
    static READ: LazyLock<Mutex<Read>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().unwrap();
    read.entry(file)
        .or_insert_with(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/azure-devops/spec-7.1");
            let described = Described::read(&folder.join(file), Draft::Draft4, repaired)?;
            Some(Arc::new(Described::new(case_folded(described.document), Draft::Draft4, repaired)))
        })
        .clone()
}

/// Can anything be held against the descriptions?
pub fn is_there() -> bool {
    description("core/core.json").is_some()
}

/// Paths don't care about case, and the descriptions write some in two ways.
fn case_folded(mut document: Value) -> Value {
    let mut paths = Map::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let fold = |part: &str| if part.starts_with('{') { part.to_owned() } else { part.to_lowercase() };
        let path = path.trim_end_matches('/').split('/').map(fold).collect::<Vec<_>>().join("/");
        let known = paths.entry(path).or_insert_with(|| json!({}));
        known.as_object_mut().unwrap().extend(methods.as_object().unwrap().clone());
    }
    document["paths"] = paths.into();
    document
}

/// What the descriptions have wrong: projects may be visible to the whole organization, and the descriptor of an identity
/// comes as one text.
fn repaired(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if schema.pointer("/properties/identityType").is_some() {
        return json!({ "type": "string" });
    }
    if let Some(values) = schema.pointer_mut("/properties/visibility/enum").and_then(Value::as_array_mut) {
        values.push("organization".into());
    }
    schema
}

/// A call, and what is said of it.
pub struct Operation {
    described: Arc<Described>,
    template: String,
    said: Value,
}

/// Finds what is said of a call. `Ok(None)`: nothing can be checked.
pub fn operation(call: &Call) -> Result<Option<Operation>, String> {
    let rest: Vec<&str> = call.rest.iter().map(String::as_str).collect();
    if UNDOCUMENTED.contains(&&rest[..]) {
        return Ok(None);
    }
    let file = file_of(&rest).ok_or_else(|| format!("{} {}: no description has this", call.method, call.path))?;
    let Some(described) = description(file) else { return Ok(None) };
    // Where a project may be left out, the path always has one.
    let mut found = Err("there is no such path");
    for place in ["/it/_apis", "/it/it/_apis"] {
        let known = described.operation(&call.method, &format!("{place}/{}", rest.join("/")));
        found = found.or_else(|_| known.map(|(template, operation)| (template.to_owned(), operation.clone())));
    }
    let (template, said) = found.map_err(|why| format!("{} {}: {why}", call.method, call.path))?;
    Ok(Some(Operation { described, template, said }))
}

impl Operation {
    fn parameters(&self) -> impl Iterator<Item = &Value> {
        let all = self.said["parameters"].as_array().into_iter().flatten();
        all.map(|parameter| self.described.resolve(parameter))
    }

    fn key(&self, call: &Call, part: &str) -> String {
        format!("{} {} {part}", call.method, self.template)
    }

    /// What is wrong with a request.
    pub fn check_request(&self, call: &Call) -> Result<(), String> {
        self.request(call).map_err(|why| format!("{} {}: {why}", call.method, call.path))
    }

    fn request(&self, call: &Call) -> Result<(), String> {
        for (name, value) in &call.query {
            let mut known = self.parameters().filter(|known| known["in"] == "query");
            let known =
                known.find(|known| known["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)));
            let known = known.ok_or_else(|| format!("there is no query parameter `{name}`"))?;
            if name.eq_ignore_ascii_case("api-version") {
                continue;
            }
            let instance = match known["type"].as_str() {
                Some("integer") => value.parse::<i64>().map_or_else(|_| json!(value), Value::from),
                Some("boolean") => value.to_lowercase().parse::<bool>().map_or_else(|_| json!(value), Value::from),
                Some("array") => continue,
                // Words may be written in any case.
                _ => {
                    let mut words = known["enum"].as_array().into_iter().flatten();
                    let meant = words.find(|word| word.as_str().is_some_and(|word| same(word, value)));
                    meant.cloned().unwrap_or_else(|| json!(value))
                }
            };
            let mut schema = json!({ "type": known["type"] });
            if let Some(values) = known.get("enum") {
                schema["enum"] = values.clone();
            }
            self.described.validate(&self.key(call, &format!("?{name}")), &schema, &instance)?;
        }
        let mut references = self.said["parameters"].as_array().into_iter().flatten();
        let stays_preview =
            references.any(|known| known["$ref"].as_str().is_some_and(|reference| reference.contains("-preview")));
        if stays_preview && !call.api_version().unwrap_or_default().contains("-preview") {
            return Err("it is a preview; the api-version must say so".to_owned());
        }
        let wanted = self.parameters().find(|known| known["in"] == "body");
        match (wanted, &call.body) {
            (None, Value::Null) => Ok(()),
            (None, body) => Err(format!("it has a body, which nobody reads: {body}")),
            (Some(wanted), Value::Null) if wanted["required"] == true => Err("it needs a body".to_owned()),
            (Some(_), Value::Null) => Ok(()),
            (Some(wanted), body) => {
                self.described.validate(&self.key(call, "body"), &wanted["schema"], body)?;
                self.strangers(&wanted["schema"], body)
            }
        }
    }

    /// Nobody reads what the description has not.
    fn strangers(&self, schema: &Value, body: &Value) -> Result<(), String> {
        let known = self.properties(schema);
        let mut given = body.as_object().into_iter().flat_map(Map::keys);
        let stranger = given.find(|name| !known.is_empty() && !known.contains(&name.to_lowercase()));
        stranger.map_or(Ok(()), |name| Err(format!("nobody reads `{name}` in its body")))
    }

    fn properties(&self, schema: &Value) -> Vec<String> {
        let schema = self.described.resolve(schema);
        let own = schema["properties"].as_object().into_iter().flat_map(Map::keys).map(|name| name.to_lowercase());
        let inherited = schema["allOf"].as_array().into_iter().flatten().flat_map(|base| self.properties(base));
        own.chain(inherited).collect()
    }

    /// What is wrong with an answer. Errors are not described.
    pub fn check_answer(&self, call: &Call, reply: &Reply) -> Result<(), String> {
        if reply.status >= 300 {
            return Ok(());
        }
        self.answer(call, reply).map_err(|why| format!("{} {} → {}: {why}", call.method, call.path, reply.status))
    }

    fn answer(&self, call: &Call, reply: &Reply) -> Result<(), String> {
        // The descriptions say 200 where 202 and 204 come.
        let answers = self.said["responses"].as_object().unwrap();
        let answer = answers.iter().find(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer);
        let schema = answer.and_then(|answer| answer.get("schema"));
        let Some(schema) = schema else {
            return if reply.json().is_none() { Ok(()) } else { Err("there should be no body".to_owned()) };
        };
        let body = reply.json().ok_or("there should be a body")?;
        // Lists are wrapped, which no description says.
        let body = match self.described.resolve(schema)["type"].as_str() {
            Some("array") => {
                let values = body["value"].as_array().ok_or("it is a list, which has a `value`")?;
                if body["count"] != values.len() {
                    return Err("the `count` is not that of the `value`".to_owned());
                }
                // Those of identities have null where nobody was found.
                values.iter().filter(|value| !value.is_null()).take(3).cloned().collect()
            }
            _ => body.clone(),
        };
        self.described.validate(&self.key(call, "answer"), schema, &told(&body))
    }
}

/// The same without fields that are null: Azure DevOps writes them where the descriptions know nothing of it.
fn told(body: &Value) -> Value {
    match body {
        Value::Array(values) => values.iter().map(told).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(name, value)| (name.clone(), told(value))).collect()
        }
        plain => plain.clone(),
    }
}
