//! Who can do what with which key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use refward::domain::Kind;
use refward::vault::{CredentialKey, Keys, Level, Vault};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::support::{Chain, Place, key_settings, seq, single, text};

#[tokio::test]
async fn secret_files_are_for_their_owner_alone_and_never_overwritten() {
    let place = Place::new().await;
    let files = [place.keys.identity.clone(), place.keys.signing.clone(), place.keys.credentials.clone(), place.kit()];
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let before: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();

    // Another vault with the same key paths; then the same vault with other key paths.
    let elsewhere = super::support::vault_settings(&format!("file://{}", place.dir.path().join("second").display()));
    let error = Vault::found(&elsewhere, &place.keys, &place.dir.path().join("kit")).await.err().unwrap();
    assert!(error.to_string().contains("vault.agekey exists already"), "{error}");
    let other = TempDir::new().unwrap();
    let error =
        Vault::found(&place.settings, &key_settings(other.path()), &other.path().join("kit")).await.err().unwrap();
    assert!(error.to_string().contains("there is a vault at"), "{error}");
    assert!(!other.path().join("keys/vault.agekey").exists());

    // A kit in the way takes the fresh keys back.
    fs::write(other.path().join("kit"), "mine").unwrap();
    let error = Vault::found(&elsewhere, &key_settings(other.path()), &other.path().join("kit")).await.err().unwrap();
    assert!(error.to_string().contains("kit exists already"), "{error}");
    assert_eq!(fs::read_dir(other.path().join("keys")).unwrap().count(), 0);
    assert_eq!(fs::read(other.path().join("kit")).unwrap(), b"mine");
    let after: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(before, after);
}

#[tokio::test]
async fn the_recovery_kit_alone_reads_everything() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 5000).await;
    for key in [text(&place.kit()), text(&place.keys.identity)] {
        let vault = Vault::open_reading(&place.settings, &key).await.unwrap();
        assert!(!vault.is_sealed());
        let out = TempDir::new().unwrap();
        assert!(vault.extract(&chain.repo, &single(1), out.path()).await.unwrap().pack.unwrap().exists());
        let record = chain.record(&vault, &chain.state);
        let error = vault.append(&record, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().contains("reading only"), "{error}");
    }
}

#[tokio::test]
async fn a_sealed_deployment_appends_and_compares_but_cannot_read() {
    let place = Place::new().await;
    fs::remove_file(&place.keys.identity).unwrap();
    let sealed = place.reopened().await.unwrap();
    assert!(sealed.is_sealed());
    let mut chain = Chain::new("1");
    chain.append_bytes(&sealed, 1000).await;
    let last = chain.append_bytes(&sealed, 1000).await;
    assert_eq!(sealed.hash(&chain.repo, &single(2)).await.unwrap(), last);

    let out = TempDir::new().unwrap();
    let errors = [
        sealed.record(&chain.repo, &single(1)).await.unwrap_err(),
        sealed.extract(&chain.repo, &single(1), out.path()).await.unwrap_err(),
        sealed.state_at(&chain.repo, None).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().contains("sealed"), "{error}");
        assert!(error.next_step().unwrap().contains("keys.identity"));
    }
    let expected = Some(&chain.written[..]);
    assert_eq!(sealed.verify(&chain.repo, Level::ReadData(1.0), expected, &|_| {}).await.unwrap(), []);
    fs::write(place.object(&chain.repo, 2), "gone").unwrap();
    let findings = sealed.verify(&chain.repo, Level::ReadData(1.0), expected, &|_| {}).await.unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].seq, Some(seq(2)));
    // What the sealed deployment wrote, the recovery key reads.
    let reading = Vault::open_reading(&place.settings, &text(&place.kit())).await.unwrap();
    assert!(reading.record(&chain.repo, &single(1)).await.is_ok());
}

#[tokio::test]
async fn a_wrong_key_is_told_at_once_with_what_to_do() {
    let (place, stranger) = (Place::new().await, Place::new().await);
    for key in [text(&stranger.keys.identity), text(&stranger.kit())] {
        let error = Vault::open_reading(&place.settings, &key).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.next_step().is_some_and(|hint| hint.contains("key")), "{error}");
    }
    let error = Vault::open(&place.settings, Keys::load(&stranger.keys).unwrap()).await.err().unwrap();
    assert!(error.to_string().contains("belongs to another signing key"), "{error}");

    fs::copy(&stranger.keys.identity, &place.keys.identity).unwrap();
    let error = place.reopened().await.err().unwrap();
    assert!(error.to_string().contains("the key does not open the vault"), "{error}");
    fs::write(&place.keys.identity, "AGE-SECRET-KEY-1NONSENSE").unwrap();
    let error = place.reopened().await.err().unwrap();
    assert!(error.to_string().contains("vault.agekey"), "{error}");
    assert!(!error.for_log().contains("NONSENSE"), "a secret in an error");
    fs::remove_file(&place.keys.signing).unwrap();
    let error = place.reopened().await.err().unwrap();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.to_string().contains("signing.pem is missing") || error.to_string().contains("vault.agekey"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_adds_themselves_to_the_recipients() {
    let (place, stranger) = (Place::new().await, Place::new().await);
    let path = place.root().join("vault.json");
    let original = fs::read_to_string(&path).unwrap();
    let recipient = |json: &str| {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json["recipients"][0]["key"].as_str().unwrap().to_owned()
    };
    let theirs = recipient(&fs::read_to_string(stranger.root().join("vault.json")).unwrap());
    fs::write(&path, original.replace(&recipient(&original), &theirs)).unwrap();
    let error = place.reopened().await.err().unwrap();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("its signature does not match"), "{error}");

    // Not even by bringing a signing key along: ours, or the kit's, is the one that counts.
    for file in ["vault.json", "vault.json.sig"] {
        fs::copy(stranger.root().join(file), place.root().join(file)).unwrap();
    }
    let error = place.reopened().await.err().unwrap();
    assert!(error.to_string().contains("belongs to another signing key"), "{error}");
    assert!(Vault::open_reading(&place.settings, &text(&place.kit())).await.is_err());
}

#[tokio::test]
async fn credentials_are_sealed_to_a_key_of_their_own() {
    let place = Place::new().await;
    let key = CredentialKey::load(&place.keys.credentials).unwrap();
    let secret = SecretString::from("ghp_0123456789");
    let sealed = key.seal(&secret).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("ghp_"));
    assert_eq!(key.open(&sealed).unwrap().expose_secret(), secret.expose_secret());

    let stranger = Place::new().await;
    let error = CredentialKey::load(&stranger.keys.credentials).unwrap().open(&sealed).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(CredentialKey::load(&place.keys.identity).unwrap().open(&sealed).is_err());
    let error = CredentialKey::load(&place.dir.path().join("nothing")).err().unwrap();
    assert!(error.to_string().contains("nothing is missing"), "{error}");
}
