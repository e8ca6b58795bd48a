//! What people should be told. Each notice is written together with a row in the outbox for every receiver that wants it,
//! so that neither is ever without the other.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::domain::policy::{Notify, Policy, Threshold};
use crate::domain::{ConnectionId, Error, RepoId, Result, Severity, Undo};

use super::Catalog;
use super::error::{During, unreadable};
use super::outbox::{self, WAITING};
use super::repositories::repo_id;
use super::tables::notice::{self, Column};
use super::tables::{alarm, outbox as outbox_table, policy, repository};
use super::values::{now, time};

/// Something that people should be told.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredNotice {
    /// Its number; later ones have higher ones.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// A stable word: `repository.renamed`, `app.suspended`.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// About which connection.
    pub connection: Option<ConnectionId>,
    /// About which repository.
    pub repo: Option<RepoId>,
    /// For people.
    pub text: String,
    /// Notices about the same thing have the same.
    pub subject: Option<String>,
    /// To be pasted into a shell: it undoes the harm, or is the next step to that.
    pub command: Option<String>,
    /// What a button brings back.
    pub undo: Option<Undo>,
}

/// A notice to be given.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the same words as in StoredNotice")]
pub struct NewNotice {
    pub kind: &'static str,
    pub severity: Severity,
    pub connection: Option<ConnectionId>,
    pub repo: Option<RepoId>,
    pub text: String,
    pub subject: Option<String>,
    pub command: Option<String>,
    pub undo: Option<Undo>,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// What the receiver is called: `mail`, `webhook`, `discord:CHANNEL`.
    pub receiver: String,
    /// The least severe notice that it wants.
    pub severity: Severity,
}

impl Subscriber {
    /// As policies call it: the channels of a chat go by the chat's name.
    fn name(&self) -> &str {
        self.receiver.split(':').next().unwrap_or_default()
    }
}

impl Catalog {
    /// Tells people something; the log hears of it at once.
    pub async fn notify(&self, new: NewNotice) -> Result<()> {
        const DOING: &str = "keeping a notice";
        let tx = self.begin(DOING).await?;
        let severity = new.severity;
        tell(&tx, &self.subscribers, new, severity).await?;
        tx.commit().await.during(DOING)
    }

    /// The newest notices, newest first.
    pub async fn notices(&self, limit: u64) -> Result<Vec<StoredNotice>> {
        let rows = notice::Entity::find().order_by_desc(Column::Id).limit(limit).all(&self.read).await;
        rows.during("reading the notices")?.into_iter().map(StoredNotice::try_from).collect()
    }

    /// One notice, by its number.
    pub async fn notice(&self, id: i64) -> Result<StoredNotice> {
        let row = notice::Entity::find_by_id(id).one(&self.read).await.during("looking up a notice")?;
        let row = row.ok_or_else(|| {
            Error::not_found(format!("there is no notice {id}, or it is forgotten by now"))
                .hint("`refward notices` lists those that are kept")
        })?;
        row.try_into()
    }

    /// Forgets notices that were given before `before`, those aside that still wait for a receiver or tell of an alarm that
    /// stands: its end lifts the holds that have its words.
    pub async fn forget_notices(&self, before: DateTime<Utc>) -> Result<u64> {
        const DOING: &str = "forgetting old notices";
        let waiting = Query::select()
            .column(outbox_table::Column::NoticeId)
            .from(outbox_table::Entity)
            .and_where(outbox_table::Column::State.eq(WAITING))
            .take();
        let standing = Query::select().column(alarm::Column::NoticeId).from(alarm::Entity).take();
        let old = notice::Entity::delete_many()
            .filter(Column::At.lt(before.timestamp_millis()))
            .filter(Column::Id.not_in_subquery(waiting))
            .filter(Column::Id.not_in_subquery(standing));
        let forgotten = old.exec(&self.write).await.during(DOING)?.rows_affected;
        if forgotten > 0 {
            let left = Query::select().column(Column::Id).from(notice::Entity).take();
            let told = outbox_table::Entity::delete_many()
                .filter(outbox_table::Column::NoticeId.not_in_subquery(left))
                .exec(&self.write);
            told.await.during(DOING)?;
        }
        Ok(forgotten)
    }
}

/// Writes a notice and hands it to the receivers that want notices of severity `loudness`. Gives its number.
pub(super) async fn tell(
    db: &impl ConnectionTrait,
    subscribers: &[Subscriber],
    new: NewNotice,
    loudness: Severity,
) -> Result<i64> {
    const DOING: &str = "keeping a notice";
    match new.severity {
        Severity::Info => tracing::info!(notice = new.kind, "{}", new.text),
        Severity::Warning | Severity::Alarm => tracing::warn!(notice = new.kind, "{}", new.text),
    }
    let repo = new.repo.map(String::from);
    let undo = new.undo.map(serde_json::to_value).transpose();
    let undo = undo.map_err(|error| Error::bug("cannot write down what undoes the harm").detail(error))?;
    let row = notice::ActiveModel {
        at: Set(now()),
        kind: Set(new.kind.to_owned()),
        severity: Set(new.severity.word().to_owned()),
        connection_id: Set(new.connection.map(|id| id.0)),
        repo_id: Set(repo.clone()),
        text: Set(new.text),
        subject: Set(new.subject),
        command: Set(new.command),
        undo: Set(undo),
        ..Default::default()
    };
    let id = row.insert(db).await.during(DOING)?.id;
    let wanted_by = wanted_by(db, subscribers, repo.as_deref(), loudness).await?;
    outbox::post(db, id, wanted_by).await.during(DOING)?;
    Ok(id)
}

/// Whoever wants to hear of it: as the repository's policy says, and where that says nothing, as the settings do.
async fn wanted_by<'a>(
    db: &impl ConnectionTrait,
    subscribers: &'a [Subscriber],
    repo: Option<&str>,
    loudness: Severity,
) -> Result<Vec<&'a Subscriber>> {
    let rules = match repo {
        Some(repo) if !subscribers.is_empty() => notify_rules(db, repo).await?,
        _ => Notify::default(),
    };
    let wants = |subscriber: &&Subscriber| match rules.severity.get(subscriber.name()) {
        Some(Threshold::Never) => false,
        Some(Threshold::Info) => true,
        Some(Threshold::Warning) => loudness >= Severity::Warning,
        Some(Threshold::Alarm) => loudness >= Severity::Alarm,
        None => loudness >= subscriber.severity,
    };
    Ok(subscribers.iter().filter(wants).collect())
}

/// What the repository's policy says of notices.
async fn notify_rules(db: &impl ConnectionTrait, repo: &str) -> Result<Notify> {
    let named = Query::select()
        .column(repository::Column::Policy)
        .from(repository::Entity)
        .and_where(repository::Column::Id.eq(repo))
        .take();
    let found = policy::Entity::find().filter(policy::Column::Name.in_subquery(named)).one(db).await;
    let policy = found.during("reading who wants to be told")?.map(|row| serde_json::from_value(row.document));
    let policy: Option<Policy> = policy.transpose().map_err(|error| unreadable("a policy", error))?;
    Ok(policy.map(|policy| policy.notify).unwrap_or_default())
}

impl TryFrom<notice::Model> for StoredNotice {
    type Error = Error;

    fn try_from(row: notice::Model) -> Result<Self> {
        let undo = row.undo.map(serde_json::from_value).transpose();
        Ok(Self {
            id: row.id,
            at: time(row.at),
            kind: row.kind,
            severity: Severity::from_word(&row.severity).ok_or_else(|| unreadable("a severity", row.severity))?,
            connection: row.connection_id.map(ConnectionId),
            repo: row.repo_id.as_deref().map(repo_id).transpose()?,
            text: row.text,
            subject: row.subject,
            command: row.command,
            undo: undo.map_err(|error| unreadable("what a notice brings back", error))?,
        })
    }
}
