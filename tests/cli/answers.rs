//! Answers for people: short tables with what is needed and nothing else.

use crate::run;
use crate::support::adopted::{adopt, app_for};
use crate::support::fake_github::{Covers, Fault, Token, Work};
use crate::support::world::World;

/// What differs from run to run.
const FILTERS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]"),
    (r"\d+(\.\d+)? k?B\b", "[SIZE]"),
    (r"\d+ ms\b", "[MS]"),
    (r"\d+\.\d s\b", "[S]"),
    (r"\b[0-9a-f]{40}\b", "[OBJECT]"),
    (r"\b[0-9a-f]{10}\b", "[SHORT]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"installation \d+", "installation [ID]"),
    (r" +\n", "\n"),
];

#[tokio::test]
async fn before_there_is_anything() {
    let world = World::new().await;
    insta::assert_snapshot!(run(&world, &["status"]).await, @"
    No repositories yet: refward connect --help
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["repos", "list"]).await, @"
    No repositories yet: refward connect --help
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["connections", "list"]).await, @"
    No connections yet: refward connect --help
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["verify"]).await, @"
    Nothing to verify yet.
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["catalog", "rebuild"]).await, @"
    0 repositories with 0 snapshots, from the vault.
    => 0
    ");
}

/// Two repositories, one with a commit and a tag; connected, not yet backed up.
async fn acme() -> (World, Work) {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    world.github.org("acme").repo("web").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main", "HEAD:refs/tags/v1"]).await;
    world.connect("acme").await;
    (world, work)
}

/// Loses the first commit.
async fn amend(work: &Work) {
    work.git(&["commit", "--quiet", "--amend", "--message", "one, again"]).await;
    work.push(&["--force", "main", "HEAD:refs/heads/topic"]).await;
}

#[tokio::test]
async fn a_small_history() {
    let (world, work) = acme().await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    insta::assert_snapshot!(told(&["status"]).await, @"
    REPOSITORY  CONNECTION  HEALTH  STATE    LAST SNAPSHOT  TOOK  BEHIND  QUEUE   WHY
    acme/api    acme        amber   waiting  -              -     -       queued  not backed up yet
    acme/web    acme        amber   waiting  -              -     -       queued  not backed up yet
    acme: looked at as a whole at [TIME] in 1 request; next at [TIME]
    => 0
    ");
    insta::assert_snapshot!(told(&["backup", "acme/api"]).await, @"
    Queued 1 repository.
    => 0
    ");
    insta::assert_snapshot!(told(&["backup", "acme/api", "--wait"]).await, @"
    acme/api: snapshot 1: 3 new objects, [SIZE] received, [SIZE] stored, [MS]
    => 0
    ");
    insta::assert_snapshot!(told(&["backup", "acme/api", "--wait"]).await, @"
    acme/api: unchanged since snapshot 1
    => 0
    ");
    amend(&work).await;
    insta::assert_snapshot!(told(&["backup", "--all", "--wait"]).await, @"
    acme/api: snapshot 2: 3 new objects, [SIZE] received, [SIZE] stored, [MS]
    acme/web: snapshot 1: 0 new objects, [SIZE] received, [SIZE] stored, [MS]
    => 0
    ");
    insta::assert_snapshot!(told(&["status"]).await, @"
    REPOSITORY  CONNECTION  HEALTH  STATE  LAST SNAPSHOT             TOOK  BEHIND  QUEUE  WHY
    acme/api    acme        amber   ok     2 at [TIME]  -     -       idle   no restore was proved yet
    acme/web    acme        amber   ok     1 at [TIME]  -     -       idle   no restore was proved yet
    acme: looked at as a whole at [TIME] in 1 request; next at [TIME]

    Held, so that nothing of them goes: 1 repository (`refward hold list`).
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "list"]).await, @"
    REPOSITORY  CONNECTION  GROUPS  SNAPSHOTS  STATE
    acme/api    acme        -       2          backed up
    acme/web    acme        -       1          backed up
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "sync"]).await, @"
    acme: 2 repositories
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "list"]).await, @"
    NAME  FORGE   URL                      OWNER  PEER  EXPIRES  LAST ERROR
    acme  github  http://127.0.0.1:PORT/  acme   -     -        -
    => 0
    ");
    insta::assert_snapshot!(told(&["snapshots", "acme/api"]).await, @"
    SEQ  TIME (UTC)           WHY     REFS  CHANGED              OBJECTS  RECEIVED  STORED   COMPLETE
    1    [TIME]  manual  2     +2 ~0 -0             3        [SIZE]     [SIZE]  yes
    2    [TIME]  manual  3     +1 ~1 -0 (1 forced)  3        [SIZE]     [SIZE]  yes
    => 0
    ");
    insta::assert_snapshot!(told(&["journal", "acme/api"]).await, @"
    SEQ  TIME (UTC)           REF               OLD         NEW                 WHO
    1    [TIME]  refs/heads/main   -           [SHORT]          -
    1    [TIME]  refs/tags/v1      -           [SHORT]          -
    2    [TIME]  refs/heads/main   [SHORT]  [SHORT]  FORCED  -
    2    [TIME]  refs/heads/topic  -           [SHORT]          -
    => 0
    ");
    insta::assert_snapshot!(told(&["refs", "acme/api", "--at", "1"]).await, @"
    ref: refs/heads/main	HEAD
    [OBJECT]	refs/heads/main
    [OBJECT]	refs/tags/v1
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "remove", "acme/web"]).await, @"
    acme/web is no longer backed up; its backups stay.
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "remove", "acme"]).await, @"
    Removing acme:
      deleted      the credential token
      deleted      1 webhook secret
      kept         the backups of 2 repositories: 3 snapshots, [SIZE]
    Left for you to do on the forge:
      delete the webhook that was set up by hand: http://127.0.0.1:PORT/organizations/acme/settings/hooks
      revoke the token `token` of mona: http://127.0.0.1:PORT/settings/tokens
    error: nothing was changed
      to do all of this: refward connections remove acme --yes
    => 2
    ");
    insta::assert_snapshot!(told(&["connections", "remove", "acme", "--yes"]).await, @"
    Removed acme. What opened it is deleted here.
    Kept, and can be restored: the backups of 2 repositories: 3 snapshots, [SIZE].
    Left for you to do on the forge:
      delete the webhook that was set up by hand: http://127.0.0.1:PORT/organizations/acme/settings/hooks
      revoke the token `token` of mona: http://127.0.0.1:PORT/settings/tokens
    => 0
    ");
}

#[tokio::test]
async fn a_connection_looked_at() {
    let (world, _work) = acme().await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    insta::assert_snapshot!(told(&["notices"]).await, @"
    Nothing to tell yet.
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "show", "acme"]).await, @"
    acme: acme on GitHub Enterprise Server 3.19.0, http://127.0.0.1:PORT/
    connected since [TIME] UTC

    In the database, secrets encrypted:
      credential        token: classic token of mona, main, since [TIME] UTC
      webhook secrets   1, since [TIME] UTC
      last webhook      -
      new repositories  backed up
      include           all
      exclude           none
      listing           as often as it seems worth it
                        last [TIME] UTC, next [TIME] UTC
      peer              -
      repositories      2 backed up, 0 switched off, 0 left out by globs, 0 gone from the forge

    In the vault:
      1 snapshot, [SIZE]

    Not stored:
      passwords and sign-in sessions of the forge: never asked for
      tokens, keys and secrets in clear: the database holds them encrypted with `keys.credentials` alone
      issues, pull requests and people, beyond what webhooks say of them, which is kept as long as `deliveries.keep` says: 7days
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "check", "acme"]).await, @"
    Proxy: none

    acme
      ok       web and git: http://127.0.0.1:PORT/ answers
      ok       API: http://127.0.0.1:PORT/api/v3 answers
      ok       credential token: GitHub Enterprise Server 3.19.0, classic token of mona
      unknown  webhooks: none has come yet
               push something; if none comes, see where the forge's log of deliveries says it went
    => 0
    ");
}

#[tokio::test]
async fn a_connection_changed() {
    let (world, _work) = acme().await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    world.github.org("acme").repo("docs").await;
    let set = [
        "connections",
        "set",
        "acme",
        "--exclude",
        "web",
        "--group",
        "backend=api",
        "--list-every",
        "30m",
        "--no-auto-add",
    ];
    insta::assert_snapshot!(told(&set).await, @"
    acme:
      new repositories: backed up → not backed up
      exclude: none → web
      group backend: none → api
      listing: as often as it seems worth it → every 30m
      new: acme/docs
      left out, no longer backed up, the backups stay: acme/web
    => 0
    ");
    insta::assert_snapshot!(told(&set).await, @"
    Nothing changes: it was so already.
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "list"]).await, @"
    REPOSITORY  CONNECTION  GROUPS   SNAPSHOTS  STATE
    acme/api    acme        backend  1          backed up
    acme/docs   acme        -        -          not backed up
    acme/web    acme        -        -          left out by globs
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "list", "--group", "backend"]).await, @"
    REPOSITORY  CONNECTION  GROUPS   SNAPSHOTS  STATE
    acme/api    acme        backend  1          backed up
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "set", "acme", "--exclude-none", "--no-group", "backend", "--list-daily-at", "03:30"]).await, @"
    acme:
      exclude: web → none
      group backend: api → none
      listing: every 30m → daily at 03:30 UTC
      let in again: acme/web
    => 0
    ");
    insta::assert_snapshot!(told(&["notices"]).await, @"
    TIME (UTC)           CONNECTION  NOTICE
    [TIME]  acme        acme/web is let through by the globs of acme again; it is backed up again.
    [TIME]  acme        acme/docs is new on the forge; it is not backed up.
    [TIME]  acme        acme/web is left out by the globs of acme: it is not backed up meanwhile. Its backups stay.
    => 0
    ");
    insta::assert_snapshot!(told(&["notices", "--limit", "1"]).await, @"
    TIME (UTC)           CONNECTION  NOTICE
    [TIME]  acme        acme/web is let through by the globs of acme again; it is backed up again.
    => 0
    ");
}

#[tokio::test]
async fn a_connection_through_an_app() {
    let world = World::new().await;
    for account in ["acme", "beta"] {
        world.github.org(account).repo("api").await;
    }
    let app = app_for(&world.github, "acme", "backup");
    world.github.install(&app.slug(), "acme", Covers::All, None);
    world.github.install(&app.slug(), "beta", Covers::Only(&["api"]), None);
    adopt(&world, &world.github, &app, "acme", "backup").await;
    let service = world.serve().await;
    for repository in ["acme/api", "beta/api"] {
        world.snapshot(repository, 1).await;
    }
    world.idle().await;
    assert_eq!(service.stop().await, 0);
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    insta::assert_snapshot!(told(&["connections", "show", "beta"]).await, @"
    beta: beta on a host that was not asked for its version yet, http://127.0.0.1:PORT/
    connected since [TIME] UTC

    In the database, secrets encrypted:
      App               Refward 1: backup App #1, registered [TIME] UTC, 1 private key, 1 webhook secret, 0 client secrets
                        installation [ID]: active, selected repositories, may administration: read, contents: read, deployments: read, discussions: read, issues: read, members: read, metadata: read, organization_administration: read, organization_custom_properties: read, pages: read, pull_requests: read, repository_custom_properties: read, repository_hooks: read
      credential        refward-1: App installation of Refward 1, main, since [TIME] UTC
      webhook secrets   none
      last webhook      -
      new repositories  backed up
      include           all
      exclude           none
      listing           as often as it seems worth it
                        last [TIME] UTC, next [TIME] UTC
      peer              -
      repositories      1 backed up, 0 switched off, 0 left out by globs, 0 gone from the forge

    In the vault:
      1 snapshot, [SIZE]

    Not stored:
      passwords and sign-in sessions of the forge: never asked for
      installation tokens: made when they are needed, for one purpose, and in memory only, an hour at most
      tokens, keys and secrets in clear: the database holds them encrypted with `keys.credentials` alone
      issues, pull requests and people, beyond what webhooks say of them, which is kept as long as `deliveries.keep` says: 7days
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "check", "beta"]).await, @"
    Proxy: none

    beta
      ok       web and git: http://127.0.0.1:PORT/ answers
      ok       API: http://127.0.0.1:PORT/api/v3 answers
      ok       credential refward-1: GitHub Enterprise Server 3.19.0, App installation
      ok       App Refward 1: installed on beta, selected repositories
      unknown  webhooks: none has come yet
               push something; if none comes, see where the forge's log of deliveries says it went
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "remove", "beta"]).await, @"
    Removing beta:
      uninstalled  the App Refward 1 from beta, and stays registered, as other accounts use it
      deleted      the credential refward-1
      kept         the backups of 1 repository: 1 snapshot, [SIZE]
    error: nothing was changed
      to do all of this: refward connections remove beta --yes
    => 2
    ");
    insta::assert_snapshot!(told(&["connections", "remove", "beta", "--yes"]).await, @"
    Removed beta. What opened it is deleted here.
    Uninstalled Refward 1.
    Kept, and can be restored: the backups of 1 repository: 1 snapshot, [SIZE].
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "remove", "acme"]).await, @"
    Removing acme:
      uninstalled  the App Refward 1 from acme, and forgotten with its keys, as no other account uses it
      deleted      the credential refward-1
      kept         the backups of 1 repository: 1 snapshot, [SIZE]
    Left for you to do on the forge:
      delete the App Refward 1: http://127.0.0.1:PORT/organizations/acme/settings/apps/refward-1
    error: nothing was changed
      to do all of this: refward connections remove acme --yes
    => 2
    ");
    world.github.fail(1, &Fault::json(500, "Server Error"));
    insta::assert_snapshot!(told(&["connections", "remove", "acme", "--yes"]).await, @"
    Removed acme. What opened it is deleted here.
    Still installed: Refward 1: uninstalling an App: 127.0.0.1:PORT is in trouble: it answers 500 Internal Server Error
    Kept, and can be restored: the backups of 1 repository: 1 snapshot, [SIZE].
    Left for you to do on the forge:
      uninstall Refward 1 from acme: http://127.0.0.1:PORT/organizations/acme/settings/installations
      delete the App Refward 1: http://127.0.0.1:PORT/organizations/acme/settings/apps/refward-1
    error: Apps that are still installed on the forge: 1
      uninstall them there, as said above
    => 1
    ");
    insta::assert_snapshot!(told(&["notices"]).await, @"
    TIME (UTC)           CONNECTION  NOTICE
    [TIME]  -           acme was disconnected, with all that opened it deleted. Its backups stay.
    [TIME]  -           beta was disconnected, with all that opened it deleted. Its backups stay.
    [TIME]  -           beta is connected through the App Refward 1, as beta.
    [TIME]  -           acme is connected through the App Refward 1, as acme.
    => 0
    ");
}

#[tokio::test]
async fn two_connections_that_belong_together() {
    let (world, _work) = acme().await;
    world.github.org("cloud").repo("web").await;
    let token = world.github.token(Token::classic("hubot"));
    assert_eq!(world.connect_with("cloud", "cloud", &token, &[]).await.code, 0);
    world.ok(&["backup", "acme/api", "--wait"]).await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    insta::assert_snapshot!(told(&["connections", "pair", "acme", "cloud"]).await, @"
    Repositories of acme are restored to cloud with `refward restore REPO --to-peer`.
    Look at both ends: refward connections check acme
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "list"]).await, @"
    NAME   FORGE   URL                      OWNER  PEER   EXPIRES  LAST ERROR
    acme   github  http://127.0.0.1:PORT/  acme   cloud  -        -
    cloud  github  http://127.0.0.1:PORT/  cloud  -      -        -
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "check", "acme"]).await, @"
    Proxy: none

    acme
      ok       web and git: http://127.0.0.1:PORT/ answers
      ok       API: http://127.0.0.1:PORT/api/v3 answers
      ok       credential token: GitHub Enterprise Server 3.19.0, classic token of mona
      unknown  webhooks: none has come yet
               push something; if none comes, see where the forge's log of deliveries says it went

    cloud, the peer
      ok       web and git: http://127.0.0.1:PORT/ answers
      ok       API: http://127.0.0.1:PORT/api/v3 answers
      ok       credential token: GitHub Enterprise Server 3.19.0, classic token of hubot
      unknown  webhooks: none has come yet
               push something; if none comes, see where the forge's log of deliveries says it went
      unknown  restores: with the credential token
               whether it may write shows when a restore is planned: refward restore REPO --to-peer --plan
    => 0
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--to-peer", "--plan"]).await, @"
    error: restoring to cloud:cloud/api: 127.0.0.1:PORT has no repository cloud/api, or the credential may not see it
      make an empty one (no README, no licence) and restore again: http://127.0.0.1:PORT/new?owner=cloud&name=api&visibility=private
    => 3
    ");
    world.github.org("cloud").repo("api").await;
    insta::assert_snapshot!(told(&["restore", "acme/api", "--to-peer"]).await, @"
    Restored acme/api as of snapshot 1 ([TIME] UTC) to http://127.0.0.1:PORT/cloud/api.git: 2 references, 1 pack, [MS]
    => 0
    ");
    world.github.revoke(&token);
    insta::assert_snapshot!(told(&["connections", "check", "acme"]).await, @"
    Proxy: none

    acme
      ok       web and git: http://127.0.0.1:PORT/ answers
      ok       API: http://127.0.0.1:PORT/api/v3 answers
      ok       credential token: GitHub Enterprise Server 3.19.0, classic token of mona
      unknown  webhooks: none has come yet
               push something; if none comes, see where the forge's log of deliveries says it went

    cloud, the peer
      ok       web and git: http://127.0.0.1:PORT/ answers
      ok       API: http://127.0.0.1:PORT/api/v3 answers
      FAILED   credential token: 127.0.0.1:PORT refuses the token: Bad credentials
               it is mistyped, expired or revoked; make a new one at http://127.0.0.1:PORT/settings/tokens
      unknown  webhooks: none has come yet
               push something; if none comes, see where the forge's log of deliveries says it went
      unknown  restores: with the credential token
               whether it may write shows when a restore is planned: refward restore REPO --to-peer --plan
    error: 1 of 9 checks failed
      each says what to do
    => 1
    ");
    insta::assert_snapshot!(told(&["connections", "unpair", "acme", "--remove-peer"]).await, @"
    Removing cloud:
      deleted      the credential token
      deleted      1 webhook secret
      unpaired     acme, whose restores came here
      kept         the backups of 1 repository: 0 snapshots, [SIZE]
    Left for you to do on the forge:
      delete the webhook that was set up by hand: http://127.0.0.1:PORT/organizations/cloud/settings/hooks
      revoke the token `token` of hubot: http://127.0.0.1:PORT/settings/tokens
    error: nothing was changed
      to do all of this: refward connections unpair acme --remove-peer --yes
    => 2
    ");
    insta::assert_snapshot!(told(&["connections", "unpair", "acme"]).await, @"
    acme and cloud are no longer paired. Both stay connected.
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "unpair", "acme"]).await, @"
    error: the connection acme has no peer
      name one: refward connections pair acme PEER
    => 2
    ");
}

#[tokio::test]
async fn proving_and_bringing_back() {
    let (world, work) = acme().await;
    world.ok(&["backup", "--all", "--wait"]).await;
    amend(&work).await;
    world.ok(&["backup", "--all", "--wait"]).await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    insta::assert_snapshot!(told(&["verify", "--drill"]).await, @"
    acme/api: 2 snapshots in order, restored in a drill
    acme/web: 1 snapshot in order, restored in a drill
    => 0
    ");
    insta::assert_snapshot!(told(&["drill", "--all"]).await, @"
    acme/api: snapshot 2 restored from 2 objects ([SIZE]) in [S], git fsck clean in [S], 3 references; as on the forge
    acme/web: snapshot 1 restored from 1 object ([SIZE]) in [S], git fsck clean in [S], 0 references; as on the forge
    => 0
    ");
    insta::assert_snapshot!(told(&["status"]).await, @"
    REPOSITORY  CONNECTION  HEALTH  STATE  LAST SNAPSHOT             TOOK  BEHIND  QUEUE  WHY
    acme/api    acme        green   ok     2 at [TIME]  -     -       idle   -
    acme/web    acme        green   ok     1 at [TIME]  -     -       idle   -
    acme: looked at as a whole at [TIME] in 1 request; next at [TIME]

    Held, so that nothing of them goes: 1 repository (`refward hold list`).
    => 0
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--plan", "--to-dir", "out"]).await, @"
    Plan: acme/api as of snapshot 2 ([TIME] UTC)
      create     refs/heads/main at [SHORT]
      create     refs/heads/topic at [SHORT]
      create     refs/tags/v1 at [SHORT]
    => 0
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--at", "1", "--to-dir", "out", "--bare"]).await, @"
    Restored acme/api as of snapshot 1 ([TIME] UTC) to out: 2 references, 1 pack, [MS]
    => 0
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--to-dir", "out"]).await, @"
    Restored acme/api as of snapshot 2 ([TIME] UTC) to out: 1 reference, 2 packs, [MS]
      kept as it was: refs/heads/main
    error: references that were not restored: 1
      look at the plan: existing references are overwritten only with --force
    => 1
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--to-dir", "out", "--force", "--plan"]).await, @"
    Plan: acme/api as of snapshot 2 ([TIME] UTC)
      OVERWRITE  refs/heads/main from [SHORT] to [SHORT]
      unchanged  refs/heads/topic at [SHORT]
      unchanged  refs/tags/v1 at [SHORT]
    => 0
    ");
}
