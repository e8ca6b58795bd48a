//! What a person is told when Azure DevOps says no, and that credentials stay where they belong.

use std::sync::Arc;
use std::time::Duration;

use refward::domain::{Error, Kind};
use refward::forge::{Access, azure_devops};
use reqwest::dns::{Name, Resolve, Resolving};
use tokio::net::TcpListener;

use super::{SCOPES, azure, steady};
use crate::support::fake_azure_devops::{FakeAzureDevops, SignIn};
use crate::support::fake_github::Fault;
use crate::{client, net, told};

/// The error of a listing that is answered with `fault`.
async fn failing_with(fault: Fault) -> String {
    let host = FakeAzureDevops::start().await;
    let token = host.pat("mona", "acme", SCOPES);
    host.fail(2, &fault);
    let error = azure().survey(&host.access("acme", &token)).await.unwrap_err();
    steady(&host, &told(&error))
}

fn page(status: u16, body: &str) -> Fault {
    Fault { status, headers: vec![], body: body.to_owned() }
}

/// What Azure DevOps and what stands before it may answer, by name.
fn faults() -> Vec<(&'static str, Fault)> {
    let nobody = "TF400813: The user '00000000-0000-0000-0000-000000000000' is not authorized to access this resource.";
    let anonymous =
        "TF400813: The user 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa' is not authorized to access this resource.";
    let mona = "TF400813: The user 'mona@acme.example' is not authorized to access this resource.";
    vec![
        ("bad token", Fault::json(401, nobody)),
        ("another bad token", Fault::json(401, anonymous)),
        ("scope", Fault::json(401, mona)),
        ("page to sign in on", page(203, "<html><title>Azure DevOps Services | Sign In</title></html>")),
        ("page to sign in on that looks fine", page(200, "<html><title>Azure DevOps Services | Sign In</title></html>")),
        ("sent to sign in", Fault::redirect("https://spsprodweu1.vssps.visualstudio.com/_signin?realm=dev.azure.com")),
        ("sent to sign in at Entra", Fault::redirect("https://login.microsoftonline.com/common/oauth2/authorize?x")),
        (
            "permission",
            Fault::json(
                403,
                "TF401027: You need the Git 'GenericRead' permission to perform this action. Details: identity \
                 'mona@acme.example', scope 'repository'.",
            ),
        ),
        (
            "another permission",
            Fault::json(403, "Access Denied: mona needs the following permission(s) to perform this action: View instance-level information"),
        ),
        (
            "conditional access",
            Fault::json(403, "VS403463: The conditional access policy defined by your Microsoft Entra administrator has failed."),
        ),
        ("no such organization", page(404, "<html><title>The resource cannot be found.</title></html>")),
        (
            "no such repository",
            Fault::json(404, "TF401019: The Git repository with name or identifier api does not exist or you do not have permissions for the operation you are attempting."),
        ),
        ("no such project", Fault::json(404, "TF200016: The following project does not exist: Web.")),
        ("bad request", Fault::json(400, "VS402337: The number of work items returned exceeds the size limit of 20000.")),
        (
            "blocked",
            Fault::json(429, "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource 'Concurrency' in namespace 'User'.")
                .header("retry-after", "17"),
        ),
        ("blocked without a time", Fault::json(429, "TF400733: The request has been canceled.")),
        ("stopped", Fault::json(503, "TF24668: The following team project collection is stopped: acme. Start the collection and then try again.")),
        ("unavailable", Fault::json(503, "The service is unavailable.").header("retry-after", "5")),
        ("trouble with a page", Fault::html(500)),
        ("proxy's page", page(200, "<html>Welcome to our network</html>")),
        ("proxy", Fault::html(407)),
        ("words in a header", page(418, "").header("x-tfs-serviceerror", "The%20teapot+is%20short")),
        ("not Azure DevOps' JSON", page(200, "{\"ok\":true}")),
        ("elsewhere", Fault::redirect("https://evil.example.com/acme/_apis/git/repositories")),
        ("nonsense", Fault::json(418, "I'm a teapot\u{1b}[31m")),
    ]
}

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let mut all = Vec::new();
    for (name, fault) in faults() {
        all.push(format!("# {name}\n{}", failing_with(fault).await));
    }
    insta::assert_snapshot!(all.join("\n\n"), @"
    # bad token
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses the token
    → it is mistyped, expired or revoked, or was made for another organization; make a new one at http://127.0.0.1:PORT/acme/_usersSettings/tokens

    # another bad token
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses the token
    → it is mistyped, expired or revoked, or was made for another organization; make a new one at http://127.0.0.1:PORT/acme/_usersSettings/tokens

    # scope
    Misconfigured: listing the repositories of `acme`: the credential lacks a scope that 127.0.0.1:PORT wants for this: TF400813: The user 'mona@acme.example' is not authorized to access this resource.
    → open the token at http://127.0.0.1:PORT/acme/_usersSettings/tokens, tick the scope, save

    # page to sign in on
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses the token
    → it is mistyped, expired or revoked, or was made for another organization; make a new one at http://127.0.0.1:PORT/acme/_usersSettings/tokens

    # page to sign in on that looks fine
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses the token
    → it is mistyped, expired or revoked, or was made for another organization; make a new one at http://127.0.0.1:PORT/acme/_usersSettings/tokens

    # sent to sign in
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses the token
    → it is mistyped, expired or revoked, or was made for another organization; make a new one at http://127.0.0.1:PORT/acme/_usersSettings/tokens

    # sent to sign in at Entra
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses the token
    → it is mistyped, expired or revoked, or was made for another organization; make a new one at http://127.0.0.1:PORT/acme/_usersSettings/tokens

    # permission
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses: TF401027: You need the Git 'GenericRead' permission to perform this action. Details: identity 'mona@acme.example', scope 'repository'.
    → grant that permission: Project settings, Repositories, Security

    # another permission
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses: Access Denied: mona needs the following permission(s) to perform this action: View instance-level information
    → somebody who administers the project or the organization can grant it

    # conditional access
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses: VS403463: The conditional access policy defined by your Microsoft Entra administrator has failed.
    → an administrator of the tenant has to let this machine's address in: Entra, Conditional Access

    # no such organization
    NotFound: listing the repositories of `acme`: 127.0.0.1:PORT has no organization or collection `acme`
    → check the spelling; people find it at http://127.0.0.1:PORT/acme

    # no such repository
    NotFound: listing the repositories of `acme`: 127.0.0.1:PORT has no such thing, or the credential may not see it: TF401019: The Git repository with name or identifier api does not exist or you do not have permissions for the operation you are attempting.
    → disabled repositories answer like that too, and all of them do to somebody with the access level Stakeholder

    # no such project
    NotFound: listing the repositories of `acme`: 127.0.0.1:PORT has no such thing, or the credential may not see it: TF200016: The following project does not exist: Web.
    → -

    # bad request
    BadRequest: listing the repositories of `acme`: 127.0.0.1:PORT refuses: VS402337: The number of work items returned exceeds the size limit of 20000.
    → -

    # blocked
    Remote { retry_after: Some(17s) }: listing the repositories of `acme`: 127.0.0.1:PORT asks us to wait 17 s: we have used too much of it
    → -

    # blocked without a time
    Remote { retry_after: Some(300s) }: listing the repositories of `acme`: 127.0.0.1:PORT asks us to wait 300 s: we have used too much of it
    → -

    # stopped
    Misconfigured: listing the repositories of `acme`: `acme` on 127.0.0.1:PORT is stopped
    → whoever administers the server or the organization has to start it again

    # unavailable
    Remote { retry_after: Some(5s) }: listing the repositories of `acme`: 127.0.0.1:PORT is in trouble: it answers 503 Service Unavailable
    → -

    # trouble with a page
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:PORT is in trouble: it answers 500 Internal Server Error
    → -

    # proxy's page
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT answers 200 OK with a web page instead of data
    → a proxy stands in between, or this is no Azure DevOps: check the address and the setting `http.proxy`

    # proxy
    Misconfigured: listing the repositories of `acme`: the HTTP proxy wants a password
    → put it into the setting `http.proxy`

    # words in a header
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:PORT answers 418 I'm a teapot: The teapot is short
    → -

    # not Azure DevOps' JSON
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:PORT answers with something that Azure DevOps does not send
    → -

    # elsewhere
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT sends us to evil.example.com, where the credential does not belong
    → if the forge has moved, connect it by its new address; the credential was sent to 127.0.0.1:PORT alone

    # nonsense
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:PORT answers 418 I'm a teapot: I'm a teapot[31m
    → -
    ");
}

#[tokio::test]
async fn a_token_that_expired_was_revoked_or_is_for_another_organization() {
    for how in [SignIn::Unauthorized401, SignIn::Html203, SignIn::Redirect302] {
        let host = FakeAzureDevops::start().await;
        host.bad_sign_ins(how);
        host.org("other");
        let (expired, revoked) = (host.pat("mona", "acme", SCOPES), host.pat("mona", "acme", SCOPES));
        host.expire(&expired);
        host.revoke(&revoked);
        let elsewhere = host.pat("mona", "other", SCOPES);
        for token in [expired, revoked, elsewhere] {
            let error = azure().survey(&host.access("acme", &token)).await.unwrap_err();
            let (kind, text) = (error.kind(), error.to_string());
            assert!(kind == Kind::Misconfigured && text.contains("refuses the token"), "{how:?}: {kind:?} {text}");
        }
        let asked = host.seen();
        let politely = |seen: &&crate::support::fake_github::Seen| seen.header("x-tfs-fedauthredirect") == ["Suppress"];
        assert_eq!(asked.iter().filter(politely).count(), asked.len());
    }
}

#[tokio::test]
async fn an_organization_that_is_not_there_or_stopped() {
    let host = FakeAzureDevops::start().await;
    let token = host.pat("mona", "acme", SCOPES);
    let error = azure().survey(&host.access("acmee", &token)).await.unwrap_err();
    insta::assert_snapshot!(steady(&host, &told(&error)), @"
    NotFound: listing the repositories of `acmee`: 127.0.0.1:PORT has no organization or collection `acmee`
    → check the spelling; people find it at http://127.0.0.1:PORT/acmee
    ");
    host.stopped(true);
    let error = azure().survey(&host.access("acme", &token)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "to try again is no use");
}

async fn listing_at(address: &str, http: reqwest::Client) -> Error {
    let access = Access::with_token(address.parse().unwrap(), "acme", "p4t".into());
    azure_devops::connect(net(http)).survey(&access).await.unwrap_err()
}

/// A resolver that knows no name, so that the test asks nobody.
struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("no such name".into()) })
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_found_or_reached_or_never_answers() {
    insta::assert_snapshot!(told(&listing_at("http://127.0.0.1:1/acme", client()).await), @"
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:1 cannot be reached
    → -
    ");
    let lost = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(NoNames)).build().unwrap();
    insta::assert_snapshot!(told(&listing_at("https://dev.azure.com/acme", lost).await), @"
    Remote { retry_after: None }: listing the repositories of `acme`: dev.azure.com is a name that cannot be resolved
    → -
    ");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let hurried = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(200)).build().unwrap();
    let error = listing_at(&format!("http://{address}/acme"), hurried).await;
    assert_eq!(error.to_string(), format!("listing the repositories of `acme`: {address} does not answer in time"));
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_not_sent() {
    for token in ["", "p4t\nq", "p4ñ"] {
        let access = Access::with_token("http://127.0.0.1:1/acme".parse().unwrap(), "acme", token.into());
        assert_eq!(azure().survey(&access).await.unwrap_err().kind(), Kind::Misconfigured);
    }
}

#[tokio::test]
async fn a_token_never_reaches_another_host() {
    let (host, other) = (FakeAzureDevops::start().await, FakeAzureDevops::start().await);
    let token = host.pat("mona", "acme", SCOPES);
    other.org("acme");
    for target in ["acme/_apis/git/repositories", "_signin"] {
        host.fail(2, &Fault::redirect(other.host().join(target).unwrap().as_str()));
        let error = azure().survey(&host.access("acme", &token)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
    }
    assert!(other.seen().is_empty(), "{:?}", other.seen());
}
