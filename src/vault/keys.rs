//! The keys: age identities that read, an Ed25519 key that signs.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use age::x25519::Identity;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use ed25519_dalek::{SigningKey, VerifyingKey};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::config;
use crate::domain::{Error, Result};

/// What one installation holds to work with its vault. No `Debug`, no `Clone`: secrets stay where they are.
pub struct Keys {
    pub(super) identities: Vec<Identity>,
    pub(super) signing: Option<SigningKey>,
    /// Known from elsewhere than the store: whoever can write to the store cannot replace it.
    pub(super) pinned: Option<VerifyingKey>,
}

impl Keys {
    /// Reads the key files. A missing identity makes a sealed deployment; a missing signing key is an error.
    pub fn load(settings: &config::Keys) -> Result<Self> {
        let identities = match read(&settings.identity)? {
            Some(text) => parse_identities(&text)
                .map_err(|e| e.while_doing(format!("reading `keys.identity`, {}", settings.identity.display())))?,
            None => Vec::new(),
        };
        let pem = read(&settings.signing)?.ok_or_else(|| missing(&settings.signing, "keys.signing"))?;
        let signing = SigningKey::from_pkcs8_pem(&pem).map_err(|e| {
            let file = settings.signing.display();
            Error::misconfigured(format!("`keys.signing`, {file}, is not an Ed25519 key in PKCS#8 PEM"))
                .hint("put back the file that `refward init` wrote")
                .detail(e)
        })?;
        Ok(Self { identities, pinned: Some(signing.verifying_key()), signing: Some(signing) })
    }

    /// For reading alone, from the text of an identity file or of the recovery kit. The kit also tells which signing
    /// key to trust.
    pub fn reading(text: &SecretString) -> Result<Self> {
        let text = text.expose_secret();
        Ok(Self { identities: parse_identities(text)?, signing: None, pinned: super::recovery_kit::signing_key(text)? })
    }

    /// Without an identity: can write and compare, not read.
    pub fn is_sealed(&self) -> bool {
        self.identities.is_empty()
    }

    pub(super) fn signer(&self) -> Result<&SigningKey> {
        self.signing.as_ref().ok_or_else(|| {
            Error::misconfigured("this vault was opened for reading only: there is no signing key")
                .hint("name the installation's settings file, so that its signing key is found")
        })
    }

    pub(super) fn readers(&self) -> Result<&[Identity]> {
        if self.is_sealed() {
            return Err(Error::misconfigured("this deployment is sealed: it holds no key that opens the vault").hint(
                "run this where the identity file (`keys.identity`) is, or pass the recovery kit as the key file",
            ));
        }
        Ok(&self.identities)
    }
}

/// Keys that were just made. The recovery identity is kept nowhere but in the recovery kit.
pub(super) struct NewKeys {
    pub keys: Keys,
    pub recovery: Identity,
    credentials: Identity,
}

impl NewKeys {
    /// In memory.
    pub fn generate() -> Self {
        let signing = SigningKey::generate(&mut rand_core::OsRng);
        let pinned = Some(signing.verifying_key());
        Self {
            keys: Keys { identities: vec![Identity::generate()], signing: Some(signing), pinned },
            recovery: Identity::generate(),
            credentials: Identity::generate(),
        }
    }

    /// Writes the key files; none of them may exist. The returned guard removes them again unless it is kept.
    pub fn write(&self, paths: &config::Keys) -> Result<NewFiles> {
        let mut files = NewFiles::default();
        let signing = self.keys.signer()?;
        // Without the public half (PKCS#8 version 1): OpenSSL refuses version 2.
        let pkcs8 = KeypairBytes { secret_key: signing.to_bytes(), public_key: None };
        let pem = pkcs8.to_pkcs8_pem(LineEnding::LF).map_err(|e| Error::bug("cannot encode a key").detail(e))?;
        files.write(&paths.identity, &identity_file("opens the vault", &self.keys.identities[0]))?;
        files.write(&paths.signing, &pem)?;
        files.write(&paths.credentials, &identity_file("opens the credentials in the database", &self.credentials))?;
        Ok(files)
    }
}

/// Secret files of one `init`, removed again on drop unless all went well.
#[derive(Default)]
pub(super) struct NewFiles(Vec<PathBuf>);

impl NewFiles {
    /// Mode 0600, never over an existing file, on the disk when this returns.
    pub fn write(&mut self, path: &Path, text: &str) -> Result<()> {
        let failed = |e: std::io::Error| match e.kind() {
            ErrorKind::AlreadyExists => Error::misconfigured(format!("{} exists already", path.display()))
                .hint("keys are never overwritten, because what they sealed would be lost: choose another folder"),
            _ => Error::misconfigured(format!("cannot write {}", path.display())).detail(e),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        self.0.push(path.to_owned());
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // Best effort: a leftover key that opens nothing is harmless, and the next `init` names it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Encrypts the credentials in the database, to a key of its own: the database alone gives nothing away.
#[derive(Clone)]
pub struct CredentialKey(Identity);

impl CredentialKey {
    /// Reads the identity file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read(path)?.ok_or_else(|| missing(path, "keys.credentials"))?;
        let mut identities = parse_identities(&text)
            .map_err(|e| e.while_doing(format!("reading `keys.credentials`, {}", path.display())))?;
        Ok(Self(identities.swap_remove(0)))
    }

    /// For the database.
    pub fn seal(&self, secret: &SecretString) -> Result<Vec<u8>> {
        age::encrypt(&self.0.to_public(), secret.expose_secret().as_bytes())
            .map_err(|e| Error::bug("cannot encrypt a credential").detail(e))
    }

    /// From the database.
    pub fn open(&self, sealed: &[u8]) -> Result<SecretString> {
        let plain = age::decrypt(&self.0, sealed).map(Zeroizing::new).map_err(|e| {
            Error::misconfigured("a credential in the database was not sealed with this credentials key")
                .hint(
                    "put back the file of `keys.credentials` that belongs to this database, or connect the forge again",
                )
                .detail(e)
        })?;
        let text = std::str::from_utf8(&plain).map_err(|e| Error::damaged("a credential is not text").detail(e))?;
        Ok(SecretString::from(text))
    }
}

/// Every `AGE-SECRET-KEY-1…` line; `#` starts a comment, as in age's own files. At least one.
fn parse_identities(text: &str) -> Result<Vec<Identity>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities = lines.map(str::parse).collect::<Result<Vec<Identity>, _>>().map_err(|why| {
        Error::misconfigured(format!("a line is neither a comment nor an AGE-SECRET-KEY-1…: {why}"))
            .hint("an age identity file is expected, or the recovery kit as it was written")
    })?;
    if identities.is_empty() {
        return Err(Error::misconfigured("there is no AGE-SECRET-KEY-1… in the key file")
            .hint("an age identity file is expected, or the recovery kit as it was written"));
    }
    Ok(identities)
}

fn identity_file(purpose: &str, identity: &Identity) -> Zeroizing<String> {
    let public = identity.to_public();
    Zeroizing::new(format!("# refward: {purpose}\n# public key: {public}\n{}\n", identity.to_string().expose_secret()))
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::misconfigured(format!("cannot read the key file {}", path.display())).detail(e)),
    }
}

fn missing(path: &Path, setting: &str) -> Error {
    Error::misconfigured(format!("the key file {} is missing", path.display()))
        .hint(format!("put it back where `{setting}` says, or run `refward init` for a new installation"))
}
