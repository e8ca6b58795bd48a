//! Who may do what: namespaces, access control lists and the bits in them.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::errors;
use super::reply::{Call, Reply, list};
use super::sign_in::Caller;
use super::state::{Organization, State, is, same};
use super::{FakeAzureDevops, Org, Project, Repo};

/// The namespace of Git repositories.
pub const GIT: Uuid = Uuid::from_u128(0x2e9e_b7ed_3c0a_47d4_87c1_0ffd_d275_fd87);
/// The namespace of service hooks.
pub const HOOKS: Uuid = Uuid::from_u128(0xcb59_4ebe_87dd_4fc9_ac2c_6a10_a4c9_2046);
/// The namespace of projects.
pub const PROJECT: Uuid = Uuid::from_u128(0x52d3_9943_cb85_4d7f_8fa8_c6ba_ac87_3819);

/// The bits of the Git namespace.
pub const GIT_BITS: &[(&str, u32)] = &[
    ("Administer", 1),
    ("GenericRead", 2),
    ("GenericContribute", 4),
    ("ForcePush", 8),
    ("CreateBranch", 16),
    ("CreateTag", 32),
    ("ManageNote", 64),
    ("PolicyExempt", 128),
    ("CreateRepository", 256),
    ("DeleteRepository", 512),
    ("RenameRepository", 1024),
    ("EditPolicies", 2048),
    ("RemoveOthersLocks", 4096),
    ("ManagePermissions", 8192),
    ("PullRequestContribute", 16384),
    ("PullRequestBypassPolicy", 32768),
];

/// Those of service hooks.
pub const HOOK_BITS: &[(&str, u32)] =
    &[("ViewSubscriptions", 1), ("EditSubscriptions", 2), ("DeleteSubscriptions", 4), ("PublishEvents", 8)];

/// A bit by its name.
pub fn bit(name: &str) -> u32 {
    let mut known = GIT_BITS.iter().chain(HOOK_BITS);
    known.find(|(known, _)| *known == name).unwrap_or_else(|| panic!("there is no permission {name}")).1
}

/// Something that somebody may be allowed or forbidden something on.
pub struct Right {
    /// Its place, and all below it.
    pub token: String,
    pub allow: u32,
    pub deny: u32,
}

/// What has a place in a namespace.
pub trait Secured {
    /// The place.
    fn token(&self) -> String;
}

impl Secured for Org {
    fn token(&self) -> String {
        "repoV2".to_owned()
    }
}

impl Secured for Project {
    fn token(&self) -> String {
        format!("repoV2/{}", self.id())
    }
}

impl Secured for Repo {
    fn token(&self) -> String {
        format!("repoV2/{}/{}", self.project, self.id)
    }
}

/// The service hooks of an organization, or of one of its projects.
pub struct ServiceHooks(pub Option<Uuid>);

impl Secured for ServiceHooks {
    fn token(&self) -> String {
        match self.0 {
            Some(project) => format!("PublisherSecurity/{project}"),
            None => "PublisherSecurity".to_owned(),
        }
    }
}

impl Organization {
    /// What an identity is allowed and forbidden at a place in the end.
    pub fn effective(&self, person: Uuid, token: &str) -> (u32, u32) {
        let Some(person) = self.person(person).filter(|person| person.member) else { return (0, 0) };
        let above = |right: &&Right| {
            let (here, there) = (token.to_lowercase(), right.token.to_lowercase());
            here == there || here.strip_prefix(&there).is_some_and(|rest| rest.starts_with('/'))
        };
        let (mut allow, mut deny) = (0, 0);
        for right in person.rights.iter().filter(above) {
            allow |= right.allow;
            deny |= right.deny;
        }
        if person.administers {
            allow = u32::MAX >> 1;
        }
        (allow & !deny, deny)
    }

    /// May an identity do something at a place?
    pub fn allows(&self, person: Uuid, token: &str, permission: &str) -> bool {
        self.effective(person, token).0 & bit(permission) != 0
    }
}

/// `_apis/securitynamespaces`, `_apis/accesscontrollists`, `_apis/permissions`.
pub fn respond(azure: &FakeAzureDevops, caller: &Caller, call: &Call, rest: &[&str]) -> Option<Reply> {
    if call.method != "GET" {
        return None;
    }
    let state = azure.state();
    Some(match rest {
        ["securitynamespaces"] => list(vec![namespace(GIT), namespace(HOOKS), namespace(PROJECT)]),
        ["securitynamespaces", id] => {
            list([GIT, HOOKS, PROJECT].into_iter().filter(|known| is(*known, id)).map(namespace).collect())
        }
        ["accesscontrollists", id] => access_control_lists(&state, caller, call, id),
        ["permissions", id] => permissions(&state, caller, call, id, call.query("permissions").unwrap_or_default()),
        ["permissions", id, bits] => permissions(&state, caller, call, id, bits),
        _ => return None,
    })
}

fn namespace(id: Uuid) -> Value {
    let (name, shown, separator, bits) = match id {
        GIT => ("Git Repositories", "Git Repositories", "/", GIT_BITS),
        HOOKS => ("ServiceHooks", "Service Hooks", "/", HOOK_BITS),
        _ => ("Project", "Project", ":", &[("GENERIC_READ", 1), ("GENERIC_WRITE", 2)][..]),
    };
    let actions =
        bits.iter().map(|(name, bit)| json!({ "bit": bit, "name": name, "displayName": name, "namespaceId": id }));
    json!({
        "namespaceId": id,
        "name": name,
        "displayName": shown,
        "separatorValue": separator,
        "elementLength": -1,
        "writePermission": 8192,
        "readPermission": 2,
        "dataspaceCategory": "Default",
        "actions": actions.collect::<Vec<_>>(),
        "structureValue": 1,
        "extensionType": "",
        "isRemotable": true,
        "useTokenTranslator": true,
        "systemBitMask": 0,
    })
}

fn access_control_lists(state: &State, caller: &Caller, call: &Call, id: &str) -> Reply {
    if !is(GIT, id) && !is(HOOKS, id) && !is(PROJECT, id) {
        return errors::bad_argument(&format!("The security namespace {id} does not exist."));
    }
    let org = state.org(&caller.org);
    let token = call.query("token").unwrap_or("repoV2");
    let wanted: Option<Vec<&str>> = call.query("descriptors").map(|given| given.split(',').collect());
    let mut entries = Map::new();
    for person in &org.people {
        let descriptor = person.descriptor(org, &state.kind);
        let is_wanted = match &wanted {
            Some(wanted) => wanted.iter().any(|wanted| same(wanted, &descriptor)),
            None => person.rights.iter().any(|right| same(&right.token, token)),
        };
        if !is_wanted {
            continue;
        }
        let own = person.rights.iter().filter(|right| same(&right.token, token));
        let (allow, deny) = own.fold((0, 0), |(allow, deny), right| (allow | right.allow, deny | right.deny));
        let mut entry = json!({ "descriptor": descriptor, "allow": allow, "deny": deny });
        if call.says("includeExtendedInfo") {
            let (allow, deny) = org.effective(person.id, token);
            entry["extendedInfo"] = json!({ "effectiveAllow": allow, "effectiveDeny": deny });
        }
        entries.insert(descriptor, entry);
    }
    let includes = call.says("includeExtendedInfo");
    list(vec![json!({
        "inheritPermissions": true,
        "token": token,
        "acesDictionary": entries,
        "includeExtendedInfo": includes,
    })])
}

/// What the caller itself may, place by place.
fn permissions(state: &State, caller: &Caller, call: &Call, id: &str, bits: &str) -> Reply {
    if !is(GIT, id) && !is(HOOKS, id) && !is(PROJECT, id) {
        return errors::bad_argument(&format!("The security namespace {id} does not exist."));
    }
    let Ok(bits) = bits.parse::<u32>() else { return errors::bad_argument("The permissions must be a number.") };
    let delimiter = call.query("delimiter").unwrap_or(",");
    let tokens = call.query("tokens").unwrap_or_default().split(delimiter);
    let org = state.org(&caller.org);
    let answers = tokens.map(|token| (org.effective(caller.person, token).0 & bits == bits).into());
    list(answers.collect())
}
