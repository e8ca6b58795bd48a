//! Writing a bare repository by hand: with the packs and indexes at hand there is nothing that git would have to work
//! out, and a hundred thousand references are one file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::domain::{Error, Head, ObjectFormat, ObjectId, RefState, Result};

/// Branch that `HEAD` names where the server did not say.
const DEFAULT_HEAD: &str = "ref: refs/heads/main";

/// Makes a bare repository with these references in `folder`, which must be empty or missing. Its packs go to
/// [`pack_path`]; git reads it as soon as they are there.
pub fn create(folder: &Path, state: &RefState) -> Result<()> {
    refuse_occupied(folder)?;
    write_all(folder, state).map_err(|error| failed(folder, &error))
}

/// Where a bare repository keeps the file of a pack: `extension` is `pack` or `idx`.
pub fn pack_path(folder: &Path, checksum: &ObjectId, extension: &str) -> PathBuf {
    folder.join("objects/pack").join(format!("pack-{checksum}.{extension}"))
}

fn write_all(folder: &Path, state: &RefState) -> io::Result<()> {
    for part in ["objects/pack", "objects/info", "refs/heads", "refs/tags"] {
        fs::create_dir_all(folder.join(part))?;
    }
    fs::write(folder.join("config"), config(state.object_format))?;
    write_packed_refs(&folder.join("packed-refs"), state)?;
    // Last, because without it git sees no repository.
    let head = state.head.as_ref().map_or_else(|| DEFAULT_HEAD.to_owned(), Head::to_string);
    fs::write(folder.join("HEAD"), format!("{head}\n"))
}

fn config(format: ObjectFormat) -> &'static str {
    match format {
        ObjectFormat::Sha1 => "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n",
        ObjectFormat::Sha256 => {
            "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n\
             [extensions]\n\tobjectformat = sha256\n"
        }
    }
}

/// The names are sorted as git wants them: by bytes.
fn write_packed_refs(path: &Path, state: &RefState) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    // Not "peeled": we do not know what tags point at, and git looks it up where it needs to.
    file.write_all(b"# pack-refs with: sorted \n")?;
    for (name, id) in &state.refs {
        writeln!(file, "{id} {name}")?;
    }
    file.flush()
}

fn refuse_occupied(folder: &Path) -> Result<()> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::bad_request(format!("{} is not empty", folder.display()))
                .hint("Name a folder that does not exist yet.")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(folder, &error)),
    }
}

fn failed(folder: &Path, error: &io::Error) -> Error {
    Error::misconfigured(format!("writing a repository to {} failed: {error}", folder.display()))
}
