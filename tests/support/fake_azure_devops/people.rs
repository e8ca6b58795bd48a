//! Identities, what they may, and the calls that tell.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::errors;
use super::reply::{Call, Reply, list, ok, page};
use super::security::{Right, Secured, bit};
use super::sign_in::Caller;
use super::state::{Kind, Organization, State, is, same};
use super::{FakeAzureDevops, Org};

/// What an organization pays for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum License {
    Basic,
    /// Sees no repositories.
    Stakeholder,
}

pub struct PersonState {
    pub id: Uuid,
    pub name: String,
    /// In the directory.
    pub origin_id: Uuid,
    /// An application, not somebody.
    pub is_principal: bool,
    pub member: bool,
    pub license: License,
    /// May everything.
    pub administers: bool,
    pub rights: Vec<Right>,
}

/// Somebody in an organization, or an application. May nothing until told otherwise.
#[derive(Clone)]
pub struct Person {
    pub(super) org: Org,
    /// The identity (storage key).
    pub id: Uuid,
    /// What access control lists call it.
    pub descriptor: String,
    /// What the graph calls it.
    pub subject_descriptor: String,
    /// The object in the directory.
    pub origin_id: Uuid,
    /// As it was given.
    pub name: String,
}

impl Org {
    /// Somebody; made when first asked for, as a member who may nothing.
    pub fn person(&self, name: &str) -> Person {
        self.identity(name, None)
    }

    /// Who administers it, and does all that nobody else is said to do.
    pub fn admin(&self) -> Person {
        let admin = self.person("admin");
        admin.administers();
        admin
    }

    /// An application that was added to the organization, by its object id (not its client id).
    pub fn principal(&self, name: &str, object_id: Uuid) -> Person {
        self.identity(name, Some(object_id))
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.azure.state().org(&self.name).people.iter().any(|person| same(&person.name, name))
    }

    fn identity(&self, name: &str, principal: Option<Uuid>) -> Person {
        let mut state = self.azure.state();
        let kind = state.kind.clone();
        let org = state.org_mut(&self.name);
        if !org.people.iter().any(|person| same(&person.name, name)) {
            org.people.push(PersonState {
                id: Uuid::new_v4(),
                name: name.to_owned(),
                origin_id: principal.unwrap_or_else(Uuid::new_v4),
                is_principal: principal.is_some(),
                member: true,
                license: License::Basic,
                administers: false,
                rights: Vec::new(),
            });
        }
        let found = org.people.iter().find(|person| same(&person.name, name)).unwrap();
        Person {
            org: self.clone(),
            id: found.id,
            descriptor: found.descriptor(org, &kind),
            subject_descriptor: found.subject_descriptor(&kind),
            origin_id: found.origin_id,
            name: found.name.clone(),
        }
    }
}

impl Person {
    fn change(&self, change: impl FnOnce(&mut PersonState)) -> &Self {
        change(self.org.azure.state().org_mut(&self.org.name).person_mut(self.id));
        self
    }

    /// Allows something there and below, by the names of the Git namespace's bits.
    pub fn may(&self, what: &impl Secured, permissions: &[&str]) -> &Self {
        let right = Right { token: what.token(), allow: bits(permissions), deny: 0 };
        self.change(|person| person.rights.push(right))
    }

    /// Forbids it, whatever else allows it.
    pub fn may_not(&self, what: &impl Secured, permissions: &[&str]) -> &Self {
        let right = Right { token: what.token(), allow: 0, deny: bits(permissions) };
        self.change(|person| person.rights.push(right))
    }

    /// Takes everything back.
    pub fn may_nothing(&self) -> &Self {
        self.change(|person| {
            person.rights.clear();
            person.administers = false;
        })
    }

    /// Makes it one of the administrators, who may everything.
    pub fn administers(&self) -> &Self {
        self.change(|person| person.administers = true)
    }

    /// What is paid for it.
    pub fn member(&self, license: License) -> &Self {
        self.change(|person| {
            person.member = true;
            person.license = license;
        })
    }

    /// It leaves the organization.
    pub fn leaves(&self) -> &Self {
        self.change(|person| person.member = false)
    }

    /// It has that object id in the directory.
    pub fn is_object(&self, object_id: Uuid) -> Self {
        self.change(|person| person.origin_id = object_id);
        self.org.person(&self.name)
    }
}

fn bits(permissions: &[&str]) -> u32 {
    permissions.iter().map(|name| bit(name)).sum()
}

impl PersonState {
    pub fn account(&self, org: &str) -> String {
        if self.is_principal { self.origin_id.to_string() } else { format!("{}@{org}.example", self.name) }
    }

    pub fn descriptor(&self, org: &Organization, kind: &Kind) -> String {
        let account = self.account(&org.name);
        match kind {
            Kind::Services if self.is_principal => {
                format!("Microsoft.VisualStudio.Services.Claims.AadServicePrincipal;{}\\{account}", org.tenant)
            }
            Kind::Services => format!("Microsoft.IdentityModel.Claims.ClaimsIdentity;{}\\{account}", org.tenant),
            Kind::Server(_) => format!("System.Security.Principal.WindowsIdentity;S-1-5-21-{}", self.id.as_fields().0),
        }
    }

    pub fn subject_descriptor(&self, kind: &Kind) -> String {
        let prefix = match kind {
            Kind::Services if self.is_principal => "aadsp",
            Kind::Services => "aad",
            Kind::Server(_) => "win",
        };
        format!("{prefix}.{}", BASE64_STANDARD_NO_PAD.encode(self.id.to_string()))
    }
}

impl Organization {
    pub fn person(&self, id: Uuid) -> Option<&PersonState> {
        self.people.iter().find(|person| person.id == id)
    }

    pub fn person_mut(&mut self, id: Uuid) -> &mut PersonState {
        self.people.iter_mut().find(|person| person.id == id).expect("there is nobody like that")
    }
}

impl State {
    /// Somebody, as most answers name them.
    pub fn identity_ref(&self, org: &Organization, id: Uuid) -> Value {
        let Some(person) = org.person(id) else { return Value::Null };
        json!({
            "displayName": person.name,
            "url": format!("{}/{}/_apis/Identities/{id}", self.host, org.name),
            "_links": { "avatar": { "href": format!("{}/{}/_apis/GraphProfile/MemberAvatars/{id}", self.host, org.name) } },
            "id": id,
            "uniqueName": person.account(&org.name),
            "imageUrl": format!("{}/{}/_api/_common/identityImage?id={id}", self.host, org.name),
            "descriptor": person.subject_descriptor(&self.kind),
        })
    }

    /// Somebody, as `_apis/identities` does.
    fn identity_json(&self, org: &Organization, person: &PersonState) -> Value {
        let text = |value: String| json!({ "$type": "System.String", "$value": value });
        json!({
            "id": person.id,
            "descriptor": person.descriptor(org, &self.kind),
            "subjectDescriptor": person.subject_descriptor(&self.kind),
            "providerDisplayName": person.name,
            "isActive": person.member,
            "members": [],
            "memberOf": [],
            "memberIds": [],
            "properties": {
                "SchemaClassName": text("User".to_owned()),
                "Description": text(String::new()),
                "Domain": text(org.tenant.to_string()),
                "Account": text(person.account(&org.name)),
                "Mail": text(person.account(&org.name)),
                "http://schemas.microsoft.com/identity/claims/objectidentifier": text(person.origin_id.to_string()),
            },
            "resourceVersion": 2,
            "metaTypeId": 0,
        })
    }

    fn graph_json(&self, org: &Organization, person: &PersonState) -> Value {
        let descriptor = person.subject_descriptor(&self.kind);
        let kind = if person.is_principal { "servicePrincipal" } else { "user" };
        let base = format!("{}/{}/_apis/Graph", self.host, org.name);
        let mut json = json!({
            "subjectKind": kind,
            "domain": org.tenant,
            "principalName": person.account(&org.name),
            "mailAddress": if person.is_principal { String::new() } else { person.account(&org.name) },
            "origin": "aad",
            "originId": person.origin_id,
            "displayName": person.name,
            "_links": {
                "self": { "href": format!("{base}/Users/{descriptor}") },
                "storageKey": { "href": format!("{base}/StorageKeys/{descriptor}") },
            },
            "url": format!("{base}/Users/{descriptor}"),
            "descriptor": descriptor,
        });
        if person.is_principal {
            json["applicationId"] = Uuid::new_v4().to_string().into();
        } else {
            json["metaType"] = "member".into();
            json["directoryAlias"] = person.name.clone().into();
        }
        json
    }
}

/// `_apis/identities`.
pub fn identities(azure: &FakeAzureDevops, caller: &Caller, call: &Call) -> Reply {
    let state = azure.state();
    let org = state.org(&caller.org);
    let listed = |name: &str| call.query(name).map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>());
    let all = || org.people.iter();
    // Whoever of those that are named is not there stands in the list as null.
    let each = |wanted: Vec<String>, fits: &dyn Fn(&PersonState, &str) -> bool| -> Vec<Option<&PersonState>> {
        wanted.iter().map(|wanted| all().find(|person| fits(person, wanted))).collect()
    };
    let found: Vec<Option<&PersonState>> = if let Some(wanted) = listed("descriptors") {
        each(wanted, &|person, wanted| same(wanted, &person.descriptor(org, &state.kind)))
    } else if let Some(wanted) = listed("subjectDescriptors") {
        each(wanted, &|person, wanted| person.subject_descriptor(&state.kind) == wanted)
    } else if let Some(wanted) = listed("identityIds") {
        each(wanted, &|person, wanted| is(person.id, wanted))
    } else {
        let (filter, value) = (call.query("searchFilter").unwrap_or("General"), call.query("filterValue"));
        let Some(value) = value else {
            return errors::bad_argument("A search filter needs a value: filterValue.");
        };
        let by_name = !same(filter, "AccountName") && !same(filter, "MailAddress");
        let fits =
            |person: &&PersonState| same(value, &person.account(&org.name)) || (by_name && same(value, &person.name));
        all().filter(fits).map(Some).collect()
    };
    let told = |person: Option<&PersonState>| person.map_or(Value::Null, |person| state.identity_json(org, person));
    list(found.into_iter().map(told).collect())
}

/// `_apis/graph/…`, which Services have alone.
pub fn graph(azure: &FakeAzureDevops, caller: &Caller, call: &Call, rest: &[&str]) -> Option<Reply> {
    let state = azure.state();
    if state.kind != Kind::Services || call.method != "GET" {
        return None;
    }
    let org = state.org(&caller.org);
    let of_kind = |is_principal: bool| {
        let meant = org.people.iter().filter(|person| person.is_principal == is_principal && person.member);
        meant.map(|person| state.graph_json(org, person)).collect()
    };
    let named = |descriptor: &str| {
        let mut people = org.people.iter();
        people.find(|person| same(&person.subject_descriptor(&state.kind), descriptor))
    };
    let nobody = |what: &str| errors::no_identity(what);
    Some(match rest {
        ["users"] => page(&state, call, of_kind(false), 500),
        ["serviceprincipals"] => page(&state, call, of_kind(true), 500),
        ["users" | "serviceprincipals", descriptor] => {
            named(descriptor).map_or_else(|| nobody(descriptor), |person| ok(state.graph_json(org, person)))
        }
        ["descriptors", id] => match org.people.iter().find(|person| is(person.id, id)) {
            Some(person) => ok(json!({ "value": person.subject_descriptor(&state.kind), "_links": {} })),
            None => nobody(id),
        },
        ["storagekeys", descriptor] => match named(descriptor) {
            Some(person) => ok(json!({ "value": person.id, "_links": {} })),
            None => nobody(descriptor),
        },
        _ => return None,
    })
}
