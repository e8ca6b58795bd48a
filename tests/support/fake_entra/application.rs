//! Applications, and what proves that somebody is one.

use std::process::Command;
use std::sync::OnceLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use refward::forge::OauthClient;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::FakeEntra;
use super::state::{App, Certificate};

/// A registered application.
#[derive(Clone)]
pub struct Application {
    entra: FakeEntra,
    /// The application's (client's) id.
    pub id: Uuid,
    /// The object id of its service principal: what is added to organizations.
    pub object_id: Uuid,
}

impl Application {
    pub(super) fn register(entra: &FakeEntra, name: &str) -> Self {
        let app = Self { entra: entra.clone(), id: Uuid::new_v4(), object_id: Uuid::new_v4() };
        entra.state().apps.push(App {
            client_id: app.id,
            object_id: app.object_id,
            name: name.to_owned(),
            secrets: Vec::new(),
            certificates: Vec::new(),
            redirects: Vec::new(),
            public: false,
            enabled: true,
            needs_admin: false,
            agreed_for_all: false,
        });
        app
    }

    /// As we know it.
    pub fn client(&self) -> OauthClient {
        OauthClient {
            authority: self.entra.url().clone(),
            tenant: self.entra.tenant().to_string(),
            client_id: self.id.to_string(),
        }
    }

    /// A new client secret; the others stay good.
    pub fn secret(&self) -> SecretString {
        let secret = format!("s3c~{}", Uuid::new_v4().simple());
        self.change(|app| app.secrets.push((secret.clone(), false)));
        secret.into()
    }

    /// All client secrets so far have expired.
    pub fn expire_secrets(&self) {
        self.change(|app| app.secrets.iter_mut().for_each(|(_, expired)| *expired = true));
    }

    /// Uploads a certificate of its own; returns it with its key. `number`: pairs repeat after two.
    pub fn certificate(&self, number: usize) -> SecretString {
        let pair = pair(number);
        let der = pem::parse(&pair.certificate).unwrap().into_contents();
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(der));
        let public_pem = pair.public.clone();
        self.change(|app| app.certificates.push(Certificate { thumbprint, public_pem }));
        // The key first, as some tools write it.
        format!("{}{}", pair.key, pair.certificate).into()
    }

    /// Nobody has a certificate any more.
    pub fn remove_certificates(&self) {
        self.change(|app| app.certificates.clear());
    }

    /// Where browsers may come back to.
    pub fn redirects_to(&self, address: &str) {
        self.change(|app| app.redirects.push(address.to_owned()));
    }

    /// “Allow public client flows”.
    pub fn public_client_flows(&self) {
        self.change(|app| app.public = true);
    }

    /// Users may not agree by themselves.
    pub fn needs_admin_consent(&self) {
        self.change(|app| app.needs_admin = true);
    }

    /// “Enabled for users to sign in: No”.
    pub fn disable(&self) {
        self.change(|app| app.enabled = false);
    }

    fn change(&self, change: impl FnOnce(&mut App)) {
        let mut state = self.entra.state();
        change(state.apps.iter_mut().find(|app| app.client_id == self.id).unwrap());
    }
}

struct Pair {
    key: String,
    certificate: String,
    public: String,
}

/// Two for the whole process, because making one takes a while.
fn pair(number: usize) -> &'static Pair {
    static PAIRS: [OnceLock<Pair>; 2] = [const { OnceLock::new() }; 2];
    PAIRS[number % PAIRS.len()].get_or_init(|| {
        let dir = tempfile::TempDir::new().unwrap();
        let run = |arguments: &[&str]| {
            let ran = Command::new("openssl").args(arguments).current_dir(dir.path()).output();
            let ran = ran.expect("openssl must be installed; see scripts/test-setup.sh");
            assert!(ran.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
            String::from_utf8(ran.stdout).unwrap()
        };
        let made = ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=refward", "-days", "30"];
        run(&[&["req", "-x509", "-newkey", "rsa:2048", "-nodes"][..], &made].concat());
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let public = run(&["x509", "-in", "cert.pem", "-noout", "-pubkey"]);
        Pair { key: read("key.pem"), certificate: read("cert.pem"), public }
    })
}
