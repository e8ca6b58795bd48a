//! From a chain of sealed snapshots to the packs of one repository.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Source;
use crate::domain::{Error, Extent, Result, Seq};
use crate::git::{self, Joiner};
use crate::vault::{Extracted, Parent, Progress, object_name};

/// Vault objects read at a time.
const AT_A_TIME: usize = 8;

/// Reads every object up to the one that holds `until` into `packs`, an `objects/pack` folder, and checks that each is the
/// one that its successor follows; small packs become few. Says how many packs were read.
pub async fn assemble(
    source: &Source,
    until: Seq,
    packs: &Path,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<usize> {
    // Many packs are indexed at a time, so each gets along with one thread.
    let limits = &git::Limits { threads: 1, ..source.limits.clone() };
    let cover = source.vault.cover(&source.repo).await?;
    let objects = cover.through(until)?;
    // Owned: with borrowed items the compiler does not see that a worker may carry this across threads.
    let reads = stream::iter(objects.to_vec()).map(|stored| async move {
        // Each in a place of its own: two objects may bring the same pack.
        let place = tempfile::Builder::new().prefix(".reading-").tempdir_in(packs);
        let place = place.map_err(|error| cannot(packs, &error))?;
        let found = source.vault.extract(&source.repo, &stored.extent, place.path()).await?;
        let small = match (&found.pack, &found.index) {
            // Small packs travel without their index, and are joined.
            (Some(file), None) => Some(git::read_pack(file, found.record.object_format, limits).await?),
            (pack, index) => {
                // The index last: git takes a pack for present when it sees the index.
                for file in pack.iter().chain(index) {
                    let name = file.file_name().unwrap_or_default();
                    std::fs::rename(file, packs.join(name)).map_err(|error| cannot(packs, &error))?;
                }
                None
            }
        };
        Ok::<_, Error>((found, small))
    });
    // As they come: the first snapshot is by far the largest, and hundreds of small ones are done beside it.
    let mut reads = reads.buffer_unordered(AT_A_TIME);
    let (mut links, mut count, mut joiner) = (BTreeMap::new(), 0, None);
    while let Some((found, small)) = reads.try_next().await? {
        if let Some(pack) = small {
            let joiner = joiner.get_or_insert_with(|| Joiner::new(packs, found.record.object_format, limits));
            joiner.add(&pack)?;
        }
        links.insert(found.record.extent(), Link::of(&found));
        count += usize::from(found.pack.is_some());
        progress(Progress { done: links.len() as u64, total: objects.len() as u64 });
    }
    check(source, &links)?;
    joiner.map_or(Ok(()), Joiner::finish)?;
    Ok(count)
}

/// What an object says of its place in the chain.
struct Link {
    sha256: [u8; 32],
    before: Option<Parent>,
    end: Parent,
}

impl Link {
    fn of(found: &Extracted) -> Self {
        let (record, sealed) = (&found.record, found.sealed);
        Self { sha256: sealed.sha256, before: record.before(), end: record.end(sealed) }
    }
}

/// Each object must be the one that was written, and follow the one before it.
fn check(source: &Source, links: &BTreeMap<Extent, Link>) -> Result<()> {
    let name = |extent: &Extent| object_name(&source.repo, extent);
    let mut previous: Option<(&Extent, &Link)> = None;
    for (extent, link) in links {
        if source.known.get(extent).is_some_and(|sha256| *sha256 != link.sha256) {
            return Err(Error::damaged(format!("{} is not the object that was written", name(extent)))
                .hint("restore an earlier snapshot by its number: --at SEQ"));
        }
        if link.before != previous.map(|(_, before)| before.end) {
            let before = previous.map(|(before, _)| name(before)).unwrap_or_default();
            return Err(Error::damaged(format!(
                "{} does not follow {before}: one of the two was replaced",
                name(extent)
            ))
            .hint("run `refward verify REPO --read-data` to see which"));
        }
        previous = Some((extent, link));
    }
    Ok(())
}

fn cannot(folder: &Path, error: &std::io::Error) -> Error {
    Error::misconfigured(format!("cannot restore into {}: {error}", folder.display()))
}
