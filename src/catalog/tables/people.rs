//! People who ask from a chat: what they may do, who they are, what they asked, and the record of all that.

/// What somebody has allowed somebody.
pub(in crate::catalog) mod role_grant {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "role_grant")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        /// `discord:user:1234`, `discord:role:1234`.
        pub holder: String,
        /// `viewer`, `operator`, `restorer`, `admin`.
        pub role: String,
        /// For which repositories, a selection; `NULL`: all.
        pub scope: Option<Json>,
        pub created_at: i64,
        pub created_by: String,
        pub revoked_at: Option<i64>,
        pub revoked_by: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Who somebody is on a forge. At most one that has not ended per person and host.
pub(in crate::catalog) mod identity_link {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_link")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        /// `discord:1234`.
        pub person: String,
        pub forge: String,
        /// The forge's web host, with the port where it is not the default one.
        pub host: String,
        /// The forge's own id of the user.
        pub forge_user: String,
        /// As it was when they were linked.
        pub login: String,
        pub created_at: i64,
        pub expires_at: i64,
        pub ended_at: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Something that was asked from a chat.
pub(in crate::catalog) mod interaction {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "interaction")]
    pub struct Model {
        /// `discord:` and the platform's id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub received_at: i64,
        /// Who, where and what, JSON.
        pub asked: Json,
        /// With what the first answer is replaced, sealed; `NULL` once it was.
        pub reply_to: Option<Vec<u8>>,
        pub answered_at: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A restore that somebody asked for.
pub(in crate::catalog) mod restore {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "restore")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub repo_id: String,
        /// `discord:1234`.
        pub requested_by: String,
        /// Where it was asked: platform, channel, JSON.
        pub origin: Json,
        /// What was asked, JSON.
        pub wish: Json,
        /// What would be done, JSON.
        pub plan: Json,
        /// SHA-256 of the plan, hex.
        pub plan_hash: String,
        pub needs_approval: bool,
        /// `planned`, `confirmed`, `approved`, `running`, `done`, `failed`, `stale`, `rejected`, `cancelled`, `expired`.
        pub state: String,
        pub created_at: i64,
        pub expires_at: i64,
        pub confirmed_at: Option<i64>,
        pub decided_by: Option<String>,
        pub decided_at: Option<i64>,
        pub started_at: Option<i64>,
        pub finished_at: Option<i64>,
        /// How far it is, JSON.
        pub progress: Option<Json>,
        /// What was done, JSON.
        pub receipt: Option<Json>,
        pub error: Option<String>,
        /// The restore with the plan that took the place of this one.
        pub replaced_by: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A message of ours in a channel that changes as what it is about goes on.
pub(in crate::catalog) mod chat_message {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "chat_message")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub platform: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub channel: String,
        /// What it is about.
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: String,
        /// The platform's id of it.
        pub message: String,
        /// What it says, hashed: what says the same is not sent again.
        pub digest: Vec<u8>,
        pub at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The record of who asked what and what became of it. Each row holds the hash of the one before.
pub(in crate::catalog) mod audit {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit")]
    pub struct Model {
        /// 1, 2, 3, … without a gap.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// JSON, as it was hashed.
        pub entry: String,
        /// SHA-256 of the hash before and `entry`.
        pub hash: Vec<u8>,
        pub at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
