//! Where things lie in the store.

use crate::domain::{Extent, RepoId, Seq};

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

/// The name of an object that stands for one snapshot or for many.
pub fn object_name(repo: &RepoId, extent: &Extent) -> String {
    let Extent { from, to, rewriting } = extent;
    let numbers = match rewriting {
        0 => format!("{:010}", from.get()),
        _ => format!("{:010}-{:010}.{rewriting}", from.get(), to.get()),
    };
    format!("{REPOSITORIES}/{repo}/{numbers}{SUFFIX}")
}

/// What the object with this file name stands for, if it is a snapshot's.
pub(super) fn extent_of(file_name: &str) -> Option<Extent> {
    let numbers = file_name.strip_suffix(SUFFIX)?;
    let Some((from, rest)) = numbers.split_once('-') else { return number(numbers).map(Extent::single) };
    let (to, rewriting) = rest.split_once('.')?;
    let plain = !rewriting.starts_with('0') && rewriting.bytes().all(|b| b.is_ascii_digit());
    let rewriting = plain.then(|| rewriting.parse().ok()).flatten()?;
    let extent = Extent { from: number(from)?, to: number(to)?, rewriting };
    (extent.from <= extent.to).then_some(extent)
}

fn number(digits: &str) -> Option<Seq> {
    let plain = digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().and_then(Seq::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        let repo = RepoId::derive("github", "github.com", "1");
        let seq = |number| Seq::new(number).unwrap();
        let (single, span) = (Extent::single(seq(42)), Extent { from: seq(1), to: seq(64), rewriting: 12 });
        for (extent, file) in [(single, "0000000042.tar.gz.age"), (span, "0000000001-0000000064.12.tar.gz.age")] {
            assert_eq!(object_name(&repo, &extent), format!("repos/{repo}/{file}"));
            assert_eq!(extent_of(file), Some(extent));
        }
        for other in [
            "",
            "0000000000.tar.gz.age",
            "42.tar.gz.age",
            "+000000042.tar.gz.age",
            "0000000042.tar.age",
            "0000000001-0000000064.tar.gz.age",
            "0000000001-0000000064.0.tar.gz.age",
            "0000000001-0000000064.01.tar.gz.age",
            "0000000001-0000000064.+1.tar.gz.age",
            "0000000001-0000000064..tar.gz.age",
            "0000000001-64.1.tar.gz.age",
            "0000000064-0000000001.1.tar.gz.age",
        ] {
            assert_eq!(extent_of(other), None, "{other}");
        }
    }
}
