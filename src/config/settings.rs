//! One struct per section of `default.toml`; what the keys mean is told there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::{Error, Result, Severity};

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the sections are told in default.toml")]
pub struct Settings {
    pub server: Server,
    pub database: Database,
    pub vault: Vault,
    pub keys: Keys,
    pub workers: Workers,
    pub sweep: Sweep,
    pub http: Http,
    pub git: Git,
    pub deliveries: Deliveries,
    pub notices: Notices,
    pub policies: Policies,
    pub compact: Compact,
    pub prune: Prune,
    pub proof: Proof,
    pub restore: Restore,
    pub alarms: Alarms,
    pub mail: Mail,
    pub webhook: Webhook,
    pub people: People,
    pub discord: Discord,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "the keys are told in default.toml")]
        pub struct $name {
            $($(#[$attribute])* pub $field: $type,)*
        }
    };
}

section! {
    /// `[server]`
    Server {
        listen: String,
        public_url: String,
        max_body: usize,
        #[serde(with = "humantime_serde")]
        shutdown_grace: Duration,
    }
}

impl Server {
    /// Where browsers and forges reach this service; ends with a slash.
    pub fn public_url(&self) -> Result<Url> {
        const WHICH: &str = "the setting `server.public_url`";
        let hint =
            "set it to the address at which browsers and the forge reach this service, e.g. https://backup.example.com";
        if self.public_url.is_empty() {
            return Err(Error::misconfigured(format!("{WHICH} is not set")).hint(hint));
        }
        let url = Url::parse(&format!("{}/", self.public_url.trim_end_matches('/')));
        let fine = |url: &Url| {
            let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            bare && matches!(url.scheme(), "http" | "https") && url.has_host()
        };
        url.ok().filter(fine).ok_or_else(|| Error::misconfigured(format!("{WHICH} is not a web address")).hint(hint))
    }
}

section! {
    /// `[database]`
    Database {
        url: String,
        max_connections: u32,
    }
}

section! {
    /// `[vault]`
    Vault {
        url: String,
        index_from: u64,
        options: BTreeMap<String, String>,
    }
}

section! {
    /// `[keys]`
    Keys {
        identity: PathBuf,
        signing: PathBuf,
        credentials: PathBuf,
    }
}

section! {
    /// `[workers]`
    Workers {
        count: usize,
        #[serde(with = "humantime_serde")]
        lease: Duration,
        #[serde(with = "humantime_serde")]
        retry_first: Duration,
        #[serde(with = "humantime_serde")]
        retry_longest: Duration,
        pools: Vec<String>,
        #[serde(with = "humantime_serde")]
        upkeep: Duration,
    }
}

section! {
    /// `[sweep]`
    Sweep {
        #[serde(with = "humantime_serde")]
        interval: Duration,
        #[serde(with = "humantime_serde")]
        shortest: Duration,
        #[serde(with = "humantime_serde")]
        git: Duration,
        #[serde(with = "humantime_serde")]
        deliveries: Duration,
        #[serde(with = "humantime_serde")]
        hooks: Duration,
        #[serde(with = "humantime_serde")]
        installations: Duration,
    }
}

section! {
    /// `[http]`
    Http {
        proxy: String,
        no_proxy: String,
        ca_file: PathBuf,
        #[serde(with = "humantime_serde")]
        connect_timeout: Duration,
        #[serde(with = "humantime_serde")]
        idle_timeout: Duration,
    }
}

section! {
    /// `[git]`
    Git {
        memory_scratch: usize,
        scratch_dir: PathBuf,
        max_object: u64,
        threads: usize,
    }
}

section! {
    /// `[deliveries]`
    Deliveries {
        #[serde(with = "humantime_serde")]
        keep: Duration,
        #[serde(with = "humantime_serde")]
        forget: Duration,
    }
}

section! {
    /// `[notices]`
    Notices {
        #[serde(with = "humantime_serde")]
        keep: Duration,
    }
}

section! {
    /// `[policies]`
    Policies {
        #[serde(with = "humantime_serde")]
        grace: Duration,
        approval: bool,
    }
}

section! {
    /// `[compact]`
    Compact {
        after: usize,
        ratio: u64,
        bytes_per_day: u64,
    }
}

/// Who deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pruner {
    /// The service, as one of its jobs.
    Service,
    /// A person, or something that a person has set up: `refward prune`.
    Hand,
}

section! {
    /// `[prune]`
    Prune {
        by: Pruner,
        #[serde(with = "humantime_serde")]
        grace: Duration,
        options: BTreeMap<String, String>,
    }
}

section! {
    /// `[proof]`
    Proof {
        #[serde(with = "humantime_serde")]
        read_all_within: Duration,
        drill_bytes: u64,
        #[serde(with = "humantime_serde")]
        keep: Duration,
    }
}

section! {
    /// `[restore]`
    Restore {
        largest_push: u64,
    }
}

section! {
    /// `[alarms]`
    Alarms {
        #[serde(with = "humantime_serde")]
        every: Duration,
        deletions: u64,
        #[serde(with = "humantime_serde")]
        lag: Duration,
        #[serde(with = "humantime_serde")]
        silence: Duration,
        free_bytes: u64,
        hold: bool,
    }
}

section! {
    /// `[mail]`
    Mail {
        server: String,
        username: String,
        password_file: PathBuf,
        from: String,
        to: Vec<String>,
        severity: Severity,
    }
}

section! {
    /// `[webhook]`
    Webhook {
        url: String,
        secret_file: PathBuf,
        severity: Severity,
    }
}

section! {
    /// `[people]`
    People {
        #[serde(with = "humantime_serde")]
        plan_lasts: Duration,
        #[serde(with = "humantime_serde")]
        approval_lasts: Duration,
        #[serde(with = "humantime_serde")]
        link_lasts: Duration,
        #[serde(with = "humantime_serde")]
        download_lasts: Duration,
    }
}

section! {
    /// `[discord]`
    Discord {
        application_id: String,
        public_key: String,
        token_file: PathBuf,
        server: String,
        commands_in: Vec<String>,
        digest: String,
        timezone: chrono_tz::Tz,
        api: Url,
        #[serde(default)]
        channels: Vec<ChatChannel>,
    }
}

section! {
    /// A channel, and of what it is told: `[[discord.channels]]`
    #[derive(PartialEq, Eq)]
    ChatChannel {
        id: String,
        #[serde(default = "warning")]
        severity: Severity,
        #[serde(default)]
        connections: Vec<String>,
        #[serde(default)]
        groups: Vec<String>,
        #[serde(default)]
        repositories: Vec<String>,
    }
}

fn warning() -> Severity {
    Severity::Warning
}
