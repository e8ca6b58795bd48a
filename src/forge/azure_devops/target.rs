//! A repository as the target of a push: it is there, under this very name, and something of ours may write to it.

use crate::forge::Takes;

/// <https://learn.microsoft.com/azure/devops/repos/git/limits>: 5 GB in a push. `refs/pull/*/merge` is the server's own.
pub(super) const TAKES: Takes = Takes { largest_push: Some(5 << 30), sha256: false, reserved: &["refs/pull/"] };
