//! Which addresses are taken for a GitHub, and where git goes from there.

use futures_util::FutureExt as _;
use refward::domain::Kind;
use refward::forge::Access;
use refward::git::Credential;
use secrecy::ExposeSecret;

use crate::{github, place};

fn settled(address: &str) -> Result<String, String> {
    match github().settle_url(&address.parse().unwrap()) {
        Ok(url) => Ok(url.into()),
        Err(error) => {
            assert_eq!(error.kind(), Kind::BadRequest);
            Err(error.to_string())
        }
    }
}

#[test]
fn addresses_that_are_taken() {
    for (given, stored) in [
        ("https://github.com", "https://github.com/"),
        ("https://github.com:443/", "https://github.com/"),
        ("https://GitHub.com.", "https://github.com/"),
        ("https://www.github.com", "https://github.com/"),
        ("https://octo.ghe.com", "https://octo.ghe.com/"),
        ("https://git.example.com/", "https://git.example.com/"),
        ("https://git.example.com:8443", "https://git.example.com:8443/"),
        ("https://10.1.2.3", "https://10.1.2.3/"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/"),
        ("http://localhost:9000/", "http://localhost:9000/"),
        ("http://[::1]:9000", "http://[::1]:9000/"),
    ] {
        assert_eq!(settled(given).as_deref(), Ok(stored), "{given}");
    }
}

#[test]
fn addresses_that_are_refused() {
    let refusals: Vec<String> = [
        "http://github.com",
        "http://git.example.com",
        "http://127.0.0.1.example.com",
        "ssh://git@github.com",
        "ssh://github.com",
        "https://mona@github.com",
        "https://:ghp_secret@github.com",
        "https://github.com/?token=x",
        "https://github.com/#x",
        "https://api.github.com",
        "https://gist.github.com",
        "https://github.com:8443",
        "https://github.com/acme",
        "https://ghe.com",
        "https://api.octo.ghe.com",
        "https://git.example.com/api/v3/",
    ]
    .iter()
    .map(|address| format!("{address}: {}", settled(address).unwrap_err()))
    .collect();
    insta::assert_snapshot!(refusals.join("\n"), @"
    http://github.com: the forge's address must begin with https://: tokens are not sent in the clear
    http://git.example.com: the forge's address must begin with https://: tokens are not sent in the clear
    http://127.0.0.1.example.com: the forge's address must begin with https://: tokens are not sent in the clear
    ssh://git@github.com: the forge's address must not hold a credential; give the token by itself
    ssh://github.com: the forge's address must begin with https://
    https://mona@github.com: the forge's address must not hold a credential; give the token by itself
    https://:ghp_secret@github.com: the forge's address must not hold a credential; give the token by itself
    https://github.com/?token=x: the forge's address must end after the host: no `?` and no `#`
    https://github.com/#x: the forge's address must end after the host: no `?` and no `#`
    https://api.github.com: the forge's address must be https://github.com
    https://gist.github.com: the forge's address must be https://github.com
    https://github.com:8443: the forge's address has a port, which this GitHub does not
    https://github.com/acme: the forge's address must end after the host; the owner is given by itself
    https://ghe.com: the forge's address must be https://YOURS.ghe.com
    https://api.octo.ghe.com: the forge's address must be https://octo.ghe.com
    https://git.example.com/api/v3/: the forge's address is the one that people open in the browser: leave `/api/v3` away
    ");
}

#[test]
fn where_git_goes() {
    let access = |url: &str| Access::with_token(url.parse().unwrap(), "acme", "ghp_x".into());
    for (host, full_name, expected) in [
        ("https://github.com", "acme/api", "https://github.com/acme/api.git"),
        ("https://octo.ghe.com", "acme/.github", "https://octo.ghe.com/acme/.github.git"),
        ("http://127.0.0.1:9000", "acme/a b", ""),
        ("http://127.0.0.1:9000", "acme/naïve", "http://127.0.0.1:9000/acme/na%C3%AFve.git"),
        ("https://github.com", "acme", ""),
        ("https://github.com", "acme/", ""),
        ("https://github.com", "acme/..", ""),
        ("https://github.com", "../api", ""),
        ("https://github.com", "acme/api/x", ""),
        ("https://github.com", "acme/%2e%2e", ""),
        ("https://github.com", "acme/api?x", ""),
        ("https://github.com", "acme\\api/x", ""),
    ] {
        let remote = github().remote(&access(host), place(full_name));
        assert_eq!(remote.as_ref().map_or("", |remote| remote.url.as_str()), expected, "{full_name}");
        if let Ok(remote) = remote {
            let credential = remote.credential.unwrap().credential().now_or_never().unwrap().unwrap();
            let Credential::Basic { username, password } = credential else { panic!("not basic authentication") };
            assert_eq!((username.as_str(), password.expose_secret()), ("x-access-token", "ghp_x"));
        }
    }
}
