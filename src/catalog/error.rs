//! Database errors in our words, sorted by what can be done about them.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use crate::domain::{Error, Kind, Result};

/// Long enough for a lock or a restart to pass, short enough that a webhook's sender is still there.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Says what we were doing when the database failed.
pub(super) trait During<T> {
    fn during(self, doing: &str) -> Result<T>;
}

impl<T> During<T> for Result<T, DbErr> {
    fn during(self, doing: &str) -> Result<T> {
        self.map_err(|error| explain(doing, &error))
    }
}

/// A row with the same unique key exists.
pub(super) fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// What stands in the database cannot be read back.
pub(super) fn unreadable(what: &str, detail: impl std::fmt::Display) -> Error {
    Error::damaged(format!("the database holds {what} that cannot be read"))
        .hint("`refward catalog rebuild` restores the catalog from the vault")
        .detail(detail)
}

fn explain(doing: &str, error: &DbErr) -> Error {
    let busy = Kind::Busy { retry_after: Some(RETRY_AFTER) };
    let described = |kind, why: &str| Error::new(kind, format!("{doing}: {why}")).detail(error);
    match trouble(error) {
        Trouble::Locked => described(busy, "the database is locked by another process")
            .hint("another refward process is writing; if it never ends, look for one that hangs"),
        Trouble::Unreachable => described(busy, "the database cannot be reached")
            .hint("check that it runs, and the host and port in `database.url`"),
        Trouble::Full => described(busy, "the database has no space left").hint("free space on its disk"),
        Trouble::ReadOnly => described(Kind::Misconfigured, "the database cannot be written")
            .hint("check the owner and permissions of the file and its folder"),
        Trouble::Corrupt => described(Kind::Damaged, "the database file is damaged")
            .hint("move it away and run `refward catalog rebuild`; snapshots are safe in the vault"),
        Trouble::Refused => described(Kind::Misconfigured, "the database refuses us")
            .hint("check `database.url`: host, name, user and password"),
        Trouble::Other => described(Kind::Bug, "the database refused a statement"),
    }
}

enum Trouble {
    Locked,
    Unreachable,
    Full,
    ReadOnly,
    Corrupt,
    Refused,
    Other,
}

fn trouble(error: &DbErr) -> Trouble {
    let cause = match error {
        DbErr::ConnectionAcquire(_) => return Trouble::Unreachable,
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause,
        _ => return Trouble::Other,
    };
    match cause.as_ref() {
        sqlx::Error::Database(error) => error.code().map_or(Trouble::Other, |code| by_code(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Trouble::Unreachable,
        _ => Trouble::Other,
    }
}

/// SQLSTATE (five characters) of PostgreSQL, <https://www.postgresql.org/docs/current/errcodes-appendix.html>, or
/// SQLite's extended result code (a number), <https://www.sqlite.org/rescode.html>.
fn by_code(code: &str) -> Trouble {
    if code.len() == 5 {
        return match &code[..2] {
            "40" | "55" => Trouble::Locked,
            "53" if code == "53100" => Trouble::Full,
            "08" | "53" | "57" => Trouble::Unreachable,
            "28" | "3D" => Trouble::Refused,
            "25" => Trouble::ReadOnly,
            "XX" if code != "XX000" => Trouble::Corrupt,
            _ => Trouble::Other,
        };
    }
    // The low byte is the primary code.
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6) => Trouble::Locked,
        Ok(13) => Trouble::Full,
        Ok(3 | 8 | 14 | 23) => Trouble::ReadOnly,
        Ok(10) => Trouble::Unreachable,
        Ok(11 | 26) => Trouble::Corrupt,
        _ => Trouble::Other,
    }
}
