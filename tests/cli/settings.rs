//! Settings: unknown ones are refused by name, secret ones are not shown.

use std::os::unix::fs::PermissionsExt;

use crate::run;
use crate::support::world::World;

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::new().await;
    for (key, value) in [
        ("workers.conut", "2"),
        ("workers.count", "0"),
        ("workers.count", "many"),
        ("sweep.interval", "often"),
        ("database.url", "mysql://localhost/x"),
        ("server.listen", "nonsense"),
        ("server.listen", "127.0.0.1:http"),
        ("server.listen", "127.0.0.1:70000"),
        ("vault.url", "ftp://x"),
        ("http.proxy", "ftp://"),
    ] {
        let mut command = world.command(&["config", "check"]);
        command.env(format!("REFWARD__{}", key.to_uppercase().replace('.', "__")), value);
        let output = command.output().await.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(6), "{told}");
        let (section, name) = key.split_once('.').unwrap();
        assert!(told.contains(name) && told.contains(section), "{key}={value}: {told}");
    }

    let file = world.folder().join("refward.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[workers]", "[workers]\ncuont = 3")).unwrap();
    insta::assert_snapshot!(run(&world, &["config", "check"]).await, @"
    error: cannot use the settings in [DIR]/backup/refward.toml: unknown field `cuont`, expected one of `count`, `lease`, `retry_first`, `retry_longest`, `pools`, `upkeep` for key `workers`
      `refward init` writes a file with every setting explained
    => 6
    ");
    std::fs::write(&file, "[workers").unwrap();
    insta::assert_snapshot!(run(&world, &["config", "check"]).await, @"
    error: cannot use the settings in [DIR]/backup/refward.toml: TOML parse error at line 1, column 9
      |
    1 | [workers
      |         ^
    unclosed table, expected `]`
     in backup/refward.toml
      `refward init` writes a file with every setting explained
    => 6
    ");
}

#[tokio::test]
async fn what_could_not_be_opened_is_refused_before_it_matters() {
    let mut world = World::new().await;
    for listen in ["localhost:0", "[::1]:8080", "0.0.0.0:8080"] {
        world.set("server.listen", listen);
        assert!(run(&world, &["config", "check"]).await.ends_with("=> 0"), "{listen}");
    }
    let with = async |key: &str, text: Option<&str>| {
        let file = world.folder().join(key);
        let own = std::fs::read(&file).unwrap();
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let told = run(&world, &["config", "check"]).await;
        std::fs::write(&file, own).unwrap();
        told
    };
    insta::assert_snapshot!(with("keys/signing.pem", None).await, @"
    error: the key file [DIR]/backup/keys/signing.pem is missing
      put it back where `keys.signing` says, or run `refward init` for a new installation
    => 6
    ");
    insta::assert_snapshot!(with("keys/credentials.agekey", None).await, @"
    error: the key file [DIR]/backup/keys/credentials.agekey is missing
      put it back where `keys.credentials` says, or run `refward init` for a new installation
    => 6
    ");
    insta::assert_snapshot!(with("keys/signing.pem", Some("mine")).await, @"
    error: `keys.signing`, [DIR]/backup/keys/signing.pem, is not an Ed25519 key in PKCS#8 PEM
      put back the file that `refward init` wrote
    => 6
    ");
    for (file, setting) in [("keys/vault.agekey", "keys.identity"), ("keys/credentials.agekey", "keys.credentials")] {
        let told = with(file, Some("# nothing")).await;
        assert!(told.contains(&format!("reading `{setting}`")) && told.ends_with("=> 6"), "{told}");
    }
    assert!(with("keys/vault.agekey", None).await.ends_with("=> 0"), "that is a sealed deployment");

    world.set("vault.url", "s3://bucket/prefix");
    world.set("vault.options.aws_regoin", "eu-central-1");
    insta::assert_snapshot!(run(&world, &["config", "check"]).await, @"
    error: the setting `vault.options.aws_regoin` is not one that this kind of store knows
      the names are those that the `object_store` crate documents for this store
    => 6
    ");
}

#[tokio::test]
async fn secrets_are_blotted_out() {
    let mut world = World::new().await;
    world.set("database.url", "postgres://refward:hunter2@db.example.com/refward");
    world.set("vault.options.aws_secret_access_key", "hunter2");
    world.set("vault.options.aws_region", "eu-central-1");
    world.set("http.proxy", "http://me:hunter2@proxy.example.com:3128");
    for arguments in [&["config", "check"][..], &["config", "check", "--json"]] {
        let told = run(&world, arguments).await;
        assert!(told.ends_with("=> 0") && !told.contains("hunter2"), "{told}");
        for shown in ["refward:(set)@db.example.com", "eu-central-1", "me:(set)@proxy.example.com"] {
            assert!(told.contains(shown), "{told}");
        }
    }
}

#[tokio::test]
async fn the_settings_file_explains_itself() {
    let world = World::new().await;
    let told = run(&world, &["config", "check"]).await;
    let file = std::fs::read_to_string(world.folder().join("refward.toml")).unwrap();
    for line in told.lines().filter(|line| line.starts_with('[')) {
        assert!(file.contains(line), "{line} is not in refward.toml");
    }
    for name in ["refward.toml", "recovery-kit.txt", "refward.db", "keys/vault.agekey", "keys/signing.pem"] {
        let mode = world.folder().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read {name}");
    }
}
