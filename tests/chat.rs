//! Chat platforms: our adapters, and the doubles that they are held against.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "chat/answering.rs"]
mod answering;
#[path = "chat/bot.rs"]
mod bot;
#[path = "chat/calls.rs"]
mod calls;
#[path = "chat/double.rs"]
mod double;
#[path = "chat/double_people.rs"]
mod double_people;
#[path = "chat/double_world.rs"]
mod double_world;
#[path = "chat/program.rs"]
mod program;
#[path = "chat/reading.rs"]
mod reading;
#[path = "chat/registering.rs"]
mod registering;
#[path = "chat/rendering.rs"]
mod rendering;
#[path = "chat/settings.rs"]
mod settings;
#[path = "chat/setup.rs"]
mod setup;

use std::io::Write as _;

use refward::chat::{self, Kind, Parameter, Platform, Spec};
use refward::config::Settings;
use refward::domain::{Error, Result};

use crate::support::fake_discord::FakeDiscord;

/// The adapter, as the service opens it.
fn platform(discord: &FakeDiscord) -> Box<dyn Platform> {
    open(&settings_for(discord)).unwrap().unwrap()
}

fn open(settings: &Settings) -> Result<Option<Box<dyn Platform>>> {
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    chat::discord::open(settings, http.build().unwrap())
}

/// As somebody would set it up for this server.
fn settings_for(discord: &FakeDiscord) -> Settings {
    use secrecy::ExposeSecret as _;
    let mut settings = Settings::defaults().unwrap();
    settings.server.public_url = "https://backup.example.com".into();
    settings.discord.application_id = discord.application_id();
    settings.discord.public_key = discord.public_key();
    settings.discord.server = discord.server();
    settings.discord.api = discord.url().clone();
    settings.discord.token_file = token_file(discord.token().expose_secret());
    settings
}

/// A file with this in it, until the test program's folder is cleared.
fn token_file(text: &str) -> std::path::PathBuf {
    let mut file = tempfile::Builder::new().prefix("token").tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    writeln!(file, "{text}").unwrap();
    file.keep().unwrap().1
}

/// A grammar that has one of everything.
fn grammar() -> Spec {
    let parameter =
        |name: &str, kind, required| Parameter { name: name.to_owned(), about: name.to_owned(), required, kind };
    let repo = |required| parameter("repo", Kind::Suggested, required);
    let at = || parameter("at", Kind::Text, false);
    let hold = parameter("hold", Kind::Switch, false);
    let to = parameter("to", Kind::OneOf(vec!["branch".to_owned(), "same".to_owned()]), true);
    let policy = command("policy", vec![], vec![command("show", vec![repo(false)], vec![])]);
    let restore = command("restore", vec![at(), hold, repo(true), to], vec![]);
    command("refward", vec![], vec![command("status", vec![repo(false)], vec![]), restore, policy])
}

fn command(name: &str, parameters: Vec<Parameter>, below: Vec<Spec>) -> Spec {
    Spec { name: name.to_owned(), about: format!("What {name} does"), parameters, below }
}

/// An error as a person would meet it.
fn told(error: &Error) -> String {
    format!("{:?}: {error}\n→ {}", error.kind(), error.next_step().unwrap_or("-"))
}
