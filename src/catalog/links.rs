//! Who people are on the forges.

use std::collections::HashSet;
use std::fmt::Display;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde::Serialize;
use serde_json::json;

use crate::domain::{By, Error, Person, Result};

use super::Catalog;
use super::audit::{self, NewRecord, Verdict};
use super::error::{During, unreadable};
use super::tables::identity_link::{self, Column};
use super::values::{now, time};

/// A person is a user of a forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdentityLink {
    /// Who.
    pub person: Person,
    /// The forge's slug.
    pub forge: String,
    /// Its web host, with the port where it is not the default one.
    pub host: String,
    /// The forge's own id of the user.
    pub forge_user: String,
    /// As it was when they were linked.
    pub login: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when it counts.
    pub expires_at: DateTime<Utc>,
}

impl Catalog {
    /// From now on a person is this user of the forge, and on that host nobody else.
    pub async fn put_link(&self, link: &IdentityLink, by: &By) -> Result<()> {
        const DOING: &str = "linking a person";
        let tx = self.begin(DOING).await?;
        // Two at once of one person and host would both find nothing to end.
        audit::turn(&tx).await?;
        end(&tx, &link.person, Some(&link.host)).await?;
        let row = identity_link::ActiveModel {
            person: Set(link.person.to_string()),
            forge: Set(link.forge.clone()),
            host: Set(link.host.clone()),
            forge_user: Set(link.forge_user.clone()),
            login: Set(link.login.clone()),
            created_at: Set(link.created_at.timestamp_millis()),
            expires_at: Set(link.expires_at.timestamp_millis()),
            ..Default::default()
        };
        row.insert(&tx).await.during(DOING)?;
        let detail = json!({
            "host": link.host, "user": link.forge_user, "login": link.login, "expires_at": link.expires_at,
        });
        let linked = NewRecord::new(by, "link", Verdict::Done).about(link.person.to_string()).detail(detail);
        audit::record(&tx, linked).await?;
        tx.commit().await.during(DOING)
    }

    /// Who a person is on a host. `None`: they have not said it, or too long ago.
    pub async fn link_of(&self, person: &Person, host: &str) -> Result<Option<IdentityLink>> {
        Ok(self.links_of(person).await?.into_iter().find(|link| link.host.eq_ignore_ascii_case(host)))
    }

    /// Everything that a person is.
    pub async fn links_of(&self, person: &Person) -> Result<Vec<IdentityLink>> {
        self.standing_links(Some(person)).await
    }

    /// Everybody who is somebody, by person.
    pub async fn links(&self) -> Result<Vec<IdentityLink>> {
        self.standing_links(None).await
    }

    async fn standing_links(&self, of: Option<&Person>) -> Result<Vec<IdentityLink>> {
        let mut standing = identity_link::Entity::find()
            .filter(Column::EndedAt.is_null())
            .filter(Column::ExpiresAt.gt(now()))
            .order_by_asc(Column::Person)
            .order_by_asc(Column::Host);
        if let Some(person) = of {
            standing = standing.filter(Column::Person.eq(person.to_string()));
        }
        let rows = standing.all(&self.read).await.during("reading who people are")?;
        rows.into_iter().map(IdentityLink::try_from).collect()
    }

    /// A person is nobody any more, on one host or on all; says how many links that ended.
    pub async fn end_links(&self, person: &Person, host: Option<&str>, by: &By) -> Result<u64> {
        const DOING: &str = "unlinking a person";
        let tx = self.begin(DOING).await?;
        // As above: whoever held the row and waited for the turn would wait for ever.
        audit::turn(&tx).await?;
        let ended = end(&tx, person, host).await?;
        if ended > 0 {
            let unlinked = NewRecord::new(by, "unlink", Verdict::Done).about(person.to_string());
            audit::record(&tx, unlinked.detail(json!({ "host": host, "links": ended }))).await?;
        }
        tx.commit().await.during(DOING)?;
        Ok(ended)
    }

    /// Whether both are one human being, as far as we can know: written the same, or linked to the same user of a forge, now
    /// or ever. Who unlinks before approving what they asked for themselves gains nothing.
    pub async fn same_person(&self, one: impl Display, other: impl Display) -> Result<bool> {
        let (one, other) = (one.to_string(), other.to_string());
        if one.eq_ignore_ascii_case(&other) {
            return Ok(true);
        }
        let identities = |of: String| async move {
            let users: Vec<(String, String, String)> = identity_link::Entity::find()
                .select_only()
                .columns([Column::Forge, Column::Host, Column::ForgeUser])
                .filter(Column::Person.eq(of))
                .into_tuple()
                .all(&self.read)
                .await
                .during("comparing people")?;
            Ok::<HashSet<_>, Error>(users.into_iter().collect())
        };
        Ok(!identities(one).await?.is_disjoint(&identities(other).await?))
    }
}

async fn end(tx: &DatabaseTransaction, person: &Person, host: Option<&str>) -> Result<u64> {
    let of_host = host.map(|host| Expr::expr(Func::lower(Expr::col(Column::Host))).eq(host.to_lowercase()));
    let ended = identity_link::Entity::update_many()
        .col_expr(Column::EndedAt, now().into())
        .filter(Column::Person.eq(person.to_string()))
        .filter(Column::EndedAt.is_null())
        .filter(Condition::all().add_option(of_host))
        .exec(tx)
        .await;
    Ok(ended.during("unlinking a person")?.rows_affected)
}

impl TryFrom<identity_link::Model> for IdentityLink {
    type Error = Error;

    fn try_from(row: identity_link::Model) -> Result<Self> {
        Ok(Self {
            person: row.person.parse().map_err(|error| unreadable("a link", error))?,
            forge: row.forge,
            host: row.host,
            forge_user: row.forge_user,
            login: row.login,
            created_at: time(row.created_at),
            expires_at: time(row.expires_at),
        })
    }
}
