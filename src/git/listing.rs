//! A server's list of references, gathered line by line.

use std::collections::HashSet;

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
    /// Names that git would refuse or that are not UTF-8: they cannot be written down and are left out of `state`.
    pub unusable: Vec<String>,
}

pub(super) struct ListingBuilder<'a> {
    state: RefState,
    hash: Sha256,
    only: Option<HashSet<&'a RefName>>,
    unusable: Vec<String>,
}

impl<'a> ListingBuilder<'a> {
    pub fn new(object_format: ObjectFormat, only: Option<&'a [RefName]>) -> Self {
        let state = RefState { object_format, ..RefState::default() };
        let only = only.map(|names| names.iter().collect());
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
        if name == b"HEAD" {
            self.state.head.get_or_insert(Head::Detached(id));
            return;
        }
        match std::str::from_utf8(name).ok().and_then(|text| text.parse::<RefName>().ok()) {
            Some(name) if self.only.as_ref().is_none_or(|only| only.contains(&name)) => {
                self.state.refs.insert(name, id);
            }
            Some(_) => {}
            None => self.unusable.push(String::from_utf8_lossy(name).into_owned()),
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
