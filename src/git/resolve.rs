//! The second pass: deltas become objects, from every base down to its last descendant, on several threads.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Limits;
use super::delta;
use super::inflate::Inflater;
use super::ingest::{Gauge, damaged};
use super::links::{Collector, Links};
use super::objects::{self, Id, Kind, NONE, Objects};
use super::scratch::Scratch;
use crate::domain::{Error, Result};

/// Resolved ids are written down in batches, for the table has one lock.
const BATCH: usize = 256;

/// Gives every delta its id. Returns the parents of the commits among them.
pub(super) fn resolve<const N: usize>(
    objects: &mut Objects<N>,
    pack: &Scratch,
    links: &Links<N>,
    limits: &Limits,
    gauge: &Gauge,
) -> Result<Vec<(u32, Id<N>)>> {
    let deltas = objects.entries.iter().filter(|entry| entry.kind.is_delta()).count();
    if deltas == 0 {
        return Ok(Vec::new());
    }
    objects.waiting.sort_unstable();
    let ids = Mutex::new(std::mem::take(&mut objects.ids));
    let families = Families::new(objects);
    let roots = families.roots(&lock(&ids));
    let shared = Shared {
        families,
        pack,
        links,
        gauge,
        ids,
        roots,
        next_root: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        max_object: limits.max_object,
    };
    let parents = run(&shared, threads(limits, shared.roots.len()))?;
    let ids = shared.ids.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((base, _)) = objects.waiting.iter().find(|(_, delta)| ids[*delta as usize] == [0; N]) {
        let base = objects::hex(base);
        return Err(damaged(format!("it is thin: it has a delta for {base}, but not that object itself")));
    }
    if ids.contains(&[0; N]) {
        return Err(damaged("it has deltas without a base"));
    }
    objects.ids = ids;
    Ok(parents)
}

fn threads(limits: &Limits, work: usize) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if limits.threads == 0 { available() } else { limits.threads };
    threads.min(work).max(1)
}

fn run<const N: usize>(shared: &Shared<'_, N>, threads: usize) -> Result<Vec<(u32, Id<N>)>> {
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| Worker::new(shared).run())).collect();
        workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let mut parents = Vec::new();
    for result in results {
        parents.extend(result.map_err(|_| Error::bug("a thread that resolves deltas panicked"))??);
    }
    Ok(parents)
}

/// Which deltas are made from which entry.
struct Families<'a, const N: usize> {
    objects: &'a Objects<N>,
    /// By entry: the first delta that names it by offset, and the next one with the same base.
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
    /// By entry: itself and all that is made from it, as far as bases are named by offset.
    sizes: Vec<u32>,
}

impl<'a, const N: usize> Families<'a, N> {
    fn new(objects: &'a Objects<N>) -> Self {
        let mut first_child = vec![NONE; objects.len()];
        let mut next_sibling = vec![NONE; objects.len()];
        let mut sizes = vec![1; objects.len()];
        // Backwards: a delta comes after its base, so that its own size is complete.
        for (number, entry) in objects.entries.iter().enumerate().rev().filter(|(_, entry)| entry.base != NONE) {
            let child = u32::try_from(number).expect("packs count in 32 bits");
            next_sibling[number] = std::mem::replace(&mut first_child[entry.base as usize], child);
            sizes[entry.base as usize] += sizes[number];
        }
        Self { objects, first_child, next_sibling, sizes }
    }

    /// Whole objects that deltas are made from, the largest families first, so that no thread is left with one at the end.
    fn roots(&self, ids: &[Id<N>]) -> Vec<u32> {
        let has_children = |number: u32| {
            self.first_child[number as usize] != NONE || !self.waiting_for(&ids[number as usize]).is_empty()
        };
        let mut roots: Vec<u32> = (0..)
            .zip(&self.objects.entries)
            .filter(|(number, entry)| !entry.kind.is_delta() && has_children(*number))
            .map(|(number, _)| number)
            .collect();
        roots.sort_unstable_by_key(|&root| std::cmp::Reverse(self.sizes[root as usize]));
        roots
    }

    /// The deltas made from an object, the one with the largest family first.
    fn children(&self, number: u32, id: &Id<N>) -> Vec<u32> {
        let mut children: Vec<u32> = self.waiting_for(id).iter().map(|(_, delta)| *delta).collect();
        let mut child = self.first_child[number as usize];
        while child != NONE {
            children.push(child);
            child = self.next_sibling[child as usize];
        }
        if children.len() > 1 {
            children.sort_unstable_by_key(|&child| std::cmp::Reverse(self.sizes[child as usize]));
        }
        children
    }

    /// Deltas that name their base by this id.
    fn waiting_for(&self, id: &Id<N>) -> &[(Id<N>, u32)] {
        let waiting = &self.objects.waiting;
        if waiting.is_empty() {
            return &[];
        }
        let start = waiting.partition_point(|(base, _)| base < id);
        let count = waiting[start..].partition_point(|(base, _)| base == id);
        &waiting[start..start + count]
    }
}

/// What all threads work on.
struct Shared<'a, const N: usize> {
    families: Families<'a, N>,
    pack: &'a Scratch,
    links: &'a Links<N>,
    gauge: &'a Gauge,
    ids: Mutex<Vec<Id<N>>>,
    roots: Vec<u32>,
    next_root: AtomicUsize,
    failed: AtomicBool,
    max_object: u64,
}

/// An object whose deltas are being resolved.
struct Frame {
    data: Vec<u8>,
    /// Those still to come, taken from the end.
    children: Vec<u32>,
}

struct Worker<'a, const N: usize> {
    shared: &'a Shared<'a, N>,
    inflater: Inflater,
    collector: Collector<'a, N>,
    delta: Vec<u8>,
    done: Vec<(u32, Id<N>)>,
}

impl<'a, const N: usize> Worker<'a, N> {
    fn new(shared: &'a Shared<'a, N>) -> Self {
        Self {
            shared,
            inflater: Inflater::new(),
            collector: Collector::new(shared.links),
            delta: Vec::new(),
            done: Vec::with_capacity(BATCH),
        }
    }

    /// Takes one root after the other, until there are none or a thread has failed.
    fn run(mut self) -> Result<Vec<(u32, Id<N>)>> {
        while !self.shared.failed.load(Relaxed)
            && let Some(&root) = self.shared.roots.get(self.shared.next_root.fetch_add(1, Relaxed))
        {
            if let Err(error) = self.family(root) {
                self.shared.failed.store(true, Relaxed);
                return Err(error);
            }
        }
        self.write_down()?;
        Ok(self.collector.into_parents())
    }

    /// Depth first. An object's bytes are let go before its last delta is gone into, which has the largest family: so
    /// no more objects are held at a time than the family's size has binary digits.
    fn family(&mut self, root: u32) -> Result<()> {
        let kind = self.shared.families.objects.entries[root as usize].kind;
        let id = lock(&self.shared.ids)[root as usize];
        let mut data = Vec::new();
        self.inflate(root, &mut data)?;
        let mut stack = vec![Frame { data, children: self.shared.families.children(root, &id) }];
        while let Some(frame) = stack.last_mut() {
            let Some(child) = frame.children.pop() else {
                stack.pop();
                continue;
            };
            let mut delta = std::mem::take(&mut self.delta);
            self.inflate(child, &mut delta)?;
            let mut data = Vec::new();
            delta::apply(&frame.data, &delta, self.shared.max_object, &mut data)?;
            self.delta = delta;
            if frame.children.is_empty() {
                stack.pop();
            }
            let id = self.object(child, kind, &data)?;
            let children = self.shared.families.children(child, &id);
            if !children.is_empty() {
                stack.push(Frame { data, children });
            }
        }
        Ok(())
    }

    fn object(&mut self, number: u32, kind: Kind, data: &[u8]) -> Result<Id<N>> {
        let id = objects::object_id::<N>(kind, data)?;
        self.collector.collect(number, kind, data)?;
        self.done.push((number, id));
        if self.done.len() == BATCH {
            self.write_down()?;
        }
        Ok(id)
    }

    fn write_down(&mut self) -> Result<()> {
        let mut ids = lock(&self.shared.ids);
        for (number, id) in self.done.drain(..) {
            let slot = &mut ids[number as usize];
            if *slot != [0; N] {
                return Err(damaged(format!("it holds the base of {} twice", objects::hex(&id))));
            }
            *slot = id;
            self.shared.gauge.indexed.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn inflate(&mut self, number: u32, out: &mut Vec<u8>) -> Result<()> {
        let (offset, length) = self.shared.families.objects.extent(number);
        self.inflater.entry::<N>(self.shared.pack, offset, length, out)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
