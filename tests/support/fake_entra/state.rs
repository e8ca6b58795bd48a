//! What the double knows.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub object_id: Uuid,
    pub tenant: Uuid,
    pub name: String,
}

pub struct State {
    pub tenant: Uuid,
    pub apps: Vec<App>,
    pub users: Vec<User>,
    pub tokens: BTreeMap<String, Token>,
    pub refreshes: BTreeMap<String, Refresh>,
    /// Whose sign-ins were ended.
    pub ended: Vec<Uuid>,
    pub codes: BTreeMap<String, Given>,
    pub begun: Vec<Begun>,
    pub grants: Vec<String>,
    pub faults: VecDeque<(u16, Option<u32>)>,
    pub strict: bool,
    pub token_life: TimeDelta,
    pub ahead: TimeDelta,
    pub interval: i64,
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct App {
    pub client_id: Uuid,
    /// Of its service principal.
    pub object_id: Uuid,
    pub name: String,
    /// With whether they have expired.
    pub secrets: Vec<(String, bool)>,
    pub certificates: Vec<Certificate>,
    pub redirects: Vec<String>,
    pub public: bool,
    pub enabled: bool,
    pub needs_admin: bool,
    pub agreed_for_all: bool,
}

/// What was uploaded: never a private key.
pub struct Certificate {
    /// base64url of the SHA-256 of its DER.
    pub thumbprint: String,
    pub public_pem: String,
}

pub struct User {
    pub object_id: Uuid,
    pub name: String,
    pub admin: bool,
}

pub struct Token {
    pub holder: Holder,
    pub until: DateTime<Utc>,
}

pub struct Refresh {
    pub client_id: Uuid,
    pub object_id: Uuid,
    pub until: DateTime<Utc>,
}

/// An authorization code that is on its way.
pub struct Given {
    pub client_id: Uuid,
    pub object_id: Uuid,
    pub redirect: String,
    pub challenge: String,
    pub until: DateTime<Utc>,
}

/// A sign-in with a code.
pub struct Begun {
    pub client_id: Uuid,
    pub device_code: String,
    pub user_code: String,
    pub until: DateTime<Utc>,
    pub asked: Option<DateTime<Utc>>,
    pub answer: Option<Answer>,
}

pub enum Answer {
    Agreed(Uuid),
    Declined,
    Used,
}

impl State {
    pub fn new() -> Self {
        Self {
            tenant: Uuid::new_v4(),
            apps: Vec::new(),
            users: Vec::new(),
            tokens: BTreeMap::new(),
            refreshes: BTreeMap::new(),
            ended: Vec::new(),
            codes: BTreeMap::new(),
            begun: Vec::new(),
            grants: Vec::new(),
            faults: VecDeque::new(),
            strict: false,
            token_life: TimeDelta::seconds(3_999),
            ahead: TimeDelta::zero(),
            interval: 5,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.ahead
    }

    pub fn app(&self, client_id: &str) -> Option<&App> {
        let id = Uuid::parse_str(client_id).ok()?;
        self.apps.iter().find(|app| app.client_id == id)
    }

    pub fn user_named(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    pub fn user(&self, id: Uuid) -> &User {
        self.users.iter().find(|user| user.object_id == id).expect("users stay")
    }
}

/// The fields of a form or a query.
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// Empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}
