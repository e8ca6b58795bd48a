//! The one error type that crosses module borders.
//!
//! Its [`Kind`] alone decides HTTP status, exit code, chat wording and whether a job is retried. `message` is for the
//! person; `detail` is for the log and is never shown to anyone else.

use std::fmt;
use std::time::Duration;

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The one who asked may not.
    NotAllowed,
    /// What was named does not exist, or is not theirs to see.
    NotFound,
    /// The request makes no sense as it stands.
    BadRequest,
    /// Something of ours is occupied; it passes.
    Busy {
        /// When to try again, if known.
        retry_after: Option<Duration>,
    },
    /// Nothing failed: we wait, by our own decision, before the other side has to refuse us.
    Throttled {
        /// When we may go on.
        retry_after: Duration,
    },
    /// The other side failed; it may pass.
    Remote {
        /// When to try again, if the other side said.
        retry_after: Option<Duration>,
    },
    /// A setting, a credential or the environment must be changed by a person first.
    Misconfigured,
    /// Stored data is not what was written: tampered with, truncated, missing.
    Damaged,
    /// Only some of what was asked for could be done.
    Partial,
    /// Our mistake.
    Bug,
}

impl Kind {
    /// The process exit code, as documented in the README.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Busy { .. } | Self::Damaged | Self::Partial | Self::Bug => 1,
            Self::BadRequest => 2,
            Self::NotFound => 3,
            Self::NotAllowed => 4,
            Self::Remote { .. } | Self::Throttled { .. } => 5,
            Self::Misconfigured => 6,
        }
    }

    /// Trying again without a person's help may succeed.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Remote { .. } | Self::Throttled { .. })
    }
}

/// A failure: what we were doing, to what, and what to do next.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    detail: Option<String>,
}

/// The result of everything that can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of any kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, detail: None }
    }

    /// [`Kind::NotAllowed`]
    pub fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(Kind::NotAllowed, message)
    }

    /// [`Kind::NotFound`]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// [`Kind::BadRequest`]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// [`Kind::Busy`] without a known end.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(Kind::Busy { retry_after: None }, message)
    }

    /// [`Kind::Throttled`]
    pub fn throttled(retry_after: Duration, message: impl Into<String>) -> Self {
        Self::new(Kind::Throttled { retry_after }, message)
    }

    /// [`Kind::Remote`] without a known end.
    pub fn remote(message: impl Into<String>) -> Self {
        Self::new(Kind::Remote { retry_after: None }, message)
    }

    /// [`Kind::Misconfigured`]
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(Kind::Misconfigured, message)
    }

    /// [`Kind::Damaged`]
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, message)
    }

    /// [`Kind::Bug`]
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, message)
    }

    /// What the person can do next; printed on a line of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The cause, for the log. Must not hold a secret.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Puts what we were doing in front: `backing up o/r: …`.
    #[must_use]
    pub fn while_doing(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// The same once more, for several who waited for one thing.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { kind: self.kind, message: self.message.clone(), hint: self.hint.clone(), detail: self.detail.clone() }
    }

    /// What can be done about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do next, if we know.
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// For the log: message and cause.
    pub fn for_log(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} ({detail})", self.message),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for Error {
    /// For the person: the message alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
