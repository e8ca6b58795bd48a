//! An API as its makers describe it (`OpenAPI`), which the doubles hold requests and their own answers against.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Value, json};

/// How much of what is wrong is told with the value that is.
const SHORT: usize = 300;

/// A description.
pub struct Described {
    pub document: Value,
    draft: Draft,
    /// From a schema in the document to one that is right, and in the draft.
    converted: fn(&Value) -> Value,
    /// Paths in segments.
    paths: Vec<(Vec<String>, String)>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Described {
    /// Reads a file. `None`: it is not there, which is said loudly.
    pub fn read(file: &Path, draft: Draft, converted: fn(&Value) -> Value) -> Option<Self> {
        let Ok(text) = std::fs::read(file) else {
            eprintln!("\n!!! NOT CHECKED: {} is missing; tests/README.md says where it comes from.\n", file.display());
            return None;
        };
        // Some are marked as UTF-8 at their beginning, which JSON doesn't know.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        Some(Self::new(serde_json::from_slice(text).unwrap(), draft, converted))
    }

    /// One that was read already.
    pub fn new(document: Value, draft: Draft, converted: fn(&Value) -> Value) -> Self {
        let templates = document["paths"].as_object().unwrap().keys();
        let segments = |path: &String| path.trim_start_matches('/').split('/').map(str::to_owned).collect();
        let mut paths: Vec<(Vec<String>, String)> = templates.map(|path| (segments(path), path.clone())).collect();
        // Paths with fewer parameters win: `/user/repos` is not somebody's.
        paths.sort_by_key(|(_, path)| path.matches('{').count());
        Self { document, draft, converted, paths, validators: Mutex::default() }
    }

    /// A path's template, and what is said of a method there.
    pub fn operation(&self, method: &str, path: &str) -> Result<(&str, &Value), &'static str> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let fits = |template: &[String]| {
            let pairs = || template.iter().zip(&segments);
            template.len() == segments.len() && pairs().all(|(known, given)| known.starts_with('{') || known == given)
        };
        let (_, path) = self.paths.iter().find(|(template, _)| fits(template)).ok_or("there is no such path")?;
        let operation = self.document["paths"][path].get(method.to_lowercase());
        Ok((path, operation.ok_or("this path does not know that method")?))
    }

    /// What is wrong with a value. `key` stands for the schema, which is compiled once.
    pub fn validate(&self, key: &str, schema: &Value, instance: &Value) -> Result<(), String> {
        let known = self.validators.lock().unwrap().get(key).cloned();
        let validator = known.unwrap_or_else(|| {
            let made = Arc::new(self.compile(schema));
            self.validators.lock().unwrap().insert(key.to_owned(), made.clone());
            made
        });
        validator.validate(instance).map_err(|error| {
            let error = deepest(&error);
            let text = error.to_string();
            let text = if text.len() > SHORT { error.masked_with("it").to_string() } else { text };
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
        let converted = self.converted;
        let mut root = json!({ "allOf": [converted(schema)] });
        for reference in found {
            // `#/components/schemas/NAME`, or `#/definitions/NAME`.
            let steps = reference.split('/').skip(1);
            let place = steps.fold(&mut root, |place, step| &mut place[step]);
            *place = converted(self.at(&reference));
        }
        jsonschema::options().with_draft(self.draft).build(&root).unwrap()
    }

    /// What a value refers to, or itself.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        value["$ref"].as_str().map_or(value, |reference| self.at(reference))
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
