//! Our commands as Discord offers them.
//! <https://docs.discord.com/developers/interactions/application-commands>

use http::Method;
use serde_json::{Value, json};
use serenity::model::application::{CommandOptionType, InstallationContext, InteractionContext};

use super::api::{Api, Route};
use super::application::Application;
use super::markdown;
use crate::chat::{Kind, Parameter, Spec};
use crate::domain::{Error, Result};

const MAX_ABOUT: usize = 100;

/// Replaces whatever commands there were, in one call, so that it may be repeated.
pub(super) async fn register(api: &Api, application: &Application, commands: &Spec) -> Result<String> {
    let server = application.server.as_deref();
    let body = json!([command(commands)?]);
    api.send(Method::PUT, &Route::Commands(server), Some(&body)).await?;
    let name = &commands.name;
    Ok(match server {
        Some(server) => format!("/{name} is offered in the server {server}"),
        None => format!("/{name} is offered in every server that the application is installed in"),
    })
}

/// For servers only: who may do what hangs on a server's people and roles. Who sees it there is theirs to set, and nothing that
/// we rely on.
fn command(spec: &Spec) -> Result<Value> {
    let options = match spec.below[..] {
        [] => parameters(&spec.parameters),
        _ => spec.below.iter().map(below).collect::<Result<_>>()?,
    };
    Ok(json!({
        "name": spec.name,
        "description": about(&spec.about),
        "contexts": [InteractionContext::Guild],
        "integration_types": [InstallationContext::Guild],
        "options": options,
    }))
}

/// A command, or a group of them. Discord knows no groups in groups.
fn below(spec: &Spec) -> Result<Value> {
    if spec.below.is_empty() {
        return leaf(spec);
    }
    let commands = spec.below.iter().map(leaf).collect::<Result<Vec<_>>>()?;
    Ok(option(CommandOptionType::SubCommandGroup, &spec.name, &spec.about, &[("options", json!(commands))]))
}

fn leaf(spec: &Spec) -> Result<Value> {
    if !spec.below.is_empty() {
        return Err(Error::bug(format!("the command `{}` lies too deep for Discord", spec.name)));
    }
    let takes = json!(parameters(&spec.parameters));
    Ok(option(CommandOptionType::SubCommand, &spec.name, &spec.about, &[("options", takes)]))
}

/// What has to be given comes first; Discord insists.
fn parameters(parameters: &[Parameter]) -> Vec<Value> {
    let mut sorted: Vec<&Parameter> = parameters.iter().collect();
    sorted.sort_by_key(|parameter| !parameter.required);
    sorted.into_iter().map(parameter).collect()
}

fn parameter(Parameter { name, about, required, kind }: &Parameter) -> Value {
    let required = ("required", json!(required));
    match kind {
        Kind::Text => option(CommandOptionType::String, name, about, &[required]),
        Kind::Suggested => option(CommandOptionType::String, name, about, &[required, ("autocomplete", json!(true))]),
        Kind::Switch => option(CommandOptionType::Boolean, name, about, &[required]),
        Kind::OneOf(words) => {
            let choices: Vec<Value> = words.iter().map(|word| json!({ "name": word, "value": word })).collect();
            option(CommandOptionType::String, name, about, &[required, ("choices", json!(choices))])
        }
    }
}

/// Discord calls everything below a command its option.
fn option(kind: CommandOptionType, name: &str, description: &str, more: &[(&str, Value)]) -> Value {
    let mut option = json!({ "type": kind, "name": name, "description": about(description) });
    for (field, value) in more {
        option[*field] = value.clone();
    }
    option
}

/// One line that fits, cut at a word.
fn about(text: &str) -> String {
    if text.chars().count() <= MAX_ABOUT {
        return text.to_owned();
    }
    let kept = markdown::cut(text, MAX_ABOUT);
    kept.rsplit_once(' ').map_or(kept.clone(), |(words, _)| format!("{words}…"))
}
