//! Our commands as Discord offers them.
//! <https://docs.discord.com/developers/interactions/application-commands>

use http::Method;
use serde_json::json;
use serenity::builder::{CreateCommand, CreateCommandOption};
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
fn command(spec: &Spec) -> Result<CreateCommand> {
    let options = match spec.below[..] {
        [] => parameters(&spec.parameters),
        _ => spec.below.iter().map(below).collect::<Result<_>>()?,
    };
    Ok(CreateCommand::new(&spec.name)
        .description(about(&spec.about))
        .contexts(vec![InteractionContext::Guild])
        .integration_types(vec![InstallationContext::Guild])
        .set_options(options))
}

/// A command, or a group of them. Discord knows no groups in groups.
fn below(spec: &Spec) -> Result<CreateCommandOption> {
    if spec.below.is_empty() {
        return leaf(spec);
    }
    let group = CreateCommandOption::new(CommandOptionType::SubCommandGroup, &spec.name, about(&spec.about));
    spec.below.iter().try_fold(group, |group, below| Ok(group.add_sub_option(leaf(below)?)))
}

fn leaf(spec: &Spec) -> Result<CreateCommandOption> {
    if !spec.below.is_empty() {
        return Err(Error::bug(format!("the command `{}` lies too deep for Discord", spec.name)));
    }
    let command = CreateCommandOption::new(CommandOptionType::SubCommand, &spec.name, about(&spec.about));
    Ok(parameters(&spec.parameters).into_iter().fold(command, CreateCommandOption::add_sub_option))
}

/// What has to be given comes first; Discord insists.
fn parameters(parameters: &[Parameter]) -> Vec<CreateCommandOption> {
    let mut sorted: Vec<&Parameter> = parameters.iter().collect();
    sorted.sort_by_key(|parameter| !parameter.required);
    sorted.into_iter().map(parameter).collect()
}

fn parameter(parameter: &Parameter) -> CreateCommandOption {
    let kind = match parameter.kind {
        Kind::Switch => CommandOptionType::Boolean,
        Kind::Text | Kind::Suggested | Kind::OneOf(_) => CommandOptionType::String,
    };
    let option = CreateCommandOption::new(kind, &parameter.name, about(&parameter.about)).required(parameter.required);
    match &parameter.kind {
        Kind::Text | Kind::Switch => option,
        Kind::Suggested => option.set_autocomplete(true),
        Kind::OneOf(words) => words.iter().fold(option, |option, word| option.add_string_choice(word, word)),
    }
}

/// One line that fits, cut at a word.
fn about(text: &str) -> String {
    if text.chars().count() <= MAX_ABOUT {
        return text.to_owned();
    }
    let kept = markdown::cut(text, MAX_ABOUT);
    kept.rsplit_once(' ').map_or(kept.clone(), |(words, _)| format!("{words}…"))
}
