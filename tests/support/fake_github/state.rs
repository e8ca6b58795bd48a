//! What the double knows.

use std::collections::{BTreeMap, HashMap, VecDeque};

use actix_web::http::StatusCode;
use refward::cli::demo::git_server::Visit;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::hooks::Hooks;

pub struct State {
    pub accounts: BTreeMap<String, Account>,
    pub repositories: Vec<Repository>,
    pub tokens: HashMap<String, Token>,
    pub api_faults: VecDeque<Fault>,
    pub git_faults: VecDeque<Fault>,
    pub remaining: Option<u64>,
    pub version: Option<String>,
    pub forgotten: Vec<String>,
    pub seen: Vec<Seen>,
    pub hooks: Hooks,
    next_id: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            accounts: BTreeMap::new(),
            repositories: Vec::new(),
            tokens: HashMap::new(),
            api_faults: VecDeque::new(),
            git_faults: VecDeque::new(),
            remaining: None,
            version: Some("3.19.0".to_owned()),
            forgotten: Vec::new(),
            seen: Vec::new(),
            hooks: Hooks::default(),
            next_id: 1_296_269,
        }
    }
}

#[derive(Clone, Copy)]
pub struct Account {
    pub organization: bool,
}

#[derive(Clone)]
pub struct Repository {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub private: bool,
    pub archived: bool,
    /// Earlier `OWNER/NAME`s, which redirect.
    pub former: Vec<String>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// With its query.
    pub path: String,
    /// By lower-case name; several values of one header are several entries.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// Every value of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// A token and what is the matter with it.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent troubles, any of which may come together")]
pub struct Token {
    pub user: String,
    /// `None`: fine-grained, which has no scopes.
    pub scopes: Option<String>,
    /// A fine-grained token is for one owner…
    pub resource_owner: String,
    /// …and these repositories; `None`: all.
    pub chosen: Option<Vec<String>>,
    pub contents: bool,
    pub expired: bool,
    pub expires: Option<String>,
    pub sso_required: bool,
    pub pending: bool,
}

impl Token {
    /// With the scopes that a backup needs.
    pub fn classic(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            scopes: Some("read:org, repo".to_owned()),
            resource_owner: String::new(),
            chosen: None,
            contents: true,
            expired: false,
            expires: None,
            sso_required: false,
            pending: false,
        }
    }

    /// For all repositories of an owner.
    pub fn fine_grained(user: &str, owner: &str) -> Self {
        Self { scopes: None, resource_owner: owner.to_owned(), ..Self::classic(user) }
    }

    /// A classic token's scopes.
    #[must_use]
    pub fn scopes(self, scopes: &str) -> Self {
        Self { scopes: Some(scopes.to_owned()), ..self }
    }

    /// A fine-grained token's repositories, by name.
    #[must_use]
    pub fn chosen(self, names: &[&str]) -> Self {
        Self { chosen: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..self }
    }

    /// Fine-grained, without the permission to read contents.
    #[must_use]
    pub fn without_contents(self) -> Self {
        Self { contents: false, ..self }
    }

    /// It was good once.
    #[must_use]
    pub fn expired(self) -> Self {
        Self { expired: true, ..self }
    }

    /// When it ends, in GitHub's form.
    #[must_use]
    pub fn expires(self, time: &str) -> Self {
        Self { expires: Some(time.to_owned()), ..self }
    }

    /// The organization wants it authorized first.
    #[must_use]
    pub fn sso_required(self) -> Self {
        Self { sso_required: true, ..self }
    }

    /// Waiting for an owner's approval.
    #[must_use]
    pub fn pending(self) -> Self {
        Self { pending: true, ..self }
    }

    /// May it see this repository?
    pub fn sees(&self, repository: &Repository) -> bool {
        let chosen = self.chosen.as_ref().is_none_or(|names| names.contains(&repository.name));
        let granted = match &self.scopes {
            Some(scopes) => scopes.split(", ").any(|scope| scope == "repo"),
            None => !self.pending && self.resource_owner == repository.owner && chosen,
        };
        granted || !repository.private
    }
}

/// An answer that comes instead of the right one.
#[derive(Clone)]
pub struct Fault {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Fault {
    /// GitHub's form of an error.
    pub fn json(status: u16, message: &str) -> Self {
        let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }).to_string();
        Self { status, headers: Vec::new(), body }.header("content-type", "application/json; charset=utf-8")
    }

    /// A login page or a proxy's complaint.
    pub fn html(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "<!DOCTYPE html><title>Sign in</title>".to_owned() }
            .header("content-type", "text/html; charset=utf-8")
    }

    /// To somewhere else.
    pub fn redirect(target: &str) -> Self {
        Self::json(302, "Found").header("location", target)
    }

    /// With one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl State {
    pub fn issue(&mut self, token: Token) -> String {
        self.next_id += 1;
        let prefix = if token.scopes.is_some() { "ghp_" } else { "github_pat_" };
        let text = format!("{prefix}{:0>36}", self.next_id);
        self.tokens.insert(text.clone(), token);
        text
    }

    pub fn valid_token(&self, text: &str) -> Option<&Token> {
        self.tokens.get(text).filter(|token| !token.expired)
    }

    pub fn add_repository(&mut self, owner: &str, name: &str, private: bool) -> u64 {
        self.next_id += 1;
        let (owner, name) = (owner.to_owned(), name.to_owned());
        self.repositories.push(Repository {
            id: self.next_id,
            owner,
            name,
            private,
            archived: false,
            former: Vec::new(),
        });
        self.next_id
    }

    pub fn by_id(&mut self, id: u64) -> &mut Repository {
        self.repositories.iter_mut().find(|repository| repository.id == id).expect("the repository was deleted")
    }

    pub fn by_name(&self, full_name: &str) -> Option<&Repository> {
        self.repositories.iter().find(|repository| repository.full_name().eq_ignore_ascii_case(full_name))
    }

    /// The repository that had this name before, unless another has it now.
    pub fn by_former_name(&self, full_name: &str) -> Option<&Repository> {
        if self.by_name(full_name).is_some() {
            return None;
        }
        self.repositories.iter().find(|repository| repository.former.iter().any(|name| name == full_name))
    }

    /// git's side: a token is the password, whatever the user's name.
    pub fn may(&self, visit: &Visit) -> Result<(), StatusCode> {
        let repository = self.by_name(&visit.repository);
        let password = visit.password.as_ref().map(|password| password.expose_secret().to_owned());
        let Some(password) = password else {
            return match repository {
                Some(repository) if !repository.private && !visit.write => Ok(()),
                _ => Err(StatusCode::UNAUTHORIZED),
            };
        };
        let token = self.valid_token(&password).ok_or(StatusCode::UNAUTHORIZED)?;
        let repository = repository.filter(|repository| token.sees(repository)).ok_or(StatusCode::NOT_FOUND)?;
        let readable = (token.contents && !token.sso_required) || !repository.private;
        if !readable || (visit.write && repository.archived) {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(())
    }
}

impl Repository {
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "node_id": format!("R_{}", self.id),
            "name": self.name,
            "full_name": self.full_name(),
            "private": self.private,
            "visibility": if self.private { "private" } else { "public" },
            "owner": { "login": self.owner, "id": id_of(&self.owner) },
            "archived": self.archived,
            "disabled": false,
            "fork": false,
            "default_branch": "main",
        })
    }
}

/// A stable number for an account.
pub fn id_of(login: &str) -> u64 {
    login.bytes().fold(1000, |id, byte| id * 31 % 1_000_000_007 + u64::from(byte))
}
