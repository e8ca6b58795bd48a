//! Receiving a pack: while it streams in, every entry is parsed, inflated and summed up (here); then its deltas are
//! resolved ([`super::resolve`]), its index is written ([`super::index`]) and what it leans on is found
//! ([`super::links`]). Nothing is accepted before all of them agree.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::io::ReaderStream;

use super::inflate::Inflater;
use super::input::{Input, Piece};
use super::links::{Collector, Links};
use super::objects::{self, Entry, Kind, NONE, Objects};
use super::pack::{Contents, Pack};
use super::session::Question;
use super::side_band::SideBand;
use super::{Limits, Progress, resolve, scratch};
use crate::domain::{Error, ObjectFormat, ObjectId, Result};

/// Bytes of a pack's header.
pub(super) const HEADER: usize = 12;

/// Commits, trees and tags are read as a whole; nothing sensible is larger.
const LARGEST_STRUCTURED: u64 = 512 << 20;

/// Pieces (of at most 64 KiB) between the connection and the thread that reads them.
const QUEUE: usize = 32;

/// Bytes of a file that are read at once: each read goes to another thread.
const FILE_PIECE: usize = 64 << 10;

/// How far things are, for whoever watches.
#[derive(Default)]
pub(super) struct Gauge {
    pub bytes: AtomicU64,
    pub indexed: AtomicU64,
    pub objects: AtomicU64,
}

impl Gauge {
    fn read(&self) -> Progress {
        Progress {
            bytes: self.bytes.load(Relaxed),
            indexed: self.indexed.load(Relaxed),
            objects: self.objects.load(Relaxed),
        }
    }
}

/// Takes the pack from the connection to scratch.
pub(super) async fn receive(
    stream: SideBand,
    format: ObjectFormat,
    limits: &Limits,
    question: &Question<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Pack> {
    let (sender, receiver) = channel(QUEUE);
    let gauge = Arc::new(Gauge::default());
    let job = Job {
        limits: limits.clone(),
        gauge: Arc::clone(&gauge),
        wants: question.wants.to_vec(),
        complete: question.haves.is_empty(),
    };
    let work = tokio::task::spawn_blocking(move || job.work(format, receiver));
    let report = async {
        let mut ticker = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticker.tick().await;
            progress(gauge.read());
        }
    };
    let (fed, worked) = tokio::select! {
        both = async { tokio::join!(feed(stream, sender), work) } => both,
        () = report => unreachable!("it reports until the work is done"),
    };
    let worked = worked.map_err(|error| Error::bug("indexing a pack stopped unexpectedly").detail(error))?;
    progress(gauge.read());
    // The connection's own error says more than the reader's "it ended".
    fed.and(worked)
}

/// Reads a pack that lies in a file already, with the same checks.
pub(super) async fn reread(file: &Path, format: ObjectFormat, limits: &Limits) -> Result<Pack> {
    let failed = |error| Error::misconfigured(format!("cannot read {}: {error}", file.display()));
    let (sender, receiver) = channel(QUEUE);
    let job = Job { limits: limits.clone(), gauge: Arc::default(), wants: Vec::new(), complete: false };
    let work = tokio::task::spawn_blocking(move || job.work(format, receiver));
    let mut stream = ReaderStream::with_capacity(tokio::fs::File::open(file).await.map_err(failed)?, FILE_PIECE);
    while let Some(bytes) = stream.next().await {
        if sender.send(Piece::Bytes(bytes.map_err(failed)?)).await.is_err() {
            break;
        }
    }
    // As above: a reader that has gone has its own error to tell.
    let _ = sender.send(Piece::End).await;
    work.await.map_err(|error| Error::bug("indexing a pack stopped unexpectedly").detail(error))?
}

/// Owns the sender, so that the reader learns of the connection's end however that comes about.
async fn feed(mut stream: SideBand, sender: Sender<Piece>) -> Result<()> {
    while let Some(bytes) = stream.next().await? {
        if sender.send(Piece::Bytes(bytes)).await.is_err() {
            return Ok(());
        }
    }
    // A reader that has gone has its own error to tell.
    let _ = sender.send(Piece::End).await;
    Ok(())
}

/// Everything that the indexing thread needs.
struct Job {
    limits: Limits,
    gauge: Arc<Gauge>,
    wants: Vec<ObjectId>,
    /// Nothing may be missing: there is no earlier pack to lean on.
    complete: bool,
}

impl Job {
    fn work(self, format: ObjectFormat, pieces: Receiver<Piece>) -> Result<Pack> {
        match format {
            ObjectFormat::Sha1 => self.run::<20>(pieces),
            ObjectFormat::Sha256 => self.run::<32>(pieces),
        }
    }

    fn run<const N: usize>(self, pieces: Receiver<Piece>) -> Result<Pack> {
        let links = Links::<N>::new();
        let mut collector = Collector::new(&links);
        for want in &self.wants {
            collector.add(want.as_bytes().try_into().expect("the session compared formats"));
        }
        let input = Input::<N>::new(pieces, scratch::Writer::new(&self.limits), &self.gauge);
        let scan = Scan { input, inflater: Inflater::new(), collector, max_object: self.limits.max_object };
        let (mut objects, received, mut parents) = scan.run(&self.gauge)?;
        parents.extend(resolve::resolve(&mut objects, &received.scratch, &links, &self.limits, &self.gauge)?);
        Contents { objects, links, parents }.into_pack(received, self.complete, &self.limits)
    }
}

/// A pack that has been read to its end.
pub(super) struct Received<const N: usize> {
    pub scratch: scratch::Scratch,
    pub checksum: objects::Id<N>,
    pub sha256: [u8; 32],
}

/// What [`Scan::run`] leaves: the table, the bytes, and parents of commits.
type Scanned<const N: usize> = (Objects<N>, Received<N>, Vec<(u32, objects::Id<N>)>);

/// The first pass, at the speed of the connection.
struct Scan<'a, const N: usize> {
    input: Input<'a, N>,
    inflater: Inflater,
    collector: Collector<'a, N>,
    max_object: u64,
}

impl<const N: usize> Scan<'_, N> {
    fn run(mut self, gauge: &Gauge) -> Result<Scanned<N>> {
        let count = object_count(&self.input.array()?)?;
        gauge.objects.store(u64::from(count), Relaxed);
        let mut objects = Objects::with_room_for(count);
        let mut out = vec![0; 64 << 10];
        let mut structured = Vec::new();
        for number in 0..count {
            self.entry(number, &mut objects, &mut out, &mut structured)?;
            if !objects.entries[number as usize].kind.is_delta() {
                gauge.indexed.fetch_add(1, Relaxed);
            }
        }
        objects.end = self.input.position();
        let (checksum, sha256, scratch) = self.input.finish()?;
        Ok((objects, Received { scratch, checksum, sha256 }, self.collector.into_parents()))
    }

    /// Parses one entry and inflates it, if only to find its end.
    fn entry(&mut self, number: u32, objects: &mut Objects<N>, out: &mut [u8], structured: &mut Vec<u8>) -> Result<()> {
        let offset = self.input.position();
        self.input.start_crc();
        let (kind, size) = objects::entry_header(|| self.input.byte())?;
        let structure = matches!(kind, Kind::Commit | Kind::Tree | Kind::Tag);
        let limit = if structure { self.max_object.min(LARGEST_STRUCTURED) } else { self.max_object };
        if size > limit {
            return Err(too_large(size, limit));
        }
        let mut base = NONE;
        match kind {
            Kind::OffsetDelta => {
                let distance = objects::base_distance(|| self.input.byte())?;
                let found = offset.checked_sub(distance).and_then(|offset| objects.find(offset));
                base = found.ok_or_else(|| damaged("a delta points to where no object begins"))?;
            }
            Kind::RefDelta => objects.waiting.push((self.input.array()?, number)),
            Kind::Commit | Kind::Tree | Kind::Blob | Kind::Tag => {}
        }

        let mut hasher = (!kind.is_delta()).then(|| objects::object_hasher::<N>(kind, size));
        structured.clear();
        self.inflater.reset();
        loop {
            let (consumed, produced, done) = self.inflater.step(self.input.available()?, out)?;
            self.input.consume(consumed);
            if self.inflater.produced() > size {
                return Err(damaged("an object is larger than it says"));
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&out[..produced]);
            }
            if structure {
                structured.extend_from_slice(&out[..produced]);
            }
            if done {
                break;
            }
        }
        if self.inflater.produced() != size {
            return Err(damaged("an object is smaller than it says"));
        }
        if structure {
            self.collector.collect(number, kind, structured)?;
        }
        objects.entries.push(Entry { offset, crc: self.input.crc(), base, kind });
        objects.ids.push(hasher.map_or(Ok([0; N]), objects::finalize)?);
        Ok(())
    }
}

/// Checks a pack's first bytes; the number of objects that it announces.
pub(super) fn object_count(header: &[u8; HEADER]) -> Result<u32> {
    let (signature, rest) = header.split_at(4);
    let (version, count) = rest.split_at(4);
    if signature != b"PACK" || !matches!(version, [0, 0, 0, 2 | 3]) {
        return Err(damaged("it does not begin like a pack"));
    }
    let count = u32::from_be_bytes(count.try_into().expect("the header has twelve bytes"));
    if count == NONE { Err(damaged("it claims an impossible number of objects")) } else { Ok(count) }
}

/// What came over the wire is not a sound pack. Asking again may help, so this is the other side's failure.
pub(super) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::remote(format!("the pack that the git server sent is damaged: {what}"))
}

pub(super) fn too_large(size: u64, limit: u64) -> Error {
    Error::misconfigured(format!("an object of {size} bytes is larger than allowed ({limit})"))
        .hint("If it belongs there, raise git.max_object.")
}
