//! The desk: what people ask from a chat is understood, allowed or refused, done, and told, here.

mod digest;

use crate::chat::{Kind, Parameter, Spec};
use crate::jobs::{Errand, Errands};

/// What the desk has the workers do.
pub fn errands() -> Errands {
    let digest: Box<dyn Errand> = Box::new(digest::Digest);
    Errands::from([digest])
}

/// The commands, as platforms offer them.
pub fn spec() -> Spec {
    let repo =
        Parameter { name: "repo".to_owned(), about: "OWNER/NAME".to_owned(), required: false, kind: Kind::Suggested };
    let status = Spec {
        name: "status".to_owned(),
        about: "How everything stands".to_owned(),
        parameters: vec![repo],
        below: Vec::new(),
    };
    let about = "Backups: look, restore, change policies".to_owned();
    Spec { name: "refward".to_owned(), about, parameters: Vec::new(), below: vec![status] }
}
