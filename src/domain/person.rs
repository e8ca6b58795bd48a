//! Who asks from a chat, and what somebody has allowed them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// Somebody, by what never changes: the platform's own id, never a name. Written `discord:1234`; whoever is at the command
/// line is `cli:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Person {
    platform: String,
    id: String,
}

/// Who a grant is for: one person, or everybody who has a role on the platform. Written `discord:user:1234` and
/// `discord:role:1234`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Holder {
    /// One person.
    User(Person),
    /// A role of the platform's, by its id.
    Role {
        /// The platform.
        platform: String,
        /// The role's id.
        id: String,
    },
}

/// Who does something, and from where: for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// A [`Person`] as it is written, or `refward` itself.
    pub who: String,
    /// `cli`, or the platform with server and channel: `discord:GUILD/CHANNEL`.
    pub whence: String,
}

/// What somebody may do. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look: status, snapshots, journals, policies.
    Viewer,
    /// Have work done that changes nothing on a forge: backups, verifications, drills.
    Operator,
    /// Bring things back, and approve that others do.
    Restorer,
    /// Change policies.
    Admin,
}

impl Person {
    /// Whose id is `id` on `platform`.
    pub fn new(platform: &str, id: &str) -> Result<Self> {
        let word = |text: &str| !text.is_empty() && text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if !word(platform) || !word(id) || platform.contains(':') {
            return Err(Error::bad_request(format!("`{platform}:{id}` is no person: PLATFORM:ID is")));
        }
        Ok(Self { platform: platform.to_owned(), id: id.to_owned() })
    }

    /// Where they are known.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// Their id there.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl By {
    /// Whoever is at the command line, taken at their word.
    pub fn cli(name: &str) -> Self {
        Self { who: format!("cli:{name}"), whence: "cli".to_owned() }
    }

    /// The program itself, without being asked.
    pub fn refward() -> Self {
        Self { who: "refward".to_owned(), whence: "refward".to_owned() }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.id)
    }
}

impl FromStr for Person {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (platform, id) = text.split_once(':').unwrap_or((text, ""));
        Self::new(platform, id)
    }
}

impl TryFrom<String> for Person {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Person> for String {
    fn from(person: Person) -> Self {
        person.to_string()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(Person { platform, id }) => write!(f, "{platform}:user:{id}"),
            Self::Role { platform, id } => write!(f, "{platform}:role:{id}"),
        }
    }
}

impl FromStr for Holder {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.splitn(3, ':').collect::<Vec<_>>()[..] {
            [platform, "user", id] => Person::new(platform, id).map(Self::User),
            [platform, "role", id] => {
                Person::new(platform, id).map(|Person { platform, id }| Self::Role { platform, id })
            }
            _ => Err(Error::bad_request(format!("`{text}` is neither PLATFORM:user:ID nor PLATFORM:role:ID"))
                .hint("in Discord, switch on Developer Mode, then right-click a person or role: Copy ID")),
        }
    }
}

impl TryFrom<String> for Holder {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        holder.to_string()
    }
}

impl Role {
    /// All of them, the one that may least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Restorer, Self::Admin];

    /// As commands, the database and JSON have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Restorer => "restorer",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| {
            Error::bad_request(format!("`{text}` is no role")).hint("viewer, operator, restorer and admin are")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Holder, Person, Role};

    #[test]
    fn holders_and_people_are_read_as_they_are_written() {
        for text in ["discord:user:80351110224678912", "discord:role:41771983423143936"] {
            assert_eq!(text.parse::<Holder>().expect("a holder").to_string(), text);
        }
        assert_eq!("cli:mona".parse::<Person>().expect("a person").platform(), "cli");
        for text in ["discord", "discord:mona", "discord:user:", "discord:team:1", ":user:1", "discord:user:a b"] {
            assert!(text.parse::<Holder>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_role_includes_those_before_it() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::Admin > Role::Restorer && Role::Restorer > Role::Operator && Role::Operator > Role::Viewer);
    }
}
