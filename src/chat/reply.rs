//! What we say, in no platform's markup: whatever comes from elsewhere is plain text in here and stays that.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::Person;

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// How it is meant.
    pub tone: Tone,
    /// One line.
    pub title: String,
    /// What follows. What has no room is left out from the end, and said to be.
    pub blocks: Vec<Block>,
    /// What can be pressed, at most 25.
    pub buttons: Vec<Button>,
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Good to know.
    #[default]
    Plain,
    /// Something is done, or well.
    Good,
    /// Somebody should look.
    Careful,
    /// Something failed, or was lost.
    Bad,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A line of text.
    Line(Line),
    /// Columns, aligned.
    Table {
        /// What they are called.
        header: Vec<String>,
        /// As many cells in each.
        rows: Vec<Vec<String>>,
    },
    /// To be copied as it is.
    Code(String),
}

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(pub Vec<Piece>);

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Plain text.
    Text(String),
    /// What stands out.
    Strong(String),
    /// A name, a number, a word to be typed.
    Code(String),
    /// Somebody; they are shown, not called.
    Who(Person),
    /// A moment, as whoever reads has it.
    When(DateTime<Utc>),
    /// A page.
    Link {
        /// What it is called.
        label: String,
        /// Where it is.
        url: Url,
    },
}

/// What can be pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What we are told when it is pressed: at most 100 characters, and no secret.
    pub id: String,
    /// What it says.
    pub label: String,
    /// What it looks like.
    pub look: Look,
}

/// What a button looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// Like any other.
    Plain,
    /// What is most likely wanted.
    Main,
    /// It changes something that people rely on.
    Danger,
}

/// What is answered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// To a sign of life.
    Pong,
    /// An answer follows.
    Later {
        /// For nobody else to see.
        private: bool,
    },
    /// The message whose button was pressed will change.
    Change,
    /// This, and nothing follows; for nobody else to see.
    Now(Reply),
    /// How what is typed may go on.
    Choices(Vec<Choice>),
}

/// How what is typed may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is shown.
    pub label: String,
    /// What is meant.
    pub value: String,
}

impl Reply {
    /// One that is meant so and begins with this.
    pub fn new(tone: Tone, title: impl Into<String>) -> Self {
        Self { tone, title: title.into(), ..Self::default() }
    }

    /// With one more line.
    #[must_use]
    pub fn line(mut self, line: impl Into<Line>) -> Self {
        self.blocks.push(Block::Line(line.into()));
        self
    }

    /// With something to copy.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.blocks.push(Block::Code(code.into()));
        self
    }

    /// With a table.
    #[must_use]
    pub fn table<const N: usize>(mut self, header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Self {
        let header = header.map(str::to_owned).to_vec();
        self.blocks.push(Block::Table { header, rows: rows.into_iter().map(Vec::from).collect() });
        self
    }

    /// With a button.
    #[must_use]
    pub fn button(mut self, look: Look, label: impl Into<String>, id: impl Into<String>) -> Self {
        self.buttons.push(Button { id: id.into(), label: label.into(), look });
        self
    }
}

impl Line {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// And plain text.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.and(Piece::Text(text.into()))
    }

    /// And what stands out.
    #[must_use]
    pub fn strong(self, text: impl Into<String>) -> Self {
        self.and(Piece::Strong(text.into()))
    }

    /// And a name or a number.
    #[must_use]
    pub fn code(self, text: impl Into<String>) -> Self {
        self.and(Piece::Code(text.into()))
    }

    /// And somebody.
    #[must_use]
    pub fn who(self, person: &Person) -> Self {
        self.and(Piece::Who(person.clone()))
    }

    /// And a moment.
    #[must_use]
    pub fn when(self, at: DateTime<Utc>) -> Self {
        self.and(Piece::When(at))
    }

    /// And a page.
    #[must_use]
    pub fn link(self, label: impl Into<String>, url: Url) -> Self {
        self.and(Piece::Link { label: label.into(), url })
    }

    fn and(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Self {
        Self::new().text(text)
    }
}
