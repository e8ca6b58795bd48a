//! Why Azure DevOps did not take a push, in its words, and the way out.

use crate::forge::Refusal;

/// `why`: what `git push` printed, or the server's lines of it. `None`: nothing that we know.
pub(super) fn explain(why: &str) -> Option<Refusal> {
    _ = why;
    None
}
