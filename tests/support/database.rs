//! The service's database behind its back: asking for jobs that nobody has to wait for, and looking at what no command shows.

use std::cell::RefCell;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use super::world::{World, eventually};

/// The SQLite database of a deployment.
pub struct Behind {
    db: DatabaseConnection,
}

impl Behind {
    /// While the service runs or not.
    pub async fn of(world: &World) -> Self {
        let file = world.folder().join("refward.db");
        let db = Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
        Self { db }
    }

    /// Changes something.
    pub async fn change(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    /// A number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        let row = self.db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }

    /// Asks for a job of a kind for every repository.
    pub async fn ask(&self, kind: &str) {
        let sql = format!(
            "INSERT INTO job (kind, subject, state, priority, run_at, attempts, fence, created_at)
             SELECT '{kind}', id, 'ready', 0, 0, 0, 0, 0 FROM repository WHERE true
             ON CONFLICT DO NOTHING"
        );
        self.change(&sql).await;
    }

    /// Asks for it and waits until it is done.
    pub async fn done(&self, kind: &str) {
        self.ask(kind).await;
        let left = format!("SELECT COUNT(*) FROM job WHERE kind = '{kind}'");
        let last = RefCell::new(None);
        let none = async || {
            *last.borrow_mut() = self.text(&format!("SELECT MAX(last_error) FROM job WHERE kind = '{kind}'")).await;
            (self.number(&left).await == 0).then_some(())
        };
        eventually(none, || format!("`{kind}` to be done: {:?}", last.borrow())).await;
    }

    async fn text(&self, sql: &str) -> Option<String> {
        let row = self.db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }
}
