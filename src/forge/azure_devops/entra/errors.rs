//! What Entra has against us, in words that say what to do.
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use serde::Deserialize;

use super::ask::name;
use crate::domain::Error;
use crate::forge::OauthClient;

/// Where people look after applications, in the cloud that is not national.
const PORTAL: &str = "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~";

/// A refusal, as every endpoint sends it.
#[derive(Default, Deserialize)]
pub(in crate::forge::azure_devops) struct Complaint {
    /// OAuth's word.
    #[serde(default)]
    pub error: String,
    /// For people: `AADSTS7000215: Invalid client secret provided. …`
    #[serde(default)]
    pub error_description: String,
    /// Entra's numbers for it.
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl Complaint {
    /// From the address that a browser came back with.
    pub fn in_address(error: &str, description: &str) -> Self {
        let (error, error_description) = (error.to_owned(), description.to_owned());
        Self { error, error_description, error_codes: Vec::new() }
    }

    /// Entra's number for it, if it told one.
    fn code(&self) -> Option<u32> {
        let told = self.error_description.split_once("AADSTS").map(|(_, rest)| rest);
        let digits = told.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        self.error_codes.first().copied().or_else(|| digits?.parse().ok())
    }
}

/// What is wrong, and who can do what about it.
pub(in crate::forge::azure_devops) fn explain(client: &OauthClient, complaint: &Complaint) -> Error {
    let OauthClient { tenant, client_id, authority } = client;
    let page = |blade: &str| match authority.host_str() {
        Some("login.microsoftonline.com") => format!(": {PORTAL}/{blade}/appId/{client_id}"),
        _ => String::new(),
    };
    let secrets = page("Credentials");
    let (what, next) = match complaint.code() {
        Some(7_000_215) => (
            format!("the client secret of application {client_id} is wrong"),
            format!("give the secret's Value, not its Secret ID; make a new one under Certificates & secrets{secrets}"),
        ),
        Some(7_000_222) => (
            format!("the client secret of application {client_id} has expired"),
            format!("make a new one under Certificates & secrets, and give it to Refward with `refward connections set-token`{secrets}"),
        ),
        Some(700_027) => (
            format!("Entra does not know the certificate of application {client_id}, or it is not the private key's"),
            format!("upload the certificate, without its key, under Certificates & secrets{secrets}"),
        ),
        Some(700_024) => (
            "what we sign with our certificate is not valid now: our clock is wrong".to_owned(),
            "set this machine's clock".to_owned(),
        ),
        Some(700_016 | 7_000_113 | 500_010) => (
            format!("tenant {tenant} has no application {client_id}"),
            "compare both ids with the application's Overview; an application of another tenant needs that one's id, or \
             an administrator's consent in this one"
                .to_owned(),
        ),
        Some(90_002 | 900_023 | 900_021) => (
            format!("there is no tenant {tenant} at {}", name(authority)),
            "it is the Directory (tenant) ID of the application's Overview; national clouds have addresses of their own"
                .to_owned(),
        ),
        Some(500_011 | 650_052 | 500_014) => (
            format!("tenant {tenant} does not have Azure DevOps"),
            "give the tenant that the organization is connected to: Organization settings, Microsoft Entra".to_owned(),
        ),
        Some(7_000_112) => (
            format!("application {client_id} is switched off in tenant {tenant}"),
            "an administrator can switch it on: Enterprise applications, Properties, Enabled for users to sign in".to_owned(),
        ),
        Some(7_000_218) => (
            format!("application {client_id} does not let people sign in with a code"),
            format!("set “Allow public client flows” to Yes under Authentication{}", page("Authentication")),
        ),
        Some(50_011 | 500_112 | 500_117) => (
            format!("application {client_id} does not know the address that the browser comes back to"),
            format!("add it as a redirect URI of the platform Web, letter by letter, under Authentication{}", page("Authentication")),
        ),
        Some(65_001 | 65_004 | 90_008 | 90_094 | 650_056 | 650_057) => (
            "nobody has agreed yet that the application may use Azure DevOps for them".to_owned(),
            "an administrator can agree for the whole organization: the first step at /setup".to_owned(),
        ),
        Some(50_105) => (
            format!("whoever signed in is not assigned to application {client_id}"),
            "an administrator can do that: Enterprise applications, Users and groups".to_owned(),
        ),
        Some(50_020 | 50_034 | 50_057 | 51_004 | 90_072 | 530_004) => (
            format!("whoever signed in has no working account in tenant {tenant}"),
            "sign in as somebody of that tenant who uses the organization".to_owned(),
        ),
        Some(50_072 | 50_074 | 50_076 | 50_079 | 50_158 | 53_000..=53_011 | 530_032 | 530_035) => (
            "the tenant wants another proof of whoever signed in: a second factor, a device, a place".to_owned(),
            "sign in again at /setup from where the tenant allows it, or connect a service principal".to_owned(),
        ),
        Some(
            50_089 | 50_132 | 50_133 | 50_173 | 50_078 | 54_005 | 70_000 | 70_008 | 70_043 | 700_003 | 700_082 | 700_084
            | 9_002_313,
        ) => ended(),
        Some(90_055 | 90_033 | 50_196) => return Error::remote(format!("{} is in trouble", name(authority))),
        code => return unknown(authority, complaint, code),
    };
    Error::misconfigured(what).hint(next).detail(format!("AADSTS{}", complaint.code().unwrap_or_default()))
}

/// A sign-in lasts as long as it is used, until a password changes, an administrator ends it, or a policy does.
fn ended() -> (String, String) {
    (
        "the sign-in has ended: it was not used for long, the password was changed, or an administrator or a policy ended it"
            .to_owned(),
        "sign in again at /setup; a service principal needs no sign-in".to_owned(),
    )
}

fn unknown(authority: &url::Url, complaint: &Complaint, code: Option<u32>) -> Error {
    let name = name(authority);
    // OAuth's own words, for what has no number.
    match (complaint.error.as_str(), code) {
        ("access_denied" | "permission_denied" | "consent_required", None) => {
            return Error::not_allowed("whoever was asked did not agree")
                .hint("nothing was connected; begin again at /setup");
        }
        ("temporarily_unavailable" | "server_error", _) => return Error::remote(format!("{name} is in trouble")),
        ("invalid_grant", None) => {
            let (what, next) = ended();
            return Error::misconfigured(what).hint(next);
        }
        _ => {}
    }
    let word: String = complaint.error.chars().filter(char::is_ascii_graphic).take(60).collect();
    let told = code.map(|code| format!(" (AADSTS{code})")).unwrap_or_default();
    let error = Error::misconfigured(format!("{name} refuses: `{word}`{told}"));
    match code {
        Some(code) => error.hint(format!("what that means: https://login.microsoftonline.com/error?code={code}")),
        None => error,
    }
}
