//! `refward init`: a folder that is usable at once.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, output};
use crate::catalog::Catalog;
use crate::config::{self, Settings};
use crate::domain::{Error, Result};
use crate::vault::Vault;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder; made if it is not there. Nothing in it is overwritten.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let made = init(&args.dir).await?;
    let answer = json!({ "settings": made.settings, "recovery_kit": made.recovery_kit });
    output::print(context.json, &answer, |_| {
        format!(
            "Ready in {}.\n\n  {}\n\nPrint the recovery kit, keep it offline, then delete the file: it opens the vault when this machine is gone.\n\nNext:\n  cd {}\n  refward connect github --help\n  refward serve",
            args.dir.display(),
            made.recovery_kit.display(),
            args.dir.display()
        )
    })
}

/// What was made.
pub(super) struct Made {
    /// `refward.toml`
    pub(super) settings: PathBuf,
    /// `recovery-kit.txt`
    pub(super) recovery_kit: PathBuf,
}

/// Makes settings, keys, vault, database and recovery kit. Refuses if any of them is there.
pub(super) async fn init(dir: &Path) -> Result<Made> {
    let made = Made { settings: dir.join("refward.toml"), recovery_kit: dir.join("recovery-kit.txt") };
    for name in ["refward.toml", "refward.db", "recovery-kit.txt", "vault", "keys"] {
        if dir.join(name).exists() {
            return Err(Error::bad_request(format!(
                "{} is there already; nothing was changed",
                dir.join(name).display()
            ))
            .hint("choose another folder with --dir"));
        }
    }
    std::fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))?;
    write_new(&made.settings, config::DEFAULT)?;
    let settings = Settings::load(&made.settings)?;
    Vault::found(&settings.vault, &settings.keys, &made.recovery_kit).await?;
    Catalog::connect(&settings.database).await?;
    Ok(made)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &std::io::Error) -> Error {
    Error::misconfigured(format!("cannot write {}: {error}", path.display()))
}
