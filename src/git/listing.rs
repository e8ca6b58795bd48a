//! A server's list of references, gathered line by line.

use sha2::{Digest, Sha256};

use crate::domain::{Head, ObjectFormat, ObjectId, RefName, RefState, Result};

/// What a server says its references are.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Every reference that was asked for, and HEAD.
    pub state: RefState,
    /// SHA-256 over the answer: equal answers, equal repositories.
    pub fingerprint: [u8; 32],
    /// Only some references were asked for.
    pub partial: bool,
    /// Names that git itself would refuse; they cannot be written to a repository and are left out of `state`.
    pub unusable: Vec<String>,
}

pub(super) struct ListingBuilder<'a> {
    state: RefState,
    hash: Sha256,
    only: Option<&'a [RefName]>,
    unusable: Vec<String>,
}

impl<'a> ListingBuilder<'a> {
    pub fn new(object_format: ObjectFormat, only: Option<&'a [RefName]>) -> Self {
        let state = RefState { object_format, ..RefState::default() };
        Self { state, hash: Sha256::new(), only, unusable: Vec::new() }
    }

    /// Takes one line into the fingerprint.
    pub fn note(&mut self, line: &[u8]) {
        self.hash.update(line);
        self.hash.update(b"\n");
    }

    /// `HEAD` names a branch, which need not exist.
    pub fn head_symbolic(&mut self, target: &str) {
        match target.parse() {
            Ok(name) => self.state.head = Some(Head::Symbolic(name)),
            Err(_) => self.unusable.push(target.to_owned()),
        }
    }

    /// A reference, or `HEAD` where it stands for itself.
    pub fn add(&mut self, name: &[u8], id: ObjectId) {
        let text = String::from_utf8_lossy(name);
        if text == "HEAD" {
            self.state.head.get_or_insert(Head::Detached(id));
            return;
        }
        match text.parse::<RefName>() {
            Ok(name) if self.only.is_none_or(|only| only.contains(&name)) => {
                self.state.refs.insert(name, id);
            }
            Ok(_) => {}
            Err(_) => self.unusable.push(text.into_owned()),
        }
    }

    pub fn finish(self) -> Listing {
        Listing {
            state: self.state,
            fingerprint: self.hash.finalize().into(),
            partial: self.only.is_some(),
            unusable: self.unusable,
        }
    }
}

/// An id in a server's answer: of the repository's hash, not all zeroes.
pub(super) fn parse_id(hex: &[u8], format: ObjectFormat) -> Result<ObjectId> {
    let id = std::str::from_utf8(hex).ok().and_then(|text| text.parse::<ObjectId>().ok());
    id.filter(|id| id.format() == format).ok_or_else(|| {
        let text = String::from_utf8_lossy(hex).escape_debug().to_string();
        crate::domain::Error::remote(format!("the server's answer has `{text}` where a {format} object id belongs"))
    })
}
