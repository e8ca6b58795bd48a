//! Policies, and every change of one.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::policy::Policy;
use crate::domain::{By, Error, Result};

use super::Catalog;
use super::audit::{self, NewRecord, Verdict};
use super::error::{During, is_duplicate, unreadable};
use super::tables::policy::{self, Column};
use super::tables::policy_change;
use super::values::{now, time};

/// What happens to policies.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyEdit {
    /// There is one more, the last of those that select something.
    Create(Box<Policy>),
    /// It says something else.
    Set {
        /// What it says so far.
        before: Box<Policy>,
        /// What it says then.
        after: Box<Policy>,
    },
    /// There is one less.
    Delete(Box<Policy>),
    /// They are asked in another order.
    Order {
        /// All names as they are ordered so far.
        before: Vec<String>,
        /// Those that come first then; the others follow as they are.
        after: Vec<String>,
    },
}

impl PolicyEdit {
    /// The policy that changes; all of them: `*`.
    pub fn policy(&self) -> &str {
        match self {
            Self::Create(policy) | Self::Delete(policy) => &policy.name,
            Self::Set { before, .. } => &before.name,
            Self::Order { .. } => "*",
        }
    }

    /// `create`, `set`, `delete` or `order`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Set { .. } => "set",
            Self::Delete(_) => "delete",
            Self::Order { .. } => "order",
        }
    }

    /// As the record calls it.
    fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "policy.create",
            Self::Set { .. } => "policy.set",
            Self::Delete(_) => "policy.delete",
            Self::Order { .. } => "policy.order",
        }
    }

    fn documents(&self) -> Result<(Option<Value>, Option<Value>)> {
        Ok(match self {
            Self::Create(after) => (None, Some(document(after)?)),
            Self::Set { before, after } => (Some(document(before)?), Some(document(after)?)),
            Self::Delete(before) => (Some(document(before)?), None),
            Self::Order { before, after } => (Some(document(before)?), Some(document(after)?)),
        })
    }

    fn read(kind: &str, before: Option<Value>, after: Option<Value>) -> Result<Self> {
        Ok(match (kind, before, after) {
            ("create", None, Some(after)) => Self::Create(from_document(after)?),
            ("set", Some(before), Some(after)) => {
                Self::Set { before: from_document(before)?, after: from_document(after)? }
            }
            ("delete", Some(before), None) => Self::Delete(from_document(before)?),
            ("order", Some(before), Some(after)) => {
                Self::Order { before: from_document(before)?, after: from_document(after)? }
            }
            _ => return Err(unreadable("a change of a policy", kind)),
        })
    }
}

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// It acts later, unless it is taken back.
    Waiting,
    /// It acts.
    Applied,
    /// It was taken back and never acted.
    Revoked,
}

impl ChangeState {
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Revoked => "revoked",
        }
    }
}

/// A change of policies.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// Its number.
    pub id: i64,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// Who asked: a [`Person`](crate::domain::Person) as it is written.
    pub actor: String,
    /// What.
    pub edit: PolicyEdit,
    /// How far it has come.
    pub state: ChangeState,
    /// When it acts, or acted.
    pub effective_at: DateTime<Utc>,
    /// Who approved or revoked it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// What would be protected less, in words.
    pub weakens: Vec<String>,
}

impl Catalog {
    /// All policies in the order in which they are asked. One called `default` may be among them, anywhere.
    pub async fn policies(&self) -> Result<Vec<Policy>> {
        let rows = policy::Entity::find().order_by_asc(Column::Position).order_by_asc(Column::Id).all(&self.read).await;
        let rows = rows.during("reading the policies")?;
        rows.into_iter().map(|row| from_document::<Box<Policy>>(row.document).map(|policy| *policy)).collect()
    }

    /// Keeps a change. It acts at once, in the same transaction, or waits until `effective_at` at least. What it changes and
    /// what it weakens is in words, for those who decide about it and for the record.
    pub async fn change_policies(
        &self,
        edit: &PolicyEdit,
        by: &By,
        waits_until: Option<DateTime<Utc>>,
        changes: &[String],
        weakens: &[String],
    ) -> Result<i64> {
        const DOING: &str = "changing policies";
        let (before, after) = edit.documents()?;
        let tx = self.begin(DOING).await?;
        refuse_second(&tx, edit.policy()).await?;
        let state = if waits_until.is_some() { ChangeState::Waiting } else { ChangeState::Applied };
        let row = policy_change::ActiveModel {
            at: Set(now()),
            actor: Set(by.who.clone()),
            policy: Set(edit.policy().to_owned()),
            kind: Set(edit.kind().to_owned()),
            before: Set(before),
            after: Set(after),
            state: Set(state.word().to_owned()),
            effective_at: Set(waits_until.map_or_else(now, |until| until.timestamp_millis())),
            weakens: Set((!weakens.is_empty()).then(|| weakens.to_vec().into())),
            ..Default::default()
        };
        let id = row.insert(&tx).await.during(DOING)?.id;
        if state == ChangeState::Applied {
            act(&tx, edit).await?;
        }
        let verdict = if state == ChangeState::Applied { Verdict::Done } else { Verdict::Asked };
        let detail = json!({ "change": id, "changes": changes, "weakens": weakens });
        let change = NewRecord::new(by, edit.action(), verdict).about(subject(edit.policy())).detail(detail);
        audit::record(&tx, change).await?;
        tx.commit().await.during(DOING)?;
        Ok(id)
    }

    /// A waiting change acts from now on. Fails if the policy says something else meanwhile; `false`: it waits no longer.
    pub async fn apply_change(&self, change: &PolicyChange) -> Result<bool> {
        const DOING: &str = "letting a change of policies act";
        let tx = self.begin(DOING).await?;
        let applied = policy_change::Entity::update_many()
            .col_expr(policy_change::Column::State, ChangeState::Applied.word().into())
            .col_expr(policy_change::Column::EffectiveAt, now().into())
            .filter(policy_change::Column::Id.eq(change.id))
            .filter(policy_change::Column::State.eq(ChangeState::Waiting.word()))
            .exec(&tx)
            .await
            .during(DOING)?;
        if applied.rows_affected == 0 {
            return Ok(false);
        }
        act(&tx, &change.edit).await?;
        let applied =
            NewRecord::new(&By::refward(), "policy.apply", Verdict::Done).about(subject(change.edit.policy()));
        audit::record(&tx, applied.detail(json!({ "change": change.id }))).await?;
        tx.commit().await.during(DOING)?;
        Ok(true)
    }

    /// Somebody has approved a waiting change, or taken it back. `false`: it waits no longer.
    pub async fn decide_change(&self, id: i64, by: &By, revoked: bool) -> Result<bool> {
        const DOING: &str = "deciding about a change of policies";
        let tx = self.begin(DOING).await?;
        let state = if revoked { ChangeState::Revoked } else { ChangeState::Waiting };
        let decided = policy_change::Entity::update_many()
            .col_expr(policy_change::Column::State, state.word().into())
            .col_expr(policy_change::Column::DecidedBy, by.who.as_str().into())
            .col_expr(policy_change::Column::DecidedAt, now().into())
            .filter(policy_change::Column::Id.eq(id))
            .filter(policy_change::Column::State.eq(ChangeState::Waiting.word()))
            .exec(&tx)
            .await;
        let decided = decided.during(DOING)?.rows_affected > 0;
        let row = policy_change::Entity::find_by_id(id).one(&tx).await.during(DOING)?;
        if let Some(row) = row.filter(|_| decided) {
            let (action, verdict) =
                if revoked { ("policy.revoke", Verdict::Done) } else { ("policy.approve", Verdict::Approved) };
            let told = NewRecord::new(by, action, verdict).about(subject(&row.policy));
            audit::record(&tx, told.detail(json!({ "change": id, "asked_by": row.actor }))).await?;
        }
        tx.commit().await.during(DOING)?;
        Ok(decided)
    }

    /// The changes that wait, the oldest first.
    pub async fn waiting_changes(&self) -> Result<Vec<PolicyChange>> {
        let waiting = policy_change::Column::State.eq(ChangeState::Waiting.word());
        let rows =
            policy_change::Entity::find().filter(waiting).order_by_asc(policy_change::Column::Id).all(&self.read);
        rows.await.during("reading the changes that wait")?.into_iter().map(PolicyChange::try_from).collect()
    }

    /// All changes, or those of one policy, the newest first.
    pub async fn policy_changes(&self, of: Option<&str>) -> Result<Vec<PolicyChange>> {
        let mut changes = policy_change::Entity::find();
        if let Some(name) = of {
            let named = Expr::expr(Func::lower(Expr::col(policy_change::Column::Policy)));
            changes = changes.filter(named.eq(name.to_lowercase()));
        }
        let rows = changes.order_by_desc(policy_change::Column::Id).all(&self.read).await;
        rows.during("reading the changes of policies")?.into_iter().map(PolicyChange::try_from).collect()
    }
}

/// What a change is about, for the record.
fn subject(policy: &str) -> String {
    if policy == "*" { "policies".to_owned() } else { format!("policy {policy}") }
}

/// Two changes of one policy at a time could not be told apart by those who decide about them.
async fn refuse_second(tx: &DatabaseTransaction, name: &str) -> Result<()> {
    let named = Expr::expr(Func::lower(Expr::col(policy_change::Column::Policy))).eq(name.to_lowercase());
    let waiting = policy_change::Entity::find()
        .filter(policy_change::Column::State.eq(ChangeState::Waiting.word()))
        .filter(named)
        .one(tx)
        .await
        .during("looking for a change that waits")?;
    let Some(waiting) = waiting else { return Ok(()) };
    let what = if name == "*" { "the order of the policies".to_owned() } else { format!("the policy {name}") };
    Err(Error::bad_request(format!("a change of {what} waits already: number {}, by {}", waiting.id, waiting.actor))
        .hint(format!("take it back first: `refward policy revoke {}`", waiting.id)))
}

async fn act(tx: &DatabaseTransaction, edit: &PolicyEdit) -> Result<()> {
    match edit {
        PolicyEdit::Create(policy) => insert(tx, policy).await,
        PolicyEdit::Set { before, after } => match find(tx, &before.name).await? {
            // Nobody has changed the built-in one before.
            None if before.is_default() => insert(tx, after).await,
            found => {
                let row = unchanged(found, before)?;
                let changed = policy::Entity::update_many()
                    .col_expr(Column::Document, document(after)?.into())
                    .col_expr(Column::Version, Expr::col(Column::Version).add(1))
                    .col_expr(Column::ChangedAt, now().into())
                    .filter(Column::Id.eq(row.id))
                    .filter(Column::Version.eq(row.version))
                    .exec(tx)
                    .await;
                still(changed.during("changing a policy")?.rows_affected, &before.name)
            }
        },
        PolicyEdit::Delete(policy) => {
            let row = unchanged(find(tx, &policy.name).await?, policy)?;
            let these = policy::Entity::delete_many().filter(Column::Id.eq(row.id));
            let deleted = these.filter(Column::Version.eq(row.version)).exec(tx).await;
            still(deleted.during("deleting a policy")?.rows_affected, &policy.name)
        }
        PolicyEdit::Order { after, .. } => reorder(tx, after).await,
    }
}

async fn insert(tx: &DatabaseTransaction, policy: &Policy) -> Result<()> {
    const DOING: &str = "creating a policy";
    let last: Option<Option<i32>> = policy::Entity::find()
        .select_only()
        .column_as(Column::Position.max(), "last")
        .into_tuple()
        .one(tx)
        .await
        .during(DOING)?;
    let row = policy::ActiveModel {
        name: Set(policy.name.clone()),
        position: Set(last.flatten().unwrap_or_default() + 1),
        document: Set(document(policy)?),
        version: Set(1),
        created_at: Set(now()),
        changed_at: Set(now()),
        ..Default::default()
    };
    match row.insert(tx).await {
        Err(error) if is_duplicate(&error) => {
            Err(Error::bad_request(format!("there is already a policy called {}", policy.name))
                .hint("`refward policy list` shows them"))
        }
        inserted => inserted.map(drop).during(DOING),
    }
}

async fn reorder(tx: &DatabaseTransaction, first: &[String]) -> Result<()> {
    const DOING: &str = "ordering the policies";
    let rows = policy::Entity::find().order_by_asc(Column::Position).order_by_asc(Column::Id).all(tx).await;
    let mut rows = rows.during(DOING)?;
    let place = |name: &str| first.iter().position(|first| first.eq_ignore_ascii_case(name)).unwrap_or(first.len());
    rows.sort_by_key(|row| place(&row.name));
    for (position, row) in (1..).zip(rows) {
        let moved = policy::ActiveModel { id: Set(row.id), position: Set(position), ..Default::default() };
        moved.update(tx).await.during(DOING)?;
    }
    Ok(())
}

async fn find(tx: &DatabaseTransaction, name: &str) -> Result<Option<policy::Model>> {
    let named = Expr::expr(Func::lower(Expr::col(Column::Name))).eq(name.to_lowercase());
    policy::Entity::find().filter(named).one(tx).await.during("looking up a policy")
}

/// The row, if it says what the change was made of.
fn unchanged(found: Option<policy::Model>, before: &Policy) -> Result<policy::Model> {
    let row = found.ok_or_else(|| meanwhile(&before.name))?;
    let is: Box<Policy> = from_document(row.document.clone())?;
    if *is == *before { Ok(row) } else { Err(meanwhile(&before.name)) }
}

fn still(rows: u64, name: &str) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(meanwhile(name)) }
}

fn meanwhile(name: &str) -> Error {
    Error::bad_request(format!("somebody else has changed the policy {name} meanwhile"))
        .hint("look at it and ask again: `refward policy show`")
}

pub(super) fn document(of: &impl Serialize) -> Result<Value> {
    serde_json::to_value(of).map_err(|error| Error::bug("a policy cannot be kept").detail(error))
}

fn from_document<T: serde::de::DeserializeOwned>(document: Value) -> Result<T> {
    serde_json::from_value(document).map_err(|error| unreadable("a policy", error))
}

impl TryFrom<policy_change::Model> for PolicyChange {
    type Error = Error;

    fn try_from(row: policy_change::Model) -> Result<Self> {
        let state = [ChangeState::Waiting, ChangeState::Applied, ChangeState::Revoked];
        let state = state.into_iter().find(|state| state.word() == row.state);
        Ok(Self {
            id: row.id,
            at: time(row.at),
            // Older rows have the name alone of whoever was at the command line.
            actor: if row.actor.contains(':') { row.actor } else { By::cli(&row.actor).who },
            edit: PolicyEdit::read(&row.kind, row.before, row.after)?,
            state: state.ok_or_else(|| unreadable("a change of a policy", row.state))?,
            effective_at: time(row.effective_at),
            decided_by: row.decided_by,
            decided_at: row.decided_at.map(time),
            weakens: row.weakens.map(from_document).transpose()?.unwrap_or_default(),
        })
    }
}
