//! Tokens, what they open and what is the matter with them.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use chrono::{DateTime, Utc};
use refward::cli::demo::git_server::Visit;
use secrecy::ExposeSecret;

use super::state::{Repository, State};

/// By name: `read`, `write` or `admin`, which contain each other in this order.
pub type Permissions = BTreeMap<String, String>;

/// A token.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent troubles, any of which may come together")]
pub struct Token {
    pub user: String,
    /// `None`: fine-grained or an installation's, which have no scopes.
    pub scopes: Option<String>,
    /// A token without scopes is for one owner…
    pub resource_owner: String,
    /// …and these repositories; `None`: all.
    pub chosen: Option<Vec<String>>,
    pub contents: bool,
    /// Its user may push nowhere.
    pub reads_only: bool,
    pub expired: bool,
    pub expires: Option<String>,
    pub sso_required: bool,
    /// Organizations whose repositories are silently left out of lists.
    pub sso_hides: Vec<String>,
    pub pending: bool,
    /// What an App's installation gave it.
    pub grant: Option<Grant>,
}

/// What an installation token may do.
#[derive(Clone)]
pub struct Grant {
    pub installation: u64,
    /// `None`: all that the installation covers.
    pub repositories: Option<Vec<u64>>,
    pub permissions: Permissions,
    pub expires_at: DateTime<Utc>,
    /// So many uses meet a replica that does not know it yet.
    pub unknown_for: usize,
}

impl Grant {
    pub fn allows(&self, permission: &str, level: &str) -> bool {
        self.permissions.get(permission).is_some_and(|granted| rank(granted) >= rank(level))
    }
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
            reads_only: false,
            expired: false,
            expires: None,
            sso_required: false,
            sso_hides: Vec::new(),
            pending: false,
            grant: None,
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

    /// Its user has no more than the role Read anywhere.
    #[must_use]
    pub fn reads_only(self) -> Self {
        Self { reads_only: true, ..self }
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

    /// Lists that span organizations leave this one out, and say so in a header.
    #[must_use]
    pub fn sso_hides(mut self, organization: &str) -> Self {
        self.sso_hides.push(organization.to_owned());
        self
    }

    /// Waiting for an owner's approval.
    #[must_use]
    pub fn pending(self) -> Self {
        Self { pending: true, ..self }
    }

    /// May it see this repository?
    pub fn sees(&self, repository: &Repository) -> bool {
        self.is_for(repository) || !repository.private
    }

    /// Was it given this repository? Public ones can be seen without.
    pub fn is_for(&self, repository: &Repository) -> bool {
        if self.sso_hides.contains(&repository.owner) {
            return false;
        }
        match (&self.grant, &self.scopes) {
            (Some(grant), _) => {
                let within = grant.repositories.as_ref().is_none_or(|ids| ids.contains(&repository.id));
                self.resource_owner == repository.owner && within
            }
            (None, Some(scopes)) => scopes.split(", ").any(|scope| scope == "repo"),
            (None, None) => {
                let chosen = self.chosen.as_ref().is_none_or(|names| names.contains(&repository.name));
                !self.pending && self.resource_owner == repository.owner && chosen
            }
        }
    }

    /// May it do this to what it is for? Classic and fine-grained ones of the double may do anything but, perhaps, see contents.
    pub fn may(&self, permission: &str, level: &str) -> bool {
        match &self.grant {
            Some(grant) => grant.allows(permission, level),
            None => (self.contents || permission != "contents") && (level == "read" || !self.reads_only),
        }
    }
}

impl State {
    pub fn issue(&mut self, token: Token) -> String {
        let prefix = if token.scopes.is_some() { "ghp_" } else { "github_pat_" };
        let text = format!("{prefix}{:0>36}", self.number());
        self.tokens.insert(text.clone(), token);
        text
    }

    /// The token, if it is good now. An installation's covers what the installation still covers.
    pub fn present(&mut self, text: &str) -> Option<Token> {
        let now = self.now();
        let kept = self.tokens.get_mut(text)?;
        if kept.expired {
            return None;
        }
        let Some(grant) = &mut kept.grant else { return Some(kept.clone()) };
        if grant.expires_at <= now {
            return None;
        }
        if grant.unknown_for > 0 {
            grant.unknown_for -= 1;
            return None;
        }
        let mut token = kept.clone();
        let grant = token.grant.as_mut()?;
        let installation = self.apps.installation(grant.installation).filter(|found| found.suspended.is_none())?;
        token.resource_owner.clone_from(&installation.account);
        if let Some(covered) = &installation.chosen {
            let narrowed = grant.repositories.take();
            let still = |id: &&u64| narrowed.as_ref().is_none_or(|ids| ids.contains(id));
            grant.repositories = Some(covered.iter().filter(still).copied().collect());
        }
        grant.permissions.retain(|name, _| installation.permissions.contains_key(name));
        Some(token)
    }

    /// git's side: a token is the password. Whatever the user's name, unless it is an installation's.
    pub fn may(&mut self, visit: &Visit) -> Result<(), StatusCode> {
        let password = visit.password.as_ref().map(|password| password.expose_secret().to_owned());
        let Some(password) = password else {
            return match self.by_name(&visit.repository) {
                Some(repository) if !repository.private && !visit.write => Ok(()),
                _ => Err(StatusCode::UNAUTHORIZED),
            };
        };
        let token = self.present(&password).ok_or(StatusCode::UNAUTHORIZED)?;
        if token.grant.is_some() {
            if visit.user.as_deref() != Some("x-access-token") {
                return Err(StatusCode::UNAUTHORIZED);
            }
            if self.apps.git_refuses_stateless && is_stateless(&password) {
                return Err(StatusCode::NOT_FOUND);
            }
        }
        let repository = self.by_name(&visit.repository).filter(|repository| token.sees(repository));
        let repository = repository.ok_or(StatusCode::NOT_FOUND)?;
        let readable = (token.may("contents", "read") && !token.sso_required) || !repository.private;
        let writable = token.is_for(repository) && token.may("contents", "write") && !repository.archived;
        if readable && (writable || !visit.write) { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
    }
}

/// Is it of the format of 2026, `ghs_APPID_…`?
pub fn is_stateless(token: &str) -> bool {
    token.matches('_').count() > 1
}

/// Where a level stands; 0: there is no such level.
pub fn rank(level: &str) -> usize {
    ["read", "write", "admin"].iter().position(|known| *known == level).map_or(0, |place| place + 1)
}
