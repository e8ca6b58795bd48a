//! Room for what is too large for memory: small things stay in memory, large ones go to a file without a name, which
//! the system removes even if this process is killed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Limits;
use crate::domain::{Error, Kind, Result};

/// When to look for room again: others' packs come to an end.
const ROOM_AGAIN: Duration = Duration::from_mins(1);

/// Scratch that is being filled.
pub(super) struct Writer {
    data: Data,
    length: u64,
    in_memory: usize,
    folder: PathBuf,
}

enum Data {
    Memory(Vec<u8>),
    File(File),
}

impl Writer {
    pub fn new(limits: &Limits) -> Self {
        let folder = limits.scratch_dir.clone().unwrap_or_else(std::env::temp_dir);
        Self { data: Data::Memory(Vec::new()), length: 0, in_memory: limits.memory_scratch, folder }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.store(bytes).map_err(|error| failed(&self.folder, &error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Data::Memory(memory) = &mut self.data {
            if memory.len() + bytes.len() <= self.in_memory {
                memory.extend_from_slice(bytes);
                return Ok(());
            }
            let mut file = tempfile::tempfile_in(&self.folder)?;
            file.write_all(memory)?;
            self.data = Data::File(file);
        }
        match &mut self.data {
            Data::File(file) => file.write_all(bytes),
            Data::Memory(_) => unreachable!("replaced by a file above"),
        }
    }

    pub fn finish(self) -> Scratch {
        Scratch { data: Arc::new(self.data), length: self.length }
    }
}

/// Scratch that is complete. Gone with its last clone and reader.
#[derive(Clone)]
pub(super) struct Scratch {
    data: Arc<Data>,
    length: u64,
}

impl Scratch {
    pub fn len(&self) -> u64 {
        self.length
    }

    /// The bytes at `offset`: at most `most`, fewer only at the end. `buffer` holds them unless they are in memory.
    pub fn at<'a>(&'a self, offset: u64, most: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let available = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = most.min(available);
        match &*self.data {
            Data::Memory(memory) => {
                let start = memory.len() - available;
                Ok(&memory[start..start + count])
            }
            Data::File(file) => {
                if buffer.len() < count {
                    buffer.resize(count, 0);
                }
                file.read_exact_at(&mut buffer[..count], offset)
                    .map_err(|error| Error::misconfigured("reading a temporary file back failed").detail(error))?;
                Ok(&buffer[..count])
            }
        }
    }

    /// Reads it from the beginning.
    pub fn reader(&self) -> Reader {
        Reader { scratch: self.clone(), position: 0 }
    }
}

/// Reads received data from its beginning to its end. Keeps the data alive by itself.
pub struct Reader {
    scratch: Scratch,
    position: u64,
}

impl Reader {
    /// Bytes in total, those already read included.
    pub fn len(&self) -> u64 {
        self.scratch.length
    }

    /// There is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &*self.scratch.data {
            Data::Memory(memory) => {
                let start = usize::try_from(self.position).map_or(memory.len(), |start| start.min(memory.len()));
                (&memory[start..]).read(out)?
            }
            Data::File(file) => file.read_at(out, self.position)?,
        };
        self.position += count as u64;
        Ok(count)
    }
}

fn failed(folder: &Path, error: &io::Error) -> Error {
    let folder = folder.display();
    let failure = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::new(
            Kind::Busy { retry_after: Some(ROOM_AGAIN) },
            format!("no room left for temporary files in {folder}"),
        ),
        _ => Error::misconfigured(format!("writing a temporary file in {folder} failed")),
    };
    failure
        .hint("Free space there, or set git.scratch_dir to a folder with room for the largest repository.")
        .detail(error)
}
