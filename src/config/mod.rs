//! Settings: defaults from `default.toml` (which is the documentation), then the user's file, then the environment.
//!
//! Fails with [`Kind::Misconfigured`](crate::domain::Kind) and the name of the key. This is the only place that reads
//! the environment.
#![expect(clippy::disallowed_methods, reason = "this is the one module that reads the environment")]

mod settings;

use std::path::Path;
use std::time::Duration;

use crate::domain::{Error, Result};

pub use settings::{
    Alarms, ChatChannel, Compact, Database, Deliveries, Discord, Git, Http, Keys, Mail, Notices, People, Policies,
    Proof, Prune, Pruner, Restore, Server, Settings, Sweep, Vault, Webhook, Workers,
};

/// The commented defaults, compiled in; `refward init` writes them out.
pub const DEFAULT: &str = include_str!("default.toml");

/// Prefix of environment variables that override settings: `REFWARD__SECTION__KEY`.
const ENV_PREFIX: &str = "REFWARD";

impl Settings {
    /// Reads `file`, lays the environment over it and makes its paths absolute.
    pub fn load(file: &Path) -> Result<Self> {
        if !file.is_file() {
            return Err(Error::misconfigured(format!("there is no settings file at {}", file.display()))
                .hint("run `refward init --dir DIR` first, or name the file with --config or REFWARD_CONFIG"));
        }
        let file = std::path::absolute(file).map_err(|error| unreadable(file, &error))?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_path_buf();
        let mut settings: Self = Self::layers(Some(&file))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| unreadable(&file, &error))?;
        settings.resolve_paths(&folder);
        settings.http.fill_from_environment();
        settings.reach_vault_through_proxy();
        settings.check()?;
        Ok(settings)
    }

    /// The defaults and the environment, without a file.
    pub fn defaults() -> Result<Self> {
        let mut settings: Self = Self::layers(None)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| Error::misconfigured(format!("cannot use the environment's settings: {error}")))?;
        settings.http.fill_from_environment();
        Ok(settings)
    }

    fn layers(file: Option<&Path>) -> config::ConfigBuilder<config::builder::DefaultState> {
        let defaults = config::File::from_str(DEFAULT, config::FileFormat::Toml);
        let environment = config::Environment::with_prefix(ENV_PREFIX)
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("mail.to")
            .with_list_parse_key("discord.commands_in")
            .with_list_parse_key("workers.pools");
        let mut layers = config::Config::builder().add_source(defaults);
        if let Some(file) = file {
            layers = layers.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        layers.add_source(environment)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        for path in [&mut self.keys.identity, &mut self.keys.signing, &mut self.keys.credentials] {
            *path = folder.join(&*path);
        }
        for (url, scheme) in [(&mut self.database.url, "sqlite://"), (&mut self.vault.url, "file://")] {
            if let Some(path) = url.strip_prefix(scheme) {
                *url = format!("{scheme}{}", folder.join(path).display());
            }
        }
        for path in [
            &mut self.http.ca_file,
            &mut self.git.scratch_dir,
            &mut self.mail.password_file,
            &mut self.webhook.secret_file,
            &mut self.discord.token_file,
        ] {
            if !path.as_os_str().is_empty() {
                *path = folder.join(&*path);
            }
        }
    }

    /// The object store has an HTTP client of its own.
    fn reach_vault_through_proxy(&mut self) {
        if !self.http.proxy.is_empty() && !self.vault.url.starts_with("file://") {
            let options = &mut self.vault.options;
            options.entry("proxy_url".to_owned()).or_insert_with(|| self.http.proxy.clone());
            options.entry("proxy_excludes".to_owned()).or_insert_with(|| self.http.no_proxy.clone());
        }
    }

    fn check(&self) -> Result<()> {
        let refuse = |key: &str, why: &str| Err(Error::misconfigured(format!("the setting `{key}` {why}")));
        if !names_a_port(&self.server.listen) {
            return refuse("server.listen", "must be an address and a port, e.g. 127.0.0.1:8080 or [::]:8080");
        }
        if !self.server.public_url.is_empty() {
            self.server.public_url()?;
        }
        if self.workers.count == 0 {
            return refuse("workers.count", "must be at least 1");
        }
        if self.workers.pools.is_empty() {
            return refuse("workers.pools", "must name at least one pool");
        }
        if self.workers.lease.as_secs() < 5 {
            return refuse("workers.lease", "must be at least 5s, or jobs are taken away while they run");
        }
        if self.deliveries.forget < Duration::from_hours(35 * 24) || self.deliveries.forget < self.deliveries.keep {
            return refuse("deliveries.forget", "must be at least 35d, and not shorter than `deliveries.keep`");
        }
        let sweep = &self.sweep;
        let pauses =
            [self.workers.upkeep, sweep.interval, sweep.shortest, sweep.git, sweep.deliveries, sweep.installations];
        if pauses.iter().any(Duration::is_zero) {
            return refuse("sweep", "intervals, and `workers.upkeep`, must be longer than 0");
        }
        if self.alarms.every.is_zero() {
            return refuse("alarms.every", "must be longer than 0");
        }
        if self.database.max_connections == 0 {
            return refuse("database.max_connections", "must be at least 1");
        }
        let database = ["sqlite://", "postgres://", "postgresql://"];
        if !database.iter().any(|scheme| self.database.url.starts_with(scheme)) {
            return refuse("database.url", "must start with sqlite:// or postgres://");
        }
        Ok(())
    }

    /// The settings in force, as TOML, with passwords in addresses blotted out.
    pub fn redacted(&self) -> Result<String> {
        let mut shown = self.clone();
        shown.database.url = redact(&shown.database.url);
        shown.vault.url = redact(&shown.vault.url);
        shown.http.proxy = redact(&shown.http.proxy);
        shown.mail.server = redact(&shown.mail.server);
        shown.webhook.url = redact_path(&shown.webhook.url);
        for (name, value) in shown.vault.options.iter_mut().chain(&mut shown.prune.options) {
            if ["key", "secret", "token", "password", "credential", "sas"].iter().any(|word| name.contains(word)) {
                "(set)".clone_into(value);
            }
            *value = redact(value);
        }
        toml::to_string(&shown).map_err(|error| Error::bug("cannot print the settings").detail(error))
    }
}

/// Who runs this program, as the operating system has it: for the record, not as a proof.
pub fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    named.unwrap_or_else(|| "unknown".to_owned())
}

impl Http {
    /// The variables that every program of a company network honours, unless the file says otherwise.
    fn fill_from_environment(&mut self) {
        let first_set = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
        if self.proxy.is_empty() {
            self.proxy = first_set(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        }
        if self.no_proxy.is_empty() {
            self.no_proxy = first_set(&["NO_PROXY", "no_proxy"]);
        }
    }
}

/// `ADDRESS:PORT`. A name in the place of the address is looked up only by whoever listens there.
pub fn names_a_port(listen: &str) -> bool {
    let named = |(host, port): (&str, &str)| {
        let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        is_name && port.parse::<u16>().is_ok()
    };
    listen.parse::<std::net::SocketAddr>().is_ok() || listen.rsplit_once(':').is_some_and(named)
}

fn redact(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) if url.password().is_some() => {
            // Cannot fail: a URL that has a password can have another.
            let _ = url.set_password(Some("(set)"));
            url.into()
        }
        _ => address.to_owned(),
    }
}

/// Many a chat's webhook address is a secret by itself.
fn redact_path(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(url) if url.path() != "/" || url.query().is_some() => {
            format!("{}/(set)", url.origin().ascii_serialization())
        }
        _ => redact(address),
    }
}

fn unreadable(file: &Path, error: &dyn std::error::Error) -> Error {
    Error::misconfigured(format!("cannot use the settings in {}: {error}", file.display()))
        .hint("`refward init` writes a file with every setting explained")
}
