//! Which addresses are taken for an organization or a collection, and where git goes from there.

use futures_util::FutureExt as _;
use refward::domain::Kind;
use refward::forge::{Access, Page};
use refward::git::Credential;
use secrecy::ExposeSecret;

use super::azure;
use crate::place;

fn settled(address: &str) -> Result<(String, String), String> {
    let azure = azure();
    match azure.settle_url(&address.parse().unwrap()) {
        Ok(url) => Ok((url.to_string(), azure.owner_in(&url).unwrap())),
        Err(error) => {
            assert_eq!(error.kind(), Kind::BadRequest);
            Err(error.to_string())
        }
    }
}

#[test]
fn addresses_that_are_taken_and_the_owners_in_them() {
    for (given, stored, owner) in [
        ("https://dev.azure.com/acme", "https://dev.azure.com/acme", "acme"),
        ("https://Dev.Azure.Com./acme/", "https://dev.azure.com/acme", "acme"),
        ("https://acme.visualstudio.com", "https://dev.azure.com/acme", "acme"),
        ("https://acme.visualstudio.com/DefaultCollection/", "https://dev.azure.com/acme", "acme"),
        ("https://devops.example.com/Default", "https://devops.example.com/Default", "Default"),
        ("https://devops.example.com/tfs/Default/", "https://devops.example.com/tfs/Default", "Default"),
        (
            "https://devops.example.com:8443/tfs/My%20Teams",
            "https://devops.example.com:8443/tfs/My%20Teams",
            "My Teams",
        ),
        ("http://127.0.0.1:9000/acme", "http://127.0.0.1:9000/acme", "acme"),
        ("http://localhost:9000/tfs/acme", "http://localhost:9000/tfs/acme", "acme"),
    ] {
        assert_eq!(settled(given), Ok((stored.to_owned(), owner.to_owned())), "{given}");
        assert_eq!(settled(stored), settled(given), "a settled address stays as it is");
    }
}

#[test]
fn addresses_that_are_refused() {
    let refusals: Vec<String> = [
        "http://dev.azure.com/acme",
        "http://devops.example.com/Default",
        "ssh://git@ssh.dev.azure.com",
        "ssh://ssh.dev.azure.com",
        "https://acme@dev.azure.com/acme",
        "https://:secret@dev.azure.com/acme",
        "https://dev.azure.com/acme?x=1",
        "https://dev.azure.com/acme#x",
        "https://dev.azure.com",
        "https://dev.azure.com:8443/acme",
        "https://dev.azure.com/acme/Web",
        "https://dev.azure.com/acme/Web/_git/api",
        "https://dev.azure.com/ac%20me",
        "https://vssps.dev.azure.com/acme",
        "https://portal.azure.com",
        "https://acme.visualstudio.com/Web",
        "https://acme.vsrm.visualstudio.com/Web/_release",
        "https://devops.example.com",
        "https://devops.example.com/tfs/",
        "https://devops.example.com/Default/Web",
        "https://devops.example.com/tfs/Default/Web",
        "https://devops.example.com/Default/_git/api",
        "https://devops.example.com/_home",
    ]
    .iter()
    .map(|address| format!("{address}: {}", settled(address).unwrap_err()))
    .collect();
    insta::assert_snapshot!(refusals.join("\n"), @"
    http://dev.azure.com/acme: the forge's address must begin with https://: tokens are not sent in the clear
    http://devops.example.com/Default: the forge's address must begin with https://: tokens are not sent in the clear
    ssh://git@ssh.dev.azure.com: the forge's address must not hold a name or a credential; give the token by itself
    ssh://ssh.dev.azure.com: the forge's address must begin with https://
    https://acme@dev.azure.com/acme: the forge's address must not hold a name or a credential; give the token by itself
    https://:secret@dev.azure.com/acme: the forge's address must not hold a name or a credential; give the token by itself
    https://dev.azure.com/acme?x=1: the forge's address must end after the organization or collection: no `?` and no `#`
    https://dev.azure.com/acme#x: the forge's address must end after the organization or collection: no `?` and no `#`
    https://dev.azure.com: the forge's address names no organization: it must be https://dev.azure.com/ORGANIZATION
    https://dev.azure.com:8443/acme: the forge's address has a port, which dev.azure.com does not
    https://dev.azure.com/acme/Web: the forge's address is a project's: it must be https://dev.azure.com/acme
    https://dev.azure.com/acme/Web/_git/api: the forge's address is a project's: it must be https://dev.azure.com/acme
    https://dev.azure.com/ac%20me: `ac%20me` is not the name of an organization
    https://vssps.dev.azure.com/acme: the forge's address must be https://dev.azure.com/ORGANIZATION
    https://portal.azure.com: the forge's address must be https://dev.azure.com/ORGANIZATION
    https://acme.visualstudio.com/Web: the forge's address is a project's: it must be https://dev.azure.com/acme
    https://acme.vsrm.visualstudio.com/Web/_release: the forge's address is a project's: it must be https://dev.azure.com/acme
    https://devops.example.com: the forge's address names no collection: it must be https://HOST/COLLECTION
    https://devops.example.com/tfs/: the forge's address names no collection: it must be https://HOST/tfs/COLLECTION
    https://devops.example.com/Default/Web: the forge's address goes on after the collection: it must be https://HOST/COLLECTION, with `/tfs` before that if it has one
    https://devops.example.com/tfs/Default/Web: the forge's address goes on after the collection: it must be https://HOST/COLLECTION, with `/tfs` before that if it has one
    https://devops.example.com/Default/_git/api: the forge's address goes on after the collection: it must be https://HOST/COLLECTION, with `/tfs` before that if it has one
    https://devops.example.com/_home: the forge's address goes on after the collection: it must be https://HOST/COLLECTION, with `/tfs` before that if it has one
    ");
}

#[test]
fn where_git_goes() {
    let access = |url: &str| Access::with_token(url.parse().unwrap(), "acme", "p4t".into());
    for (host, full_name, expected) in [
        ("https://dev.azure.com/acme", "Web/api", "https://dev.azure.com/acme/Web/_git/api"),
        ("https://dev.azure.com/acme", "Web Shop/My Repo", "https://dev.azure.com/acme/Web%20Shop/_git/My%20Repo"),
        ("https://dev.azure.com/acme", "Prój/naïve.git", "https://dev.azure.com/acme/Pr%C3%B3j/_git/na%C3%AFve.git"),
        ("https://dev.azure.com/acme", "100%/a+b", "https://dev.azure.com/acme/100%25/_git/a+b"),
        ("https://d.example.com/tfs/Default", "Web/api", "https://d.example.com/tfs/Default/Web/_git/api"),
        ("https://dev.azure.com/acme", "Web", ""),
        ("https://dev.azure.com/acme", "Web/", ""),
        ("https://dev.azure.com/acme", "/api", ""),
        ("https://dev.azure.com/acme", "Web/..", ""),
        ("https://dev.azure.com/acme", "../api", ""),
        ("https://dev.azure.com/acme", "Web/api/x", ""),
        ("https://dev.azure.com/acme", "Web/api?x", ""),
        ("https://dev.azure.com/acme", "Web/a\\b", ""),
        ("https://dev.azure.com/acme", "Web/a\nb", ""),
    ] {
        let remote = azure().remote(&access(host), place(full_name));
        assert_eq!(remote.as_ref().map_or("", |remote| remote.url.as_str()), expected, "{full_name}");
        if let Ok(remote) = remote {
            let credential = remote.credential.unwrap().credential().now_or_never().unwrap().unwrap();
            let Credential::Basic { username, password } = credential else { panic!("not basic authentication") };
            assert_eq!((username.as_str(), password.expose_secret()), ("", "p4t"));
        }
    }
}

#[test]
fn pages_for_people() {
    let old = "1111111111111111111111111111111111111111".parse().unwrap();
    let new = "2222222222222222222222222222222222222222".parse().unwrap();
    let host = "https://dev.azure.com/acme".parse().unwrap();
    let pages: Vec<String> = [
        Page::Tokens,
        Page::Hooks("acme"),
        Page::NewRepository("Web Shop/api"),
        Page::Branch("Web Shop/api", "feature/ü"),
        Page::Between("Web Shop/api", &old, &new),
    ]
    .into_iter()
    .map(|page| azure().page(&host, page).unwrap().to_string())
    .collect();
    insta::assert_snapshot!(pages.join("\n"), @"
    https://dev.azure.com/acme/_usersSettings/tokens
    https://dev.azure.com/acme/_settings
    https://dev.azure.com/acme/Web%20Shop/_settings/repositories
    https://dev.azure.com/acme/Web%20Shop/_git/api?version=GBfeature%2F%C3%BC
    https://dev.azure.com/acme/Web%20Shop/_git/api/branchCompare?baseVersion=GC1111111111111111111111111111111111111111&targetVersion=GC2222222222222222222222222222222222222222
    ");
}
