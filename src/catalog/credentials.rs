//! What opens connections: tokens, and installations of our Apps. One is the main one; others join the pool when somebody
//! switches them on.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde::Serialize;
use serde_json::Value;

use crate::domain::{AppId, ConnectionId, CredentialId, Error, Result};

use super::Catalog;
use super::error::{During, is_duplicate, unreadable};
use super::tables::credential::{self, Column};
use super::values::{now, time};

/// A credential of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCredential {
    /// Its number.
    pub id: CredentialId,
    /// What it opens.
    pub connection: ConnectionId,
    /// What people call it; unique within the connection, whatever the case.
    pub label: String,
    /// What it is.
    pub source: Source,
    /// The one that everything is done with if it can be. A connection has at most one.
    pub main: bool,
    /// It may be used.
    pub enabled: bool,
    /// What it turned out to be, as the forge's inspection put it.
    pub inspection: Option<Value>,
    /// Since when we have it.
    pub created_at: DateTime<Utc>,
}

/// What a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A token, sealed with the credential key.
    Token(Vec<u8>),
    /// An App on an account.
    Installation {
        /// The App.
        app: AppId,
        /// The forge's id of the installation.
        id: String,
    },
    /// A client of an OAuth authority.
    Oauth {
        /// For whom it acts.
        kind: OauthKind,
        /// Which client, as the forge's `OauthClient`; nothing secret.
        client: Value,
        /// What proves it, and whose sign-in it has, sealed with the credential key.
        sealed: Vec<u8>,
    },
}

/// For whom an OAuth client acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthKind {
    /// For itself.
    Client,
    /// For somebody who has signed in.
    Delegated,
}

impl OauthKind {
    /// The word in the database and in listings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Delegated => "delegated",
        }
    }
}

impl StoredCredential {
    /// Who shares its budget on the host. All tokens of one user draw on one; until we know the user, a token is taken for
    /// its own.
    pub fn who(&self) -> String {
        match &self.source {
            Source::Installation { id, .. } => format!("installation {id}"),
            Source::Oauth { kind: OauthKind::Client, client, .. } => {
                format!("client {}", client["client_id"].as_str().unwrap_or_default())
            }
            Source::Token(_) | Source::Oauth { kind: OauthKind::Delegated, .. } => {
                let login = self.inspection.as_ref().and_then(|inspection| inspection["login"].as_str());
                login.map_or_else(|| format!("token {}", self.id), |login| format!("user {login}"))
            }
        }
    }
}

/// A credential to be added.
#[expect(missing_docs, reason = "the same words as in StoredCredential")]
pub struct NewCredential {
    pub label: String,
    pub source: Source,
    pub main: bool,
    pub enabled: bool,
}

impl Catalog {
    /// Adds a credential to a connection. The installation of an App is added once.
    pub async fn add_credential(&self, connection: ConnectionId, new: NewCredential) -> Result<CredentialId> {
        insert(&self.write, connection, new).await
    }

    /// The credentials of one connection or of all, main ones first.
    pub async fn credentials(&self, of: Option<ConnectionId>) -> Result<Vec<StoredCredential>> {
        let mut query = credential::Entity::find();
        if let Some(id) = of {
            query = query.filter(Column::ConnectionId.eq(id.0));
        }
        let rows = query.order_by_desc(Column::Main).order_by_asc(Column::Id).all(&self.read).await;
        rows.during("reading the credentials")?.into_iter().map(StoredCredential::try_from).collect()
    }

    /// The credential with this number.
    pub async fn credential_by_id(&self, id: CredentialId) -> Result<Option<StoredCredential>> {
        let row = credential::Entity::find_by_id(id.0).one(&self.read).await.during("looking up a credential")?;
        row.map(StoredCredential::try_from).transpose()
    }

    /// The credential of a connection that people call `label`, whatever the case.
    pub async fn credential(&self, of: ConnectionId, label: &str) -> Result<Option<StoredCredential>> {
        let named = Expr::expr(Func::lower(Expr::col(Column::Label))).eq(label.to_lowercase());
        let row = credential::Entity::find().filter(Column::ConnectionId.eq(of.0)).filter(named).one(&self.read).await;
        row.during("looking up a credential")?.map(StoredCredential::try_from).transpose()
    }

    /// Puts what a credential has sealed in the place of what it had. Says whether it still had that.
    pub async fn replace_sealed(&self, id: CredentialId, before: &[u8], sealed: Vec<u8>) -> Result<bool> {
        let replaced = credential::Entity::update_many()
            .col_expr(Column::Sealed, Expr::value(sealed))
            .filter(Column::Id.eq(id.0))
            .filter(Column::Sealed.eq(before.to_vec()));
        Ok(replaced.exec(&self.write).await.during("keeping a newer sign-in")?.rows_affected == 1)
    }

    /// Puts another token in the place of a credential's; we have it since now.
    pub async fn replace_token(&self, id: CredentialId, sealed: Vec<u8>) -> Result<()> {
        let (sealed, created_at) = (Set(Some(sealed)), Set(now()));
        let row = credential::ActiveModel { id: Set(id.0), sealed, created_at, ..Default::default() };
        row.update(&self.write).await.map(drop).during("replacing a token")
    }

    /// Switches a credential on or off.
    pub async fn enable_credential(&self, id: CredentialId, enabled: bool) -> Result<()> {
        let row = credential::ActiveModel { id: Set(id.0), enabled: Set(enabled), ..Default::default() };
        row.update(&self.write).await.map(drop).during("switching a credential")
    }

    /// Makes this the main credential of its connection, and switches it on.
    pub async fn make_main(&self, connection: ConnectionId, id: CredentialId) -> Result<()> {
        const DOING: &str = "choosing the main credential";
        let tx = self.begin(DOING).await?;
        let before = credential::Entity::update_many()
            .col_expr(Column::Main, false.into())
            .filter(Column::ConnectionId.eq(connection.0));
        before.exec(&tx).await.during(DOING)?;
        let row = credential::ActiveModel { id: Set(id.0), main: Set(true), enabled: Set(true), ..Default::default() };
        row.update(&tx).await.during(DOING)?;
        tx.commit().await.during(DOING)
    }

    /// Keeps what a credential turned out to be.
    pub async fn set_credential_inspection(&self, id: CredentialId, inspection: &impl Serialize) -> Result<()> {
        const DOING: &str = "keeping what the credential may do";
        let inspection = serde_json::to_value(inspection).map_err(|error| Error::bug(DOING).detail(error))?;
        let row = credential::ActiveModel { id: Set(id.0), inspection: Set(Some(inspection)), ..Default::default() };
        row.update(&self.write).await.map(drop).during(DOING)
    }

    /// Deletes a credential.
    pub async fn remove_credential(&self, id: CredentialId) -> Result<()> {
        credential::Entity::delete_by_id(id.0).exec(&self.write).await.map(drop).during("deleting a credential")
    }

    /// Deletes the credential that an installation was; says whose it was.
    pub async fn remove_installed(&self, app: AppId, installation: &str) -> Result<Option<ConnectionId>> {
        const DOING: &str = "deleting a credential";
        let of = |query: sea_orm::Select<credential::Entity>| {
            query.filter(Column::AppId.eq(app.0)).filter(Column::Installation.eq(installation))
        };
        let found: Option<(i64, i64)> = of(credential::Entity::find())
            .select_only()
            .columns([Column::Id, Column::ConnectionId])
            .into_tuple()
            .one(&self.read)
            .await
            .during(DOING)?;
        let Some((id, connection)) = found else { return Ok(None) };
        self.remove_credential(CredentialId(id)).await?;
        Ok(Some(ConnectionId(connection)))
    }
}

pub(super) async fn insert(
    db: &impl ConnectionTrait,
    connection: ConnectionId,
    new: NewCredential,
) -> Result<CredentialId> {
    let label = new.label.clone();
    let (kind, sealed, app, installation, client) = match new.source {
        Source::Token(sealed) => ("token", Some(sealed), None, None, None),
        Source::Installation { app, id } => ("app", None, Some(app.0), Some(id), None),
        Source::Oauth { kind, client, sealed } => (kind.word(), Some(sealed), None, None, Some(client)),
    };
    let row = credential::ActiveModel {
        connection_id: Set(connection.0),
        label: Set(new.label),
        kind: Set(kind.to_owned()),
        main: Set(new.main),
        enabled: Set(new.enabled),
        sealed: Set(sealed),
        app_id: Set(app),
        installation: Set(installation),
        client: Set(client),
        created_at: Set(now()),
        ..Default::default()
    };
    match row.insert(db).await {
        Ok(row) => Ok(CredentialId(row.id)),
        Err(error) if is_duplicate(&error) => {
            Err(Error::bad_request(format!("the connection has a credential called {label} already"))
                .hint("choose another name; `refward credentials list` shows them"))
        }
        Err(error) => Err(error).during("storing a credential"),
    }
}

impl TryFrom<credential::Model> for StoredCredential {
    type Error = Error;

    fn try_from(row: credential::Model) -> Result<Self> {
        let oauth = [OauthKind::Client, OauthKind::Delegated].into_iter().find(|kind| kind.word() == row.kind);
        let source = match (row.sealed, row.app_id, row.installation, oauth.zip(row.client)) {
            (Some(sealed), None, None, Some((kind, client))) => Source::Oauth { kind, client, sealed },
            (Some(sealed), None, None, None) if oauth.is_none() => Source::Token(sealed),
            (None, Some(app), Some(id), None) => Source::Installation { app: AppId(app), id },
            _ => return Err(unreadable("a credential", "neither a token, nor an installation, nor a client")),
        };
        Ok(Self {
            id: CredentialId(row.id),
            connection: ConnectionId(row.connection_id),
            label: row.label,
            source,
            main: row.main,
            enabled: row.enabled,
            inspection: row.inspection,
            created_at: time(row.created_at),
        })
    }
}
