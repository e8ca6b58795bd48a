//! Where things lie in the store.

use crate::domain::{RepoId, Seq};

/// Describes the vault; its presence makes a store a vault.
pub(super) const DESCRIPTION: &str = "vault.json";
/// Ed25519 over [`DESCRIPTION`].
pub(super) const DESCRIPTION_SIGNATURE: &str = "vault.json.sig";
/// Written by the probe for conditional writes.
pub(super) const PROBE: &str = "probe.txt";
/// The folder of all repositories.
pub(super) const REPOSITORIES: &str = "repos";
/// Large objects on their way into a local vault. Same file system as their goal, and never listed as snapshots.
pub(super) const STAGING: &str = "staging";

const SUFFIX: &str = ".tar.gz.age";

/// The folder of one repository.
pub(super) fn repository(repo: &RepoId) -> String {
    format!("{REPOSITORIES}/{repo}")
}

/// The name of a snapshot's object.
pub fn object_name(repo: &RepoId, seq: Seq) -> String {
    format!("{REPOSITORIES}/{repo}/{:010}{SUFFIX}", seq.get())
}

/// The number in a file name, if it is a snapshot's.
pub(super) fn seq_of(file_name: &str) -> Option<Seq> {
    let digits = file_name.strip_suffix(SUFFIX)?;
    let plain = digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().and_then(Seq::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        let repo = RepoId::derive("github", "github.com", "1");
        let name = object_name(&repo, Seq::new(42).unwrap());
        assert_eq!(name, format!("repos/{repo}/0000000042.tar.gz.age"));
        assert_eq!(seq_of("0000000042.tar.gz.age"), Seq::new(42));
        for other in ["0000000000.tar.gz.age", "42.tar.gz.age", "+000000042.tar.gz.age", "0000000042.tar.age", ""] {
            assert_eq!(seq_of(other), None, "{other}");
        }
    }
}
