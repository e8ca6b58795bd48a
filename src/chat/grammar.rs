//! Commands as platforms offer them.

/// A command and what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Lower case.
    pub name: String,
    /// One line.
    pub about: String,
    /// What it takes; empty where something is below it.
    pub parameters: Vec<Parameter>,
    /// The commands below it.
    pub below: Vec<Spec>,
}

/// What a command takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Lower case.
    pub name: String,
    /// One line.
    pub about: String,
    /// There is no command without it.
    pub required: bool,
    /// What it is.
    pub kind: Kind,
}

/// What a parameter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Any text; we say how what is typed may go on.
    Suggested,
    /// One of these.
    OneOf(Vec<String>),
    /// On or off.
    Switch,
}
