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
    /// References that cannot be written down, sorted: they are left out of `state`.
    pub unusable: Vec<Unusable>,
}

/// A reference with a name that no record can hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unusable {
    /// Its name; a byte that is not UTF-8 as `\xe9`.
    pub name: String,
    /// What it points at; `None`: it is the branch that `HEAD` names.
    pub id: Option<ObjectId>,
    /// Git takes the name. It is only not UTF-8.
    pub legal: bool,
}

impl Unusable {
    fn new(name: &[u8], id: Option<ObjectId>) -> Self {
        // Of what is not UTF-8 git forbids nothing: it is the rest that decides.
        let legal = std::str::from_utf8(name).is_err() && String::from_utf8_lossy(name).parse::<RefName>().is_ok();
        Self { name: escaped(name), id, legal }
    }
}

fn escaped(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => text += "\\\\",
                char if char.is_control() => text.extend(char.escape_default()),
                char => text.push(char),
            }
        }
        text += &chunk.invalid().escape_ascii().to_string();
    }
    text
}

pub(super) struct ListingBuilder<'a> {
    state: RefState,
    hash: Sha256,
    only: Option<HashSet<&'a RefName>>,
    unusable: Vec<Unusable>,
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
    pub fn head_symbolic(&mut self, target: &[u8]) {
        match usable(target) {
            Some(name) => self.state.head = Some(Head::Symbolic(name)),
            None => self.unusable.push(Unusable::new(target, None)),
        }
    }

    /// A reference, or `HEAD` where it stands for itself.
    pub fn add(&mut self, name: &[u8], id: ObjectId) {
        if name == b"HEAD" {
            self.state.head.get_or_insert(Head::Detached(id));
            return;
        }
        match usable(name) {
            Some(name) if self.only.as_ref().is_none_or(|only| only.contains(&name)) => {
                self.state.refs.insert(name, id);
            }
            Some(_) => {}
            None => self.unusable.push(Unusable::new(name, Some(id))),
        }
    }

    pub fn finish(mut self) -> Listing {
        self.unusable.sort_unstable();
        Listing {
            state: self.state,
            fingerprint: self.hash.finalize().into(),
            partial: self.only.is_some(),
            unusable: self.unusable,
        }
    }
}

fn usable(name: &[u8]) -> Option<RefName> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// An id in a server's answer: of the repository's hash, not all zeroes.
pub(super) fn parse_id(hex: &[u8], format: ObjectFormat) -> Result<ObjectId> {
    let id = std::str::from_utf8(hex).ok().and_then(|text| text.parse::<ObjectId>().ok());
    id.filter(|id| id.format() == format).ok_or_else(|| {
        let text = String::from_utf8_lossy(hex).escape_debug().to_string();
        crate::domain::Error::remote(format!("the server's answer has `{text}` where a {format} object id belongs"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unusable(name: &[u8]) -> (String, bool) {
        let mut listing = ListingBuilder::new(ObjectFormat::Sha1, None);
        listing.add(name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap());
        let [Unusable { name, legal, .. }] = &listing.finish().unusable[..] else { panic!("{name:?} is usable") };
        (name.clone(), *legal)
    }

    #[test]
    fn what_git_refuses_is_told_from_what_is_only_not_utf8() {
        assert_eq!(unusable(b"refs/heads/lat\xe9in"), (r"refs/heads/lat\xe9in".to_owned(), true));
        assert_eq!(unusable(b"refs/heads/lat\xe9in..x"), (r"refs/heads/lat\xe9in..x".to_owned(), false));
        assert_eq!(unusable(b"refs/heads/a\\xe9\x07"), (r"refs/heads/a\\xe9\u{7}".to_owned(), false));
    }
}
