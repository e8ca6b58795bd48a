//! One struct per section of `default.toml`; what the keys mean is told there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
        max_body: usize,
        #[serde(with = "humantime_serde")]
        shutdown_grace: Duration,
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
    }
}

section! {
    /// `[notices]`
    Notices {
        #[serde(with = "humantime_serde")]
        keep: Duration,
    }
}
