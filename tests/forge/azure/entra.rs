//! Tokens of Entra: what proves who we are, how long a token is used, and what is wrong when there is none.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use refward::domain::{Error, Kind, Result};
use refward::forge::quota::Urgency;
use refward::forge::{Access, Credential, CredentialKind, Forge, OauthClient, Place, Proof, Refresh, azure_devops};
use refward::git::{self, Login};
use secrecy::{ExposeSecret, SecretString};

use crate::support::fake_entra::{Application, FakeEntra};
use crate::{client, net};

fn forge() -> Box<dyn Forge> {
    azure_devops::connect(net(client()))
}

/// What git signs in with.
fn login(forge: &dyn Forge, kind: CredentialKind) -> Arc<dyn Login> {
    let url = "https://dev.azure.com/contoso".parse().unwrap();
    let credentials = vec![Credential { label: "it".to_owned(), who: "it".to_owned(), kind }];
    let access = Access { url, owner: "contoso".to_owned(), credentials, urgency: Urgency::Event };
    forge.remote(&access, Place { forge_id: "1", full_name: "Fabrikam/web" }).unwrap().credential.unwrap()
}

async fn token(forge: &dyn Forge, kind: &CredentialKind) -> Result<String> {
    match login(forge, kind.clone()).credential().await? {
        git::Credential::Bearer(token) => Ok(token.expose_secret().to_owned()),
        git::Credential::Basic { .. } => panic!("Entra's tokens are bearer tokens"),
    }
}

fn with_secret(client: OauthClient, secret: &SecretString) -> CredentialKind {
    CredentialKind::Client { client, proof: Proof::Secret(secret.clone()) }
}

fn with_certificate(app: &Application, pem: SecretString) -> CredentialKind {
    CredentialKind::Client { client: app.client(), proof: Proof::Certificate(pem) }
}

/// A sign-in that is kept in memory.
struct Kept(Mutex<SecretString>);

#[async_trait]
impl Refresh for Kept {
    fn id(&self) -> String {
        "kept".to_owned()
    }

    async fn token(&self) -> Result<SecretString> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn keep(&self, _: &SecretString, newer: &SecretString) -> Result<()> {
        *self.0.lock().unwrap() = newer.clone();
        Ok(())
    }
}

fn signed_in(app: &Application, kept: &Arc<Kept>) -> CredentialKind {
    let (client, refresh) = (app.client(), Arc::clone(kept) as Arc<dyn Refresh>);
    CredentialKind::Delegated { client, proof: Proof::Secret(app.secret()), refresh }
}

/// An error as a person would meet it.
fn told(entra: &FakeEntra, app: &Application, error: &Error) -> String {
    let port = format!(":{}", entra.url().port().unwrap());
    let text = format!("{:?}: {error}\n→ {}", error.kind(), error.next_step().unwrap_or("-"));
    let text = text.replace(&app.id.to_string(), "CLIENT").replace(&entra.tenant().to_string(), "TENANT");
    text.replace(&port, ":PORT")
}

#[tokio::test]
async fn a_service_principal_proves_itself_with_a_secret_or_with_a_certificate() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let forge = forge();
    for kind in [
        with_secret(app.client(), &app.secret()),
        with_certificate(&app, app.certificate(0)),
        with_certificate(&app, app.certificate(1)),
        with_secret(OauthClient { tenant: "Contoso.example".to_owned(), ..app.client() }, &app.secret()),
    ] {
        let token = token(&*forge, &kind).await.unwrap();
        assert_eq!(entra.holder(&token).unwrap().object_id, app.object_id);
    }
    assert_eq!(entra.minted(), 4, "each is somebody of their own");
}

#[tokio::test]
async fn however_many_want_a_token_it_is_made_once() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let (forge, kind) = (forge(), with_secret(app.client(), &app.secret()));
    let tokens = join_all((0..20).map(|_| token(&*forge, &kind))).await;
    let first = tokens[0].as_ref().unwrap();
    assert!(tokens.iter().all(|token| token.as_ref().unwrap() == first));
    assert_eq!(entra.grants(), ["client_credentials"]);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    entra.token_life(12);
    let (forge, kind) = (forge(), with_secret(app.client(), &app.secret()));
    let (first, since) = (token(&*forge, &kind).await.unwrap(), Instant::now());
    loop {
        let asked = Instant::now();
        let now = token(&*forge, &kind).await.unwrap();
        if now != first {
            return;
        }
        assert!(asked - since < Duration::from_secs(12), "a token was used that had ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_made_anew_once() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let (forge, kind) = (forge(), with_secret(app.client(), &app.secret()));
    let login = login(&*forge, kind.clone());
    let refused = login.credential().await.unwrap();
    entra.revoke_tokens();
    assert!(login.try_again(401, &refused).await.unwrap());
    assert!(entra.holder(&token(&*forge, &kind).await.unwrap()).is_some());
    assert!(!login.try_again(401, &refused).await.unwrap(), "a second refusal is meant");
    assert_eq!(entra.minted(), 2);
}

#[tokio::test]
async fn a_sign_in_is_renewed_with_every_use_in_whichever_process() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    entra.refreshes_once();
    let first = entra.signed_in("mona", &app);
    let kept = Arc::new(Kept(Mutex::new(first.clone())));
    let kind = signed_in(&app, &kept);
    let mona = entra.user("mona");
    for _ in 0..3 {
        let process = forge();
        let token = token(&*process, &kind).await.unwrap();
        assert_eq!(entra.holder(&token).unwrap().object_id, mona);
    }
    assert_ne!(kept.token().await.unwrap().expose_secret(), first.expose_secret());
    assert_eq!(entra.grants(), ["refresh_token"; 3]);
}

/// One that another process uses and keeps between our reading it and our using it.
struct Overtaken(Mutex<Vec<SecretString>>);

#[async_trait]
impl Refresh for Overtaken {
    fn id(&self) -> String {
        "overtaken".to_owned()
    }

    async fn token(&self) -> Result<SecretString> {
        let mut tokens = self.0.lock().unwrap();
        Ok(if tokens.len() > 1 { tokens.remove(0) } else { tokens[0].clone() })
    }

    async fn keep(&self, _: &SecretString, _: &SecretString) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_another_process_has_kept_meanwhile_is_used() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let newest = entra.signed_in("mona", &app);
    let refresh = Arc::new(Overtaken(Mutex::new(vec!["used-up".into(), newest])));
    let (client, proof) = (app.client(), Proof::Secret(app.secret()));
    let token = token(&*forge(), &CredentialKind::Delegated { client, proof, refresh }).await.unwrap();
    assert_eq!(entra.holder(&token).unwrap().name, "mona");
    assert_eq!(entra.grants(), ["refresh_token"; 2]);
}

#[tokio::test]
async fn what_entra_has_against_us_is_told_with_what_to_do() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let refused = async |kind: CredentialKind| told(&entra, &app, &token(&*forge(), &kind).await.unwrap_err());

    insta::assert_snapshot!(refused(with_secret(app.client(), &"wrong".into())).await, @"
    Misconfigured: signing in at Entra: the client secret of application CLIENT is wrong
    → give the secret's Value, not its Secret ID; make a new one under Certificates & secrets
    ");
    let secret = app.secret();
    app.expire_secrets();
    insta::assert_snapshot!(refused(with_secret(app.client(), &secret)).await, @"
    Misconfigured: signing in at Entra: the client secret of application CLIENT has expired
    → make a new one under Certificates & secrets, and give it to Refward with `refward connections set-token`
    ");
    let certificate = app.certificate(0);
    app.remove_certificates();
    insta::assert_snapshot!(refused(with_certificate(&app, certificate.clone())).await, @"
    Misconfigured: signing in at Entra: Entra does not know the certificate of application CLIENT, or it is not the private key's
    → upload the certificate, without its key, under Certificates & secrets
    ");
    let nobody = OauthClient { client_id: uuid::Uuid::nil().to_string(), ..app.client() };
    insta::assert_snapshot!(refused(with_secret(nobody, &secret)).await, @"
    Misconfigured: signing in at Entra: tenant TENANT has no application 00000000-0000-0000-0000-000000000000
    → compare both ids with the application's Overview; an application of another tenant needs that one's id, or an administrator's consent in this one
    ");
    let nowhere = OauthClient { tenant: "fabrikam.example".to_owned(), ..app.client() };
    insta::assert_snapshot!(refused(with_secret(nowhere, &secret)).await, @"
    Misconfigured: signing in at Entra: there is no tenant fabrikam.example at 127.0.0.1:PORT
    → it is the Directory (tenant) ID of the application's Overview; national clouds have addresses of their own
    ");

    let (key, public) = certificate.expose_secret().split_once("-----BEGIN CERTIFICATE").unwrap();
    insta::assert_snapshot!(refused(with_certificate(&app, key.into())).await, @"
    Misconfigured: the certificate's file holds no certificate
    → it has to hold the certificate and its private key, RSA and without a passphrase, as PEM
    ");
    let public = format!("-----BEGIN CERTIFICATE{public}");
    insta::assert_snapshot!(refused(with_certificate(&app, public.clone().into())).await, @"
    Misconfigured: the certificate's file holds no private key
    → it has to hold the certificate and its private key, RSA and without a passphrase, as PEM
    ");
    let locked = format!("{public}-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    insta::assert_snapshot!(refused(with_certificate(&app, locked.into())).await, @"
    Misconfigured: the certificate's file has a private key with a passphrase
    → it has to hold the certificate and its private key, RSA and without a passphrase, as PEM
    ");

    let kept = Arc::new(Kept(Mutex::new(entra.signed_in("mona", &app))));
    let kind = signed_in(&app, &kept);
    entra.ends_sign_ins("mona");
    insta::assert_snapshot!(refused(kind).await, @"
    Misconfigured: signing in at Entra: the sign-in has ended: it was not used for long, the password was changed, or an administrator or a policy ended it
    → sign in again at /setup; a service principal needs no sign-in
    ");
    let secret = app.secret();
    app.disable();
    insta::assert_snapshot!(refused(with_secret(app.client(), &secret)).await, @"
    Misconfigured: signing in at Entra: application CLIENT is switched off in tenant TENANT
    → an administrator can switch it on: Enterprise applications, Properties, Enabled for users to sign in
    ");
}

#[tokio::test]
async fn who_is_asked_to_wait_asks_nothing_before() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let (forge, kind) = (forge(), with_secret(app.client(), &app.secret()));
    entra.fail(429, Some(40));
    let error = token(&*forge, &kind).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Remote { retry_after: Some(Duration::from_secs(40)) });
    let Kind::Throttled { retry_after } = token(&*forge, &kind).await.unwrap_err().kind() else { panic!() };
    assert!(retry_after <= Duration::from_secs(40), "{retry_after:?}");
    assert_eq!(entra.grants(), [""; 0]);

    // Trouble passes without that.
    let forge = self::forge();
    entra.fail(500, None);
    assert_eq!(token(&*forge, &kind).await.unwrap_err().kind(), Kind::Remote { retry_after: None });
    token(&*forge, &kind).await.unwrap();
}

#[test]
fn a_client_leads_nowhere_but_to_its_tenant() {
    let forge = forge();
    let settle = |authority: &str, tenant: &str, client_id: &str| {
        let (tenant, client_id) = (tenant.to_owned(), client_id.to_owned());
        let client = OauthClient { authority: authority.parse().unwrap(), tenant, client_id };
        forge.sign_in().unwrap().settle_client(&client)
    };
    let id = "0B7C9A52-3F1D-4A6E-9C58-7D2E1F3A4B5C";
    let settled = settle("https://login.microsoftonline.us", " Contoso.Example ", id).unwrap();
    assert_eq!(
        (settled.authority.as_str(), settled.tenant.as_str(), settled.client_id),
        ("https://login.microsoftonline.us/", "contoso.example", id.to_lowercase())
    );
    for (authority, tenant, client_id) in [
        ("http://login.microsoftonline.com", "contoso.example", id),
        ("https://login.microsoftonline.com/contoso", "contoso.example", id),
        ("https://login.microsoftonline.com:8443", "contoso.example", id),
        ("https://login.microsoftonline.com.example.com", "contoso.example", id),
        // It would say of anybody that they are whoever it likes.
        ("https://login.example.com", "contoso.example", id),
        ("https://me:secret@login.microsoftonline.com", "contoso.example", id),
        ("https://login.microsoftonline.com", "common", id),
        ("https://login.microsoftonline.com", "../other", id),
        ("https://login.microsoftonline.com", "..", id),
        ("https://login.microsoftonline.com", "", id),
        ("https://login.microsoftonline.com", "contoso.example", "Refward"),
    ] {
        assert_eq!(settle(authority, tenant, client_id).unwrap_err().kind(), Kind::BadRequest, "{authority} {tenant}");
    }
}

#[tokio::test]
async fn no_server_is_sent_what_opens_every_organization() {
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let url = "https://devops.example.com/tfs/acme".parse().unwrap();
    let access = Access::with(url, "acme", with_secret(app.client(), &app.secret()));
    let forge = forge();
    let refused = forge.inspect(&access).await.err().unwrap();
    assert_eq!(refused.to_string(), "devops.example.com is an Azure DevOps Server, which has no Entra");
    assert!(forge.remote(&access, Place { forge_id: "1", full_name: "Fabrikam/web" }).is_err());
    assert_eq!(entra.grants(), [""; 0], "and no token is made for it");
}
