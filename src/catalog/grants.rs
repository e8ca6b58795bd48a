//! Grants: what somebody has allowed people and roles of a platform. Nobody may anything until then.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set};
use serde::Serialize;
use serde_json::json;

use crate::domain::policy::Selection;
use crate::domain::{By, Error, Holder, Person, Result, Role};

use super::audit::{self, NewRecord, Verdict};
use super::error::{During, unreadable};
use super::setup::opens;
use super::tables::role_grant::{self, Column};
use super::tables::setup;
use super::values::{now, time};
use super::{Catalog, SetupKind};

/// A grant that stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredGrant {
    /// Its number.
    pub id: i64,
    /// Who may.
    pub holder: Holder,
    /// What.
    pub role: Role,
    /// With which repositories; `None`: all.
    pub scope: Option<Selection>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Who has allowed it.
    pub created_by: String,
}

impl Catalog {
    /// The grants that stand, the oldest first.
    pub async fn grants(&self) -> Result<Vec<StoredGrant>> {
        let standing = role_grant::Entity::find().filter(Column::RevokedAt.is_null()).order_by_asc(Column::Id);
        let rows = standing.all(&self.read).await.during("reading the grants")?;
        rows.into_iter().map(StoredGrant::try_from).collect()
    }

    /// Those of a person with these roles on the platform.
    pub async fn grants_of(&self, person: &Person, roles: &[String]) -> Result<Vec<StoredGrant>> {
        let role = |id: &String| Holder::Role { platform: person.platform().to_owned(), id: id.clone() };
        let holders = roles.iter().map(role).chain([Holder::User(person.clone())]);
        let rows = role_grant::Entity::find()
            .filter(Column::RevokedAt.is_null())
            .filter(Column::Holder.is_in(holders.map(|holder| holder.to_string())))
            .all(&self.read)
            .await
            .during("reading what somebody may do")?;
        rows.into_iter().map(StoredGrant::try_from).collect()
    }

    /// Allows somebody something. What they have been allowed already in these very words stays as it is.
    pub async fn put_grant(
        &self,
        holder: &Holder,
        role: Role,
        scope: Option<&Selection>,
        by: &By,
    ) -> Result<StoredGrant> {
        const DOING: &str = "granting a role";
        let tx = self.begin(DOING).await?;
        let grant = put(&tx, holder, role, scope, by).await?;
        tx.commit().await.during(DOING)?;
        Ok(grant)
    }

    /// Ends a grant at once. Fails if none of that number stands.
    pub async fn revoke_grant(&self, id: i64, by: &By) -> Result<StoredGrant> {
        const DOING: &str = "revoking a grant";
        let tx = self.begin(DOING).await?;
        let revoked = role_grant::Entity::update_many()
            .col_expr(Column::RevokedAt, now().into())
            .col_expr(Column::RevokedBy, by.who.as_str().into())
            .filter(Column::Id.eq(id))
            .filter(Column::RevokedAt.is_null())
            .exec(&tx)
            .await
            .during(DOING)?;
        let row = role_grant::Entity::find_by_id(id).one(&tx).await.during(DOING)?;
        let Some(row) = row.filter(|_| revoked.rows_affected == 1) else {
            return Err(
                Error::not_found(format!("no grant {id} stands")).hint("`refward grants list` shows those that do")
            );
        };
        let grant = StoredGrant::try_from(row)?;
        audit::record(&tx, told(by, "grant.revoke", &grant)).await?;
        tx.commit().await.during(DOING)?;
        Ok(grant)
    }

    /// Makes a person an admin of everything if the code with this hash still opens that; it opens nothing from then on.
    pub async fn claim_admin(&self, code: &[u8], person: &Person, by: &By) -> Result<Option<StoredGrant>> {
        const DOING: &str = "claiming the first grant";
        let tx = self.begin(DOING).await?;
        let taken = setup::Entity::delete_many().filter(opens(SetupKind::Claim, code)).exec(&tx).await;
        if taken.during(DOING)?.rows_affected == 0 {
            return Ok(None);
        }
        let grant = put(&tx, &Holder::User(person.clone()), Role::Admin, None, by).await?;
        let claimed = NewRecord::new(by, "claim", Verdict::Done).about(format!("grant {}", grant.id));
        audit::record(&tx, claimed).await?;
        tx.commit().await.during(DOING)?;
        Ok(Some(grant))
    }
}

async fn put(
    tx: &DatabaseTransaction,
    holder: &Holder,
    role: Role,
    scope: Option<&Selection>,
    by: &By,
) -> Result<StoredGrant> {
    const DOING: &str = "granting a role";
    let document = scope.map(serde_json::to_value).transpose();
    let document = document.map_err(|error| Error::bug("a scope cannot be kept").detail(error))?;
    // Of two who grant the same at once, the second finds it: revoked once, it must be gone.
    audit::turn(tx).await?;
    let of_holder = role_grant::Entity::find()
        .filter(Column::Holder.eq(holder.to_string()))
        .filter(Column::Role.eq(role.word()))
        .filter(Column::RevokedAt.is_null());
    let standing = of_holder.all(tx).await.during(DOING)?;
    if let Some(same) = standing.into_iter().find(|row| row.scope == document) {
        return same.try_into();
    }
    let row = role_grant::ActiveModel {
        holder: Set(holder.to_string()),
        role: Set(role.word().to_owned()),
        scope: Set(document),
        created_at: Set(now()),
        created_by: Set(by.who.clone()),
        ..Default::default()
    };
    let grant = StoredGrant::try_from(row.insert(tx).await.during(DOING)?)?;
    audit::record(tx, told(by, "grant.add", &grant)).await?;
    Ok(grant)
}

fn told(by: &By, action: &'static str, grant: &StoredGrant) -> NewRecord {
    let detail = json!({ "holder": grant.holder, "role": grant.role, "scope": grant.scope });
    NewRecord::new(by, action, Verdict::Done).about(format!("grant {}", grant.id)).detail(detail)
}

impl TryFrom<role_grant::Model> for StoredGrant {
    type Error = Error;

    fn try_from(row: role_grant::Model) -> Result<Self> {
        let scope = row.scope.map(serde_json::from_value).transpose();
        Ok(Self {
            id: row.id,
            holder: row.holder.parse().map_err(|error| unreadable("a grant", error))?,
            role: row.role.parse().map_err(|error| unreadable("a grant", error))?,
            scope: scope.map_err(|error| unreadable("the scope of a grant", error))?,
            created_at: time(row.created_at),
            created_by: row.created_by,
        })
    }
}
