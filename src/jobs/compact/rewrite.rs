//! Making one consolidated snapshot of several objects.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Compaction, Plan, dropping_before};
use crate::catalog::{Drop, Retold, StoredSpan};
use crate::domain::{Error, Extent, Head, ObjectId, RefState, Result, Seq};
use crate::git::{self, Pack, bare, program};
use crate::jobs::sync_repo::{pack_entry, pack_source};
use crate::vault::{Appended, Held, Record, Sealed, Stored, consolidate, object_name};

/// Objects read from the vault at a time.
const AT_A_TIME: usize = 4;

impl Compaction<'_> {
    /// Writes it. What it stands for stays as it is.
    pub(super) async fn rewrite(&self, plan: &Plan) -> Result<()> {
        let scratch = self.source.scratch()?;
        let folder = scratch.path().join("objects.git");
        let objects = self.gather(plan, &folder).await?;
        let gone = plan.gone(&objects);
        let before = self.state_before(plan, &objects).await?;
        let rewriting = plan.extent.rewriting;
        let joined = consolidate(&objects, &gone, rewriting, before.as_ref(), None)?;
        let (format, limits) = (joined.object_format, &self.source.limits);
        let pack = if gone.is_empty() {
            program::join(&folder, format, limits).await?
        } else {
            program::keep(&folder, &tips(&joined), format, limits).await?
        };
        drop(scratch);
        let entry = pack.as_ref().map(|pack| pack_entry(pack, &self.services.vault)).transpose()?;
        let record = Record { pack: entry, ..joined };
        // A catalog that was made anew meanwhile has them back, and new snapshots may lean on them.
        let points = self.services.catalog.sealed(&self.repository.id).await?;
        if points.iter().any(|(seq, _)| gone.contains(seq)) {
            return Err(Error::busy("the catalog was rebuilt while snapshots were joined"));
        }
        self.append(&record, pack.as_ref()).await
    }

    /// Lays the objects' packs out in a bare repository, each on its own, so that git looks for deltas between them.
    async fn gather(&self, plan: &Plan, folder: &Path) -> Result<Vec<Held>> {
        let (vault, repo) = (&self.services.vault, &self.repository.id);
        let known = self.services.catalog.expected(repo).await?;
        bare::create(folder, &self.format(plan).await?)?;
        let packs = &folder.join("objects/pack");
        let limits = &git::Limits { threads: 1, ..self.source.limits.clone() };
        let extents: Vec<Extent> = plan.objects.iter().map(|stored| stored.extent).collect();
        let reads = stream::iter(extents).map(|extent| async move {
            let found = vault.extract(repo, &extent, packs).await?;
            if let (Some(file), None) = (&found.pack, &found.index) {
                let pack = git::read_pack(file, found.record.object_format, limits).await?;
                write_index(&pack, &file.with_extension("idx"))?;
            }
            Ok::<_, Error>(Held { record: found.record, sealed: found.sealed })
        });
        let objects: Vec<Held> = reads.buffered(AT_A_TIME).try_collect().await?;
        for (stored, object) in plan.objects.iter().zip(&objects) {
            let expected = known.iter().find(|known| known.extent == stored.extent);
            if expected.is_some_and(|known| known.sha256 != object.sealed.sha256) {
                return Err(Error::damaged(format!(
                    "{} is not the object that was written",
                    object_name(repo, &stored.extent)
                ))
                .hint("run `refward verify REPO --read-data`"));
            }
        }
        Ok(objects)
    }

    async fn format(&self, plan: &Plan) -> Result<RefState> {
        let record = self.services.vault.record(&self.repository.id, &plan.objects[0].extent).await?;
        Ok(RefState { object_format: record.object_format, ..RefState::default() })
    }

    /// Every reference before the range, where its first object does not tell.
    async fn state_before(&self, plan: &Plan, objects: &[Held]) -> Result<Option<RefState>> {
        let first = &objects[0].record;
        if first.span.is_some() || first.is_checkpoint() {
            return Ok(None);
        }
        self.services.vault.state_before(&self.repository.id, plan.extent.from).await
    }

    /// Records alone tell what a point moves when those before it are dropped.
    pub(super) async fn drop_from_catalog(&self, plan: &Plan) -> Result<()> {
        let (vault, repo) = (&self.services.vault, &self.repository.id);
        let known = self.services.catalog.expected(repo).await?;
        let mut objects = Vec::new();
        for Stored { extent, bytes } in &plan.objects {
            let expected = known.iter().find(|known| known.extent == *extent);
            let sealed = match expected {
                Some(known) => Sealed { sha256: known.sha256, bytes: *bytes },
                // It was dropped before, by a run that died.
                None => vault.hash(repo, extent).await?,
            };
            objects.push(Held { record: vault.record(repo, extent).await?, sealed });
        }
        let gone = plan.gone(&objects);
        let joined = consolidate(&objects, &gone, plan.extent.rewriting, None, None)?;
        let told = told(&objects);
        let follows_a_gap = |seq: &Seq| told.range(..seq).next_back().is_some_and(|before| gone.contains(before));
        let earlier = joined.span.iter().flat_map(|span| &span.points).map(|held| &held.record);
        let after_a_gap = earlier.chain([&joined]).filter(|record| follows_a_gap(&record.seq));
        let retold = after_a_gap.map(|record| {
            let (changes, actors) = (record.changes.clone(), record.trigger.actors.clone());
            Retold { seq: record.seq, changes, actors }
        });
        let (last, before) = (plan.last, plan.before);
        // Reading took its time.
        let still = match dropping_before(self.services).await? {
            Some(_) => self.leaving(last, Some(before)).await?,
            None => BTreeSet::new(),
        };
        if !plan.leaving.is_subset(&still) {
            return Err(Error::busy("recovery points are kept after all"));
        }
        let what = Drop { repo, last, points: &plan.leaving, before, retold: retold.collect() };
        self.services.catalog.drop_points(what).await?;
        tracing::info!(repository = self.repository.full_name, points = plan.leaving.len(), "recovery points dropped");
        Ok(())
    }

    async fn append(&self, record: &Record, pack: Option<&Pack>) -> Result<()> {
        let source = pack.zip(record.pack.as_ref()).map(|(pack, entry)| pack_source(pack, entry));
        match self.services.vault.append(record, source).await? {
            Appended::Written(sealed) => {
                let (repository, bytes) = (&self.repository.full_name, sealed.bytes);
                tracing::info!(step = "joined", repository, bytes, "{} written together", record.extent());
                metrics::counter!("refward_rewritten_bytes_total").increment(sealed.bytes);
                Ok(())
            }
            // Whoever wrote it was taken for dead, as we may be now: the next run takes it over.
            Appended::Occupied => Err(Error::busy("another worker has joined the same snapshots")),
        }
    }

    /// Records a consolidated snapshot, having read it whole from the store. What it must hold was made sure of before it
    /// was sealed: the signature covers the hash of the pack, and the pack was compared with what it was made from.
    pub(super) async fn take_over(&self, extent: &Extent) -> Result<()> {
        let (vault, repo) = (&self.services.vault, &self.repository.id);
        let scratch = self.source.scratch()?;
        let found = vault.extract(repo, extent, scratch.path()).await?;
        drop(scratch);
        let points = found.record.points(found.sealed).len();
        let pack = found.record.pack.as_ref();
        let span = StoredSpan {
            extent: *extent,
            sha256: found.sealed.sha256,
            stored_bytes: found.sealed.bytes,
            pack_bytes: pack.map_or(0, |pack| pack.bytes),
            objects: pack.map_or(0, |pack| pack.objects),
            points: u32::try_from(points).unwrap_or(u32::MAX),
        };
        let cover = vault.cover(repo).await?;
        if !cover.live.iter().any(|stored| stored.extent == *extent) {
            return Err(Error::busy("another worker has joined more meanwhile"));
        }
        self.services.catalog.consolidated(repo, &span, &self.superseded(&cover, extent)).await
    }
}

impl Plan {
    /// What is told by objects and is to be told no more.
    fn gone(&self, objects: &[Held]) -> BTreeSet<Seq> {
        told(objects).into_iter().filter(|seq| self.leaving.contains(seq) || !self.points.contains(seq)).collect()
    }
}

fn told(objects: &[Held]) -> BTreeSet<Seq> {
    objects.iter().flat_map(|object| object.record.points(object.sealed)).map(|held| held.record.seq).collect()
}

fn write_index(pack: &Pack, path: &Path) -> Result<()> {
    let written = match File::create_new(path) {
        // What was dropped and pushed again may have come in the very same pack.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        created => created.and_then(|mut file| std::io::copy(&mut pack.index(), &mut file)),
    };
    let failed = |error| Error::misconfigured(format!("cannot write {}: {error}", path.display()));
    written.map(drop).map_err(failed)
}

/// Whatever a reference pointed at in any of its points. Each of them brings all that it reaches.
fn tips(record: &Record) -> Vec<ObjectId> {
    let earlier = record.span.iter().flat_map(|span| &span.points).map(|held| &held.record);
    let mut tips = BTreeSet::new();
    for record in earlier.chain([record]) {
        tips.extend(record.refs.iter().flatten().map(|(_, id)| *id));
        tips.extend(record.changes.iter().filter_map(|change| change.new));
        tips.extend(record.head.iter().filter_map(|head| match head {
            Head::Detached(id) => Some(*id),
            Head::Symbolic(_) => None,
        }));
    }
    tips.into_iter().collect()
}
