//! Every error says what happened and what to do next; its exit code says whose turn it is.

use serde_json::{Value, json};

use crate::run;
use crate::support::fake_github::{Fault, Token};
use crate::support::world::{Ran, World, files};

#[tokio::test]
async fn commands_that_make_no_sense() {
    let world = World::new().await;
    insta::assert_snapshot!(run(&world, &["snapshot", "acme/api"]).await, @"
    error: unrecognized subcommand 'snapshot'

      tip: a similar subcommand exists: 'snapshots'

    Usage: refward [OPTIONS] <COMMAND>

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["snapshots", "acme"]).await, @"
    error: invalid value 'acme' for '<REPO>': `acme` is not a repository: write OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["refs", "acme/api", "--at", "0"]).await, @"
    error: invalid value '0' for '--at <SEQ|TIME>': snapshots are counted from 1

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["refs", "acme/api", "--at", "next blue moon"]).await, @r#"
    error: invalid value 'next blue moon' for '--at <SEQ|TIME>': `next blue moon` is not a moment: write a snapshot number, a time like 2026-11-20T14:05:00Z, or "10 minutes ago"

    For more information, try '--help'.
    => 2
    "#);
    insta::assert_snapshot!(run(&world, &["serve", "--listen", "here"]).await, @"
    error: --listen here is no address with a port
      for example 127.0.0.1:8080; port 0 takes any free one
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["restore", "acme/api", "--at", "10 minutes"]).await, @"
    error: invalid value '10 minutes' for '--at <SEQ|TIME>': `10 minutes` lies in the future; did you mean `10 minutes ago`?

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["audit", "--since", "2999-01-01T00:00:00Z"]).await, @"
    error: invalid value '2999-01-01T00:00:00Z' for '--since <TIME>': `2999-01-01T00:00:00Z` lies in the future

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["backup"]).await, @"
    error: the following required arguments were not provided:
      <REPO|--all|--group <GROUP>>

    Usage: refward backup --config <FILE> <REPO|--all|--group <GROUP>>

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["restore", "acme/api", "--to-url", "https://x/y", "--bare"]).await, @"
    error: the argument '--to-url <URL>' cannot be used with '--bare'

    Usage: refward restore --to-url <URL> --config <FILE> <REPO>

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["restore", "acme/api", "--to-peer", "--token-file", "x"]).await, @"
    error: the argument '--to-peer' cannot be used with '--token-file <FILE>'

    Usage: refward restore --to-peer --config <FILE> <REPO>

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["connections", "unpair", "acme", "--yes"]).await, @"
    error: the following required arguments were not provided:
      --remove-peer

    Usage: refward connections unpair --remove-peer --yes --config <FILE> <NAME>

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["connections", "set", "acme", "--group", "backend"]).await, @"
    error: invalid value 'backend' for '--group <NAME=GLOB>': write NAME=GLOB

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["connections", "set", "acme", "--list-daily-at", "noon"]).await, @"
    error: invalid value 'noon' for '--list-daily-at <HH:MM>': write a time like 03:30

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["verify", "--read-data-subset", "0%"]).await, @"
    error: invalid value '0%' for '--read-data-subset <PERCENT>': the share must be above 0% and at most 100%

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["snapshots", "acme", "--json"]).await, @r#"
    {"error":{"hint":"see `refward help`","kind":"bad_request","message":"invalid value 'acme' for '<REPO>': `acme` is not a repository: write OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id"}}
    => 2
    "#);
}

#[tokio::test]
async fn what_does_not_exist() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    insta::assert_snapshot!(run(&world, &["snapshots", "acme/apy"]).await, @"
    error: acme/apy is not a repository that refward knows
      did you mean acme/api?
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["snapshots", "other:acme/api"]).await, @"
    error: other:acme/api is not a repository that refward knows
      it is in another connection: acme:acme/api
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["snapshots", "someone/else"]).await, @"
    error: someone/else is not a repository that refward knows
      `refward repos list` shows them; `refward repos sync` looks for new ones
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["refs", "acme/api"]).await, @"
    error: this repository has no snapshot yet
      `refward backup` takes one
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["restore", "acme/api", "--to-dir", "x"]).await, @"
    error: there is no backup of acme/api yet
      `refward backup` takes one
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["connections", "pair", "acme", "acme"]).await, @"
    error: a connection cannot be its own peer
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["connections", "set", "acme", "--no-group", "backend"]).await, @"
    error: there is no group called `backend`
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["connections", "set", "acme", "--exclude", "["]).await, @"
    error: `[` is not a glob: error parsing glob '[': unclosed character class; missing ']'
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["connections", "set", "acme", "--list-every", "1s"]).await, @"
    error: repositories are listed once a minute at most
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["repos", "list", "--group", "backend"]).await, @"
    error: there is no group called `backend`
      `refward connections set NAME --group GROUP=GLOB` makes one
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["connections", "test", "nobody"]).await, @"
    error: there is no connection called `nobody`
      see `refward connections list`
    => 3
    ");
    world.ok(&["backup", "acme/api", "--wait"]).await;
    let mut filters = insta::Settings::clone_current();
    filters.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]");
    let _filters = filters.bind_to_scope();
    insta::assert_snapshot!(run(&world, &["refs", "acme/api", "--at", "7"]).await, @"
    error: there is no snapshot 7
      the first is 1 of [TIME] UTC, the newest is 1 of [TIME] UTC
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["restore", "acme/api"]).await, @"
    error: nothing says where to restore to
      say --to-dir DIR, --to CONNECTION:OWNER/NAME, --to-url URL, --to-origin or --to-peer
    => 2
    ");
    insta::assert_snapshot!(run(&world, &["restore", "acme/api", "--at", "7", "--to-dir", "x"]).await, @"
    error: there is no snapshot 7: the newest is 1
    => 3
    ");
    insta::assert_snapshot!(run(&world, &["restore", "acme/api", "--ref", "nope", "--to-dir", "x"]).await, @"
    error: the snapshot has no reference `nope`
      see `refward refs REPO`, and `refward journal REPO --ref REF` for when it was there
    => 3
    ");
}

#[tokio::test]
async fn files_that_hold_no_secret() {
    let world = World::new().await;
    let (empty, token) = (world.secret_file("empty", ""), world.secret_file("token", "ghp_x"));
    let connect = async |name: &str, token: &str, secret: &str| {
        let arguments = ["connect", "github", "--name", name, "--owner", "acme", "--token-file", token];
        run(&world, &[&arguments[..], &["--webhook-secret-file", secret]].concat()).await
    };
    insta::assert_snapshot!(connect("acme", "no-such-file", &token).await, @"
    error: cannot read the token from no-such-file: No such file or directory (os error 2)
    => 2
    ");
    insta::assert_snapshot!(connect("acme", &token, &empty).await, @"
    error: the webhook secret in [DIR]/secrets/empty is empty
    => 2
    ");
    insta::assert_snapshot!(connect("acme:x", &token, &token).await, @"
    error: `acme:x` cannot name a connection: use up to 64 letters, digits, `-`, `_` and `.`
    => 2
    ");
}

#[tokio::test]
async fn the_other_side_fails() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    world.github.fail_git(1, &Fault::json(503, "unavailable"));
    insta::assert_snapshot!(run(&world, &["backup", "acme/api", "--wait"]).await, @"
    error: backing up acme/api: listing references: 127.0.0.1:PORT/acme/api.git answered HTTP 503 Service Unavailable (it says: unavailable)
    => 5
    ");
    world.github.fail(1, &Fault::json(500, "Server Error"));
    insta::assert_snapshot!(run(&world, &["connections", "test", "acme"]).await, @"
    error: 127.0.0.1:PORT is in trouble: it answers 500 Internal Server Error
    => 5
    ");
    world.ok(&["backup", "acme/api", "--wait"]).await;
    insta::assert_snapshot!(run(&world, &["restore", "acme/api", "--to-url", "http://127.0.0.1:1/x"]).await, @"
    error: 127.0.0.1:1/x cannot be reached
    => 5
    ");
}

#[tokio::test]
async fn nothing_is_initialised_twice() {
    let world = World::bare().await;
    insta::assert_snapshot!(run(&world, &["snapshots", "acme/api"]).await, @"
    error: there is no settings file at [DIR]/backup/refward.toml
      run `refward init --dir DIR` first, or name the file with --config or REFWARD_CONFIG
    => 6
    ");
    insta::assert_snapshot!(run(&world, &["init", "--dir", "backup"]).await, @"
    Ready in backup.

      backup/recovery-kit.txt

    Print the recovery kit, keep it offline, then delete the file: it opens the vault when this machine is gone.

    Next:
      cd backup
      refward connect github --help
      refward serve
    => 0
    ");
    let contents = || files(&world.folder()).iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>();
    let before = contents();
    insta::assert_snapshot!(run(&world, &["init", "--dir", "backup"]).await, @"
    error: backup/refward.toml is there already; nothing was changed
      choose another folder with --dir
    => 2
    ");
    assert!(before == contents());
}

#[tokio::test]
async fn keys_that_are_missing_or_wrong() {
    let world = World::new().await;
    let other = World::new().await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    let away = async |key: &str, arguments: &[&str]| {
        let (place, aside) = (world.folder().join(key), world.folder().join("aside"));
        std::fs::rename(&place, &aside).unwrap();
        let told = run(&world, arguments).await;
        std::fs::rename(&aside, &place).unwrap();
        told
    };
    insta::assert_snapshot!(away("keys/signing.pem", &["verify"]).await, @"
    error: the key file [DIR]/backup/keys/signing.pem is missing
      put it back where `keys.signing` says, or run `refward init` for a new installation
    => 6
    ");
    insta::assert_snapshot!(away("keys/credentials.agekey", &["verify"]).await, @"
    error: the key file [DIR]/backup/keys/credentials.agekey is missing
      put it back where `keys.credentials` says, or run `refward init` for a new installation
    => 6
    ");
    insta::assert_snapshot!(away("keys/vault.agekey", &["restore", "acme/api", "--to-dir", "x"]).await, @"
    error: cannot read the vault's key from [DIR]/backup/keys/vault.agekey: No such file or directory (os error 2)
      a vault is read with its key: name the file with --identity (the recovery kit is one)
    => 6
    ");
    insta::assert_snapshot!(away("vault", &["verify"]).await, @"
    error: there is no vault folder at [DIR]/backup/vault
      check `vault.url` and that the disk is mounted; where there is no backup yet, `refward init` makes a vault
    => 6
    ");

    insta::assert_snapshot!(away("vault/vault.json", &["verify"]).await, @"
    error: there is no vault at file://[DIR]/backup/vault: vault.json is missing
      check `vault.url` and that the disk is mounted; if only that file was lost, put a copy of it back, or restore with plain age and git (RECOVERY.md); where there is no backup yet, `refward init` makes a vault
    => 6
    ");

    let foreign = |name: &str| std::fs::read(other.folder().join(name)).unwrap();
    let swapped = async |key: &str, arguments: &[&str]| {
        let place = world.folder().join(key);
        let own = std::fs::read(&place).unwrap();
        std::fs::write(&place, foreign(key)).unwrap();
        let told = run(&world, arguments).await;
        std::fs::write(&place, own).unwrap();
        told
    };
    insta::assert_snapshot!(swapped("keys/vault.agekey", &["restore", "acme/api", "--to-dir", "x"]).await, @"
    error: the key does not open the vault at file://[DIR]/backup/vault
      use the identity file of this installation (`keys.identity`) or this vault's recovery kit
    => 6
    ");
    insta::assert_snapshot!(swapped("keys/signing.pem", &["verify"]).await, @"
    error: the vault at file://[DIR]/backup/vault belongs to another signing key
      use the keys that `refward init` wrote for this vault; if they are right, the vault was replaced
    => 6
    ");
    insta::assert_snapshot!(swapped("keys/credentials.agekey", &["connections", "test", "acme"]).await, @"
    error: a credential in the database was not sealed with this credentials key
      put back the file of `keys.credentials` that belongs to this database, or connect the forge again
    => 6
    ");
}

#[tokio::test]
async fn damage_is_named() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    let object = world.objects().remove(0);
    let mut bytes = std::fs::read(&object).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    for arguments in [&["verify", "--read-data"][..], &["restore", "acme/api", "--to-dir", "x"]] {
        let ran = world.refward(&[arguments, &["--json"]].concat()).await;
        assert_eq!((ran.code, &ran.error()["kind"]), (1, &json!("damaged")), "{ran:?}");
        let name = object.file_name().unwrap().to_str().unwrap();
        assert!(ran.stdout.contains(name) || ran.stderr.contains(name), "{ran:?}");
    }
}

#[tokio::test]
async fn scripts_get_errors_as_json() {
    let world = World::new().await;
    let error = |ran: Ran| -> Value { serde_json::from_str(ran.stderr.trim()).unwrap() };
    assert_eq!(
        error(world.refward(&["snapshots", "acme/api", "--json"]).await),
        json!({ "error": {
            "kind": "not_found",
            "message": "acme/api is not a repository that refward knows",
            "hint": "`refward repos list` shows them; `refward repos sync` looks for new ones"
        } })
    );
    assert_eq!(
        error(world.refward(&["refs", "acme/api", "--at", "0", "--json"]).await)["error"]["kind"],
        json!("bad_request")
    );
    let token = world.github.token(Token::classic("mona").expired());
    let ran = world.connect_with("acme", "acme", &token, &["--json"]).await;
    assert_eq!(error(ran)["error"]["kind"], "misconfigured");
}
