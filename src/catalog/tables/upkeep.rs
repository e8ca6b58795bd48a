//! Policies, what stays, what goes, proofs, and what people are told.

/// What is backed up, when, and how long it stays.
pub(in crate::catalog) mod policy {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "policy")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        /// The lowest one that selects a repository applies.
        pub position: i32,
        pub document: Json,
        pub version: i32,
        pub created_at: i64,
        pub changed_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Every change of a policy that was made, waits, or was taken back.
pub(in crate::catalog) mod policy_change {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "policy_change")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub at: i64,
        pub actor: String,
        pub policy: String,
        pub kind: String,
        pub before: Option<Json>,
        pub after: Option<Json>,
        /// `waiting`, `applied`, `revoked`.
        pub state: String,
        pub effective_at: i64,
        /// Who approved or revoked it.
        pub decided_by: Option<String>,
        pub decided_at: Option<i64>,
        /// What would be kept shorter or backed up less, in words.
        pub weakens: Option<Json>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// As long as one stands, nothing of the repository goes.
pub(in crate::catalog) mod hold {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "hold")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub repo_id: String,
        /// `legal`: by a person; `alarm`: by us.
        pub kind: String,
        pub reason: String,
        pub actor: String,
        pub created_at: i64,
        pub lifted_at: Option<i64>,
        pub lifted_by: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A consolidated snapshot that stands for all of `from_seq..=to_seq`.
pub(in crate::catalog) mod span {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "span")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub repo_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub from_seq: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub to_seq: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub rewriting: i32,
        /// SHA-256 of the sealed object.
        pub sealed: Vec<u8>,
        pub stored_bytes: i64,
        pub pack_bytes: i64,
        pub objects: i64,
        /// Recovery points in it.
        pub points: i32,
        pub created_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// An object of the vault that another stands for now, or that nobody wants any more.
pub(in crate::catalog) mod condemned {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "condemned")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub object: String,
        pub repo_id: String,
        pub bytes: i64,
        pub why: String,
        pub condemned_at: i64,
        /// The list in the vault that names it.
        pub list: Option<String>,
        pub deleted_at: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A drill or a verification, with its signed report.
pub(in crate::catalog) mod proof {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "proof")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub repo_id: String,
        /// `drill`, `verify`.
        pub kind: String,
        pub seq: Option<i64>,
        pub started_at: i64,
        pub duration_ms: i64,
        pub passed: bool,
        /// Read from the vault for it.
        pub bytes: i64,
        /// JSON, as it was signed.
        pub report: String,
        pub signature: Vec<u8>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// When an object of the vault was last read to its end and found right.
pub(in crate::catalog) mod reading {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "reading")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub object: String,
        pub repo_id: String,
        pub bytes: i64,
        pub read_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A notice on its way to a receiver.
pub(in crate::catalog) mod outbox {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub notice_id: i64,
        pub receiver: String,
        /// `waiting`, `sent`, `given_up`.
        pub state: String,
        pub attempts: i32,
        pub next_at: i64,
        pub last_error: Option<String>,
        pub sent_at: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A hook that we have set up on a forge, as it was when we last looked.
pub(in crate::catalog) mod hook {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "hook")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub connection_id: i64,
        /// The forge's id of what it is for: a project.
        pub scope: String,
        pub scope_name: String,
        /// The forge's name for the event.
        pub event: String,
        /// The forge's id of the hook.
        pub forge_id: String,
        /// `enabled`, `probation`, …: as we left it.
        pub state: String,
        /// What was wrong with it: a state, `missing`, `altered`. It stands until a look finds it right, so what is mended once
        /// is looked after twice.
        pub trouble: Option<String>,
        pub troubled_since: Option<i64>,
        /// Everything that it should have delivered before has been looked after.
        pub seen_until: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// An alarm that stands: it is told once, and once more when it is over.
pub(in crate::catalog) mod alarm {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "alarm")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: String,
        pub kind: String,
        pub raised_at: i64,
        pub notice_id: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What is true of the installation as a whole: what its store protects from, that retention is paused, …
pub(in crate::catalog) mod fact {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "fact")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub value: Json,
        pub at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
