//! Apps of ours, and where they are installed.

/// An App of ours that is registered with a forge.
pub(in crate::catalog) mod app {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "app")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub forge: String,
        pub url: String,
        pub owner: String,
        pub role: String,
        pub number: i32,
        pub forge_id: String,
        pub client_id: String,
        pub slug: String,
        pub name: String,
        pub permissions: Json,
        pub events: Json,
        pub deliveries_seen_at: Option<i64>,
        pub checked_at: Option<i64>,
        pub last_error: Option<String>,
        pub created_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// An App's private key, webhook secret or client secret, sealed with the credential key.
pub(in crate::catalog) mod app_secret {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "app_secret")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub app_id: i64,
        pub kind: String,
        pub sealed: Vec<u8>,
        pub created_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// An App on somebody's account, as the forge said last.
pub(in crate::catalog) mod installation {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "installation")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub app_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub forge_id: String,
        pub account: String,
        pub account_id: Option<String>,
        pub connection_id: Option<i64>,
        pub state: String,
        pub selection: String,
        pub permissions: Json,
        pub requested_by: Option<String>,
        pub refused: Option<String>,
        pub seen_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Somebody who is not an owner has asked for an App to be installed.
pub(in crate::catalog) mod installation_request {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "installation_request")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub app_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub account: String,
        pub requester: String,
        pub requested_at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
