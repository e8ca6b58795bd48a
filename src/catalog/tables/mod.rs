//! The schema at a glance: one module per table. `migrations/` makes it.
//!
//! Times are milliseconds since 1970 UTC; object ids are 20 or 32 raw bytes.

mod apps;
mod people;
mod upkeep;

pub(super) use apps::{app, app_secret, installation, installation_request};
pub(super) use people::{audit, chat_message, identity_link, interaction, restore, role_grant};
pub(super) use upkeep::{alarm, condemned, fact, hold, hook, outbox, policy, policy_change, proof, reading, span};

/// One owner on one host. A removed connection stays, because its repositories and snapshots do.
pub(super) mod connection {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "connection")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub forge: String,
        pub name: String,
        pub url: String,
        pub owner: String,
        pub settings: Json,
        pub inspection: Option<Json>,
        pub last_error: Option<String>,
        pub discovered_at: Option<i64>,
        pub created_at: i64,
        pub removed_at: Option<i64>,
        /// The connection that restores go to by default.
        pub peer_id: Option<i64>,
        pub next_survey_at: Option<i64>,
        pub survey_interval_ms: Option<i64>,
        pub survey_requests: Option<i64>,
        pub survey_ms: Option<i64>,
        /// When the hooks that we have set up were last found, or put, as they should be.
        pub hooks_checked_at: Option<i64>,
        /// Why that could not be done the last time.
        pub hooks_error: Option<String>,
        pub hooks_failing_since: Option<i64>,
        #[sea_orm(has_many)]
        pub repositories: HasMany<super::repository::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A connection's webhook secret, sealed with the credential key.
pub(super) mod secret {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "secret")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub connection_id: i64,
        pub kind: String,
        pub sealed: Vec<u8>,
        pub created_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A repository and where its chain of snapshots stands.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) mod repository {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "repository")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub connection_id: i64,
        pub forge: String,
        pub host: String,
        pub forge_id: String,
        pub full_name: String,
        pub private: bool,
        pub archived: bool,
        pub default_branch: Option<String>,
        pub selected: bool,
        pub state: String,
        pub gone_at: Option<i64>,
        pub object_format: Option<String>,
        /// As in git's `HEAD` file.
        pub head: Option<String>,
        /// 0: no snapshot yet.
        pub last_seq: i64,
        pub last_sealed: Option<Vec<u8>>,
        pub last_stored_bytes: i64,
        pub refs_fingerprint: Option<Vec<u8>>,
        pub refs_total: i64,
        pub records_since_checkpoint: i64,
        pub changes_since_checkpoint: i64,
        pub last_snapshot_at: Option<i64>,
        pub last_checked_at: Option<i64>,
        pub last_error: Option<String>,
        pub last_error_at: Option<i64>,
        /// What the last survey said of its state; the same again: nothing was pushed.
        pub mark: Option<String>,
        pub visibility: Option<String>,
        /// The policy that applies, by name; none: it was not looked up yet.
        pub policy: Option<String>,
        /// What the policy says, so that a webhook need not read policies.
        pub on_push: bool,
        pub coalesce_ms: i64,
        /// Of workers that may run its jobs; none: the default one.
        pub pool: Option<String>,
        /// By the policy's schedule.
        pub next_run_at: Option<i64>,
        /// Of policies that it drifted away from and that kept more.
        pub former_rules: Option<Json>,
        /// Counts up when tips are dropped: whoever relied on older ones starts again.
        pub generation: i64,
        /// `open`, `disabled`, `recycled`, as the forge said last.
        pub availability: String,
        /// The forge's id of what its hooks belong to; none: the owner.
        pub scope: Option<String>,
        /// What its git server said it can do, as the module `git` notes it.
        pub greeting: Option<String>,
        #[sea_orm(belongs_to, from = "connection_id", to = "id")]
        pub connection: HasOne<super::connection::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where every reference points after the last snapshot.
pub(super) mod current_ref {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "current_ref")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub repo_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub oid: Vec<u8>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A snapshot that is in the vault.
pub(super) mod snapshot {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "snapshot")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub repo_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        pub time: i64,
        pub trigger: Json,
        pub complete: bool,
        pub refs_total: i64,
        pub refs_created: i64,
        pub refs_updated: i64,
        pub refs_deleted: i64,
        pub refs_forced: i64,
        pub objects: i64,
        pub pack_bytes: i64,
        pub stored_bytes: i64,
        /// SHA-256 of the sealed object.
        pub sealed: Vec<u8>,
        pub duration_ms: i64,
        pub checkpoint: bool,
        pub head: Option<String>,
        /// From the arrival of the oldest event that it answers; none for those that no event asked for.
        pub lag_ms: Option<i64>,
        /// What people call it: a list of words.
        pub labels: Option<Json>,
        /// What it does not hold, and what would complete it; none: nothing is missing.
        pub skipped: Option<Json>,
        /// Since when no rule keeps it; none: it is kept.
        pub leaving_at: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A snapshot that is about to be written to the vault, with the record to finish from after a crash.
pub(super) mod intent {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "intent")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub repo_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub attempt: Uuid,
        pub record: String,
        pub created_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The journal of references: every move that a snapshot recorded.
pub(super) mod ref_change {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "ref_change")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub repo_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        pub old: Option<Vec<u8>>,
        pub new: Option<Vec<u8>>,
        pub forced: bool,
        pub actor: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A webhook delivery as it came. The body goes after a while, the row stays: it is what makes a repeat a repeat.
pub(super) mod delivery {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "delivery")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub forge: String,
        pub delivery_id: String,
        pub event: String,
        pub received_at: i64,
        pub body: Option<Vec<u8>>,
        pub connection_id: Option<i64>,
        #[sea_orm(has_many)]
        pub events: HasMany<super::event::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a delivery said, in our words.
pub(super) mod event {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "event")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(column_name = "delivery")]
        pub delivery_row: i64,
        pub repo_id: Option<String>,
        pub kind: String,
        /// What the kind is about where it is not a reference: an issue's number, an action.
        pub subject: Option<String>,
        pub r#ref: Option<String>,
        pub old: Option<Vec<u8>>,
        pub new: Option<Vec<u8>>,
        pub forced: bool,
        pub actor: Option<String>,
        pub at: Option<i64>,
        pub received_at: i64,
        pub handled_at: Option<i64>,
        pub handled_seq: Option<i64>,
        #[sea_orm(belongs_to, from = "delivery_row", to = "id")]
        pub delivery: HasOne<super::delivery::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Work to do. At most one row per kind and subject is ready, and at most one is running.
pub(super) mod job {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "job")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub kind: String,
        pub subject: String,
        /// `ready`, `running`, `failed`.
        pub state: String,
        pub priority: i32,
        pub run_at: i64,
        pub attempts: i32,
        pub holder: Option<String>,
        pub lease_until: Option<i64>,
        pub fence: i64,
        pub last_error: Option<String>,
        pub created_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What opens a connection: a sealed token, or an App's installation.
pub(super) mod credential {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "credential")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub connection_id: i64,
        pub label: String,
        pub kind: String,
        pub main: bool,
        pub enabled: bool,
        pub sealed: Option<Vec<u8>>,
        pub app_id: Option<i64>,
        pub installation: Option<String>,
        pub inspection: Option<Json>,
        pub created_at: i64,
        /// Which client of an OAuth authority; nothing secret.
        pub client: Option<Json>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What some process has last seen of a forge's limits.
pub(super) mod quota {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "quota")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub host: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub who: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub resource: String,
        pub limit: Option<i64>,
        pub remaining: Option<i64>,
        pub reset_at: Option<i64>,
        pub paused_until: Option<i64>,
        pub why: Option<String>,
        pub observed_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What people should be told.
pub(super) mod notice {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "notice")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub at: i64,
        pub kind: String,
        pub connection_id: Option<i64>,
        pub repo_id: Option<String>,
        pub text: String,
        pub severity: String,
        /// Notices about the same thing have the same.
        pub subject: Option<String>,
        /// The one that undoes the harm.
        pub command: Option<String>,
        /// What the notice's button brings back, JSON.
        pub undo: Option<Json>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What opens `/setup`, by its hash, and registrations that are under way.
pub(super) mod setup {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "setup")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub hash: Vec<u8>,
        pub kind: String,
        pub draft: Option<Json>,
        pub expires_at: i64,
        pub created_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
