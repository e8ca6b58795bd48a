//! Holds requests and answers against Discord's own description of its API (`discord/discord-api-spec`).

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Draft;
use serde_json::{Value, json};

use super::reply::{Call, Reply};
use crate::support::openapi::Described;

/// What an interaction can be answered with, whether over HTTP or as the answer to Discord's own request.
const CALLBACK: &str = "/interactions/{interaction_id}/{interaction_token}/callback";

/// Discord's API.
pub struct Description(Described);

/// The description; `None`: it is not there.
pub fn description() -> Option<&'static Description> {
    static DISCORD: LazyLock<Option<Description>> = LazyLock::new(Description::read);
    DISCORD.as_ref()
}

impl Description {
    fn read() -> Option<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/discord/openapi.json");
        Described::read(&file, Draft::Draft202012, repaired).map(Self)
    }

    /// What is wrong with a request.
    pub fn check_request(&self, call: &Call) -> Result<(), String> {
        let (template, operation) = self.0.operation(&call.method, &call.path)?;
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
            (schema, body) => self.0.validate(&format!("{} {template} body", call.method), schema, body),
        }
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        // An unknown path was already complained about.
        let Ok((template, operation)) = self.0.operation(method, path) else { return Ok(()) };
        let status = match reply.status {
            429 => "429".to_owned(),
            400..500 => "4XX".to_owned(),
            status => status.to_string(),
        };
        let answer = self.0.resolve(&operation["responses"][&status]);
        let schema = &answer["content"]["application/json"]["schema"];
        let told = match (answer, schema, &reply.body) {
            (Value::Null, ..) => Err("there is no such answer".to_owned()),
            (_, Value::Null, None) => Ok(()),
            (_, Value::Null, Some(_)) => Err("there should be no body".to_owned()),
            (_, _, None) => Err("there should be a body".to_owned()),
            (_, schema, Some(body)) => self.0.validate(&format!("{method} {template} {status}"), schema, body),
        };
        told.map_err(|why| format!("{method} {path} → {}: {why}", reply.status))
    }

    /// What is wrong with the first answer to an interaction.
    pub fn check_callback(&self, body: &Value) -> Result<(), String> {
        let post = &self.0.document["paths"][CALLBACK]["post"];
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        self.0.validate("callback", schema, body)
    }
}

/// It says that the codes of errors in forms are numbers. They are words:
/// <https://docs.discord.com/developers/reference#error-messages>
fn repaired(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(errors) = schema.pointer_mut("/properties/_errors") {
        errors["items"] = json!({ "type": "object" });
    }
    schema
}
