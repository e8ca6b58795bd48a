//! Calls as they arrive, and answers with Discord's words for what went wrong.

use std::fmt::Display;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

/// A call of the API.
pub struct Call {
    pub method: String,
    /// Without `/api/v10`.
    pub path: String,
    pub query: String,
    pub authorization: Option<String>,
    pub user_agent: String,
    /// Null if there is none.
    pub body: Value,
}

impl Call {
    pub fn new(request: &HttpRequest, body: &[u8]) -> Self {
        let header = |name: &str| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        Self {
            method: request.method().to_string(),
            path: request.path().strip_prefix("/api/v10").unwrap_or_default().to_owned(),
            query: request.query_string().to_owned(),
            authorization: header("authorization"),
            user_agent: header("user-agent").unwrap_or_default(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    pub fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    /// The path with the caller's secret taken out.
    pub fn public_path(&self) -> String {
        match self.segments()[..] {
            ["webhooks", application, _, ref rest @ ..] => {
                format!("/{}", [&["webhooks", application, "…"][..], rest].concat().join("/"))
            }
            _ => self.path.clone(),
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// `None`: nothing at all.
    pub body: Option<Value>,
}

/// What does not fit in a form: where (`components.0.custom_id`), Discord's code, and its words.
#[derive(Debug)]
pub struct Misfit {
    pub at: String,
    pub code: &'static str,
    pub message: String,
}

impl Misfit {
    pub fn new(at: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { at: at.into(), code, message: message.into() }
    }

    pub fn too_long(at: impl Into<String>, most: usize) -> Self {
        Self::new(at, "BASE_TYPE_MAX_LENGTH", format!("Must be {most} or fewer in length."))
    }
}

pub fn ok(body: Value) -> Reply {
    Reply { status: 200, headers: Vec::new(), body: Some(body) }
}

pub fn done() -> Reply {
    Reply { status: 204, headers: Vec::new(), body: None }
}

/// <https://docs.discord.com/developers/topics/opcodes-and-status-codes#json>
pub fn error(code: u32) -> Reply {
    let (status, text) = match code {
        10003 => (404, "Unknown Channel"),
        10004 => (404, "Unknown Guild"),
        10007 => (404, "Unknown Member"),
        10008 => (404, "Unknown Message"),
        10015 => (404, "Unknown Webhook"),
        10062 => (404, "Unknown interaction"),
        20001 => (403, "Bots cannot use this endpoint"),
        20012 => (403, "You are not authorized to perform this action on this application"),
        50001 => (403, "Missing Access"),
        50005 => (403, "Cannot edit a message authored by another user"),
        50006 => (400, "Cannot send an empty message"),
        50013 => (403, "Missing Permissions"),
        50027 => (401, "Invalid Webhook Token"),
        code => panic!("the double does not know the code {code}"),
    };
    failed(status, code, text)
}

/// Nobody who may do anything here.
pub fn unauthorized() -> Reply {
    failed(401, 0, "401: Unauthorized")
}

pub fn no_such_path() -> Reply {
    failed(404, 0, "404: Not Found")
}

/// An answer in the shape of Discord's errors.
pub fn failed(status: u16, code: u32, text: &str) -> Reply {
    Reply { status, headers: Vec::new(), body: Some(json!({ "message": text, "code": code })) }
}

/// 50035, with what is wrong at its place.
pub fn misfit(misfit: &Misfit) -> Reply {
    let leaf = json!({ "_errors": [{ "code": misfit.code, "message": misfit.message }] });
    let errors = misfit.at.rsplit('.').fold(leaf, |below, key| json!({ key: below }));
    let body = json!({ "message": "Invalid Form Body", "code": 50035, "errors": errors });
    Reply { status: 400, headers: Vec::new(), body: Some(body) }
}

/// What Discord keeps of a form: null is as good as nothing.
pub fn without_nulls(form: &Value) -> Value {
    match form {
        Value::Array(values) => values.iter().map(without_nulls).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect()
        }
        plain => plain.clone(),
    }
}

impl Reply {
    pub fn header(mut self, name: &'static str, value: impl Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn finish(self) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap());
        for (name, value) in self.headers {
            response.insert_header((name, value));
        }
        match self.body {
            Some(Value::String(page)) => response.content_type("text/html").body(page),
            Some(body) => response.content_type("application/json").body(body.to_string()),
            None => response.finish(),
        }
    }
}
