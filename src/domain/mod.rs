//! The words of the product. Plain data, no I/O: every other module speaks in these types.

mod actor;
mod error;
mod event;
mod extent;
mod ids;
mod notice;
mod object_id;
mod person;
mod point;
pub mod policy;
mod proof;
mod refs;
mod repository;
mod snapshot;

pub use actor::Actor;
pub use error::{Error, Kind, Result};
pub use event::{Change, Event};
pub use extent::{Expected, Extent};
pub use ids::{AppId, ConnectionId, CredentialId, DeliveryId, RepoId, Seq};
pub use notice::{Severity, Undo, command};
pub use object_id::{ObjectFormat, ObjectId};
pub use person::{By, Holder, Person, Role};
pub use point::Point;
pub use proof::{ForgeComparison, Problem, ProofKind, ProvedSnapshot, ReadAmount, Report, Restored};
pub use refs::{Head, RefChange, RefName, RefState};
pub use repository::{Availability, RemoteRepository, RepoAddress, same_name};
pub use snapshot::{Coverage, Ledger, RefCounts, Skipped, Snapshot, Trigger};
