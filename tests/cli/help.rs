//! What `--help` says.

use clap::CommandFactory;
use refward::cli::Cli;

use crate::run;
use crate::support::world::World;

#[tokio::test]
async fn everything_at_a_glance() {
    insta::assert_snapshot!(run(&World::bare().await, &["--help"]).await, @"
    Backs up git repositories the moment they change, and brings any snapshot, reference or moment back

    Usage: refward [OPTIONS] <COMMAND>

    Commands:
      demo         A guided tour on this machine: real service, real git server, no account, no network
      init         Make a folder with settings, database, vault, keys and a recovery kit
      serve        Run the service: webhooks, workers, scheduler
      config       Look at the settings
      connect      Connect an owner on a forge
      connections  Look at connections, change, pair and remove them
      apps         Our Apps on forges: add, list, where they are installed, change their secrets
      credentials  The tokens and Apps behind a connection, and what is left of their limits
      hooks        The hooks that we have set up on forges: how each stands; put them right
      repos        List repositories, read the forge's list again, choose what is backed up
      backup       Back up now
      restore      Bring a repository back: into a folder or onto a git server
      restores     Restores that people have asked for from a chat: how far each has come; cancel one
      policy       What is backed up, when, how long it stays: policies, why which applies, and every
                   change of one
      forget       Let go what no rule keeps, or say what would go and why everything else stays
      hold         Keep everything of a repository, whatever the rules say, until the hold is lifted
      tag          Call a snapshot something, so that a policy can keep it by that
      snapshots    The snapshots of a repository
      refs         The references of a repository at a moment
      journal      Every move of every reference
      status       How every repository stands
      notices      What people were told: repositories that came, went and changed, Apps that were
                   installed or suspended
      verify       Prove that backups are whole
      compact      Join the snapshots of repositories into fewer objects now, as far as the settings say
                   that they should be
      prune        Delete what no recovery point needs any more, once its grace is over
      drill        Prove now that repositories can be restored: in scratch, checked by git, every
                   reference compared
      report       What was proved, when and how, signed: for people as Markdown, for programs as JSON
      ask          Ask as people do in a chat, with every right
      discord      Discord, as people ask from there: offer the commands, say what is wrong with the
                   set-up
      grants       Who may do what from a chat
      people       Who people are on the forges
      audit        Who asked for what, and what became of it; and that none of it was changed
      catalog      Tend the database
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
}

#[tokio::test]
async fn restore_first() {
    insta::assert_snapshot!(run(&World::bare().await, &["restore", "--help"]).await, @r#"
    Bring a repository back: into a folder or onto a git server

    Usage: refward restore [OPTIONS] <REPO>

    Arguments:
      <REPO>  OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id

    Options:
          --at <SEQ|TIME>      A snapshot's number or a time such as "10 minutes ago"; by default the
                               newest
          --ref <REF>          Only this reference; may be repeated
          --to-dir <DIR>       Restore into this folder: new, empty, or an existing repository
          --bare               Without a working tree
          --to-url <URL>       Push to this repository
          --to <REPO>          Push to CONNECTION:OWNER/NAME, on whatever forge, with what of that
                               connection may write
          --create             Make the repository if it is not there, where the forge lets us do that
          --to-peer            Push to the repository of the same name at the connection's peer, which
                               is also what happens where nothing else is said and there is a peer; see
                               `refward connections pair --help`
          --to-origin          Push to the repository that it was backed up from, with what of its
                               connection may write
          --token-file <FILE>  File with the token for --to-url
          --prefix <REFS/…/>   Put the references under this, e.g. refs/heads/restored/
          --force              Overwrite references that exist with another value. The plan names them
          --plan               Say what would change; change nothing
          --vault <URL>        Read this vault instead of the one in the settings; then no settings file
                               is needed
          --identity <FILE>    The key to read with, e.g. the recovery kit, instead of the one in the
                               settings
      -h, --help               Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    "#);
}

#[tokio::test]
async fn connecting() {
    insta::assert_snapshot!(run(&World::bare().await, &["connect", "github", "--help"]).await, @"
    An organization or user on github.com, a ghe.com address or a GitHub Enterprise Server

    Usage: refward connect github [OPTIONS] --name <NAME> --owner <OWNER> --token-file <FILE> --webhook-secret-file <FILE>

    Options:
          --name <NAME>                 What to call this connection
          --url <URL>                   The host's web address: of github.com, SUBDOMAIN.ghe.com or a
                                        GitHub Enterprise Server [default: https://github.com]
          --owner <OWNER>               The organization or user whose repositories are backed up
          --token-file <FILE>           File with the token; `-` reads it from standard input
          --webhook-secret-file <FILE>  File with the secret that the forge signs webhooks with
          --auto-add                    Back up repositories that appear later as well (the default)
          --no-auto-add                 Only back up what is there now; choose later ones with `refward
                                        repos add`
          --include <GLOB>              Only repositories whose NAME or OWNER/NAME matches; may be
                                        repeated
          --exclude <GLOB>              Not these, even if included; may be repeated
      -h, --help                        Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
}

#[tokio::test]
async fn connecting_azure_devops() {
    insta::assert_snapshot!(run(&World::bare().await, &["connect", "azure-devops", "--help"]).await, @"
    An organization of Azure DevOps Services, or a collection of an Azure DevOps Server

    Usage: refward connect azure-devops [OPTIONS] --name <NAME> --url <URL> <--token-file <FILE>|--client-secret-file <FILE>|--client-certificate-file <FILE>>

    Options:
          --name <NAME>                     What to call this connection
          --url <URL>                       The organization or collection: `https://dev.azure.com/ORG`
                                            or `https://HOST/COLLECTION`
          --token-file <FILE>               File with a token; `-` reads it from standard input
          --tenant <TENANT>                 The Entra tenant of a service principal, by its id or domain
          --client-id <CLIENT_ID>           The application (client) id of a service principal
          --client-secret-file <FILE>       File with the service principal's client secret; `-` reads
                                            it from standard input
          --client-certificate-file <FILE>  PEM file with the service principal's certificate and its
                                            private key; `-` reads it from standard input
          --authority <URL>                 Where Entra is, in a national cloud [default:
                                            https://login.microsoftonline.com]
          --auto-add                        Back up repositories that appear later as well (the default)
          --no-auto-add                     Only back up what is there now; choose later ones with
                                            `refward repos add`
          --include <GLOB>                  Only repositories whose NAME or OWNER/NAME matches; may be
                                            repeated
          --exclude <GLOB>                  Not these, even if included; may be repeated
      -h, --help                            Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
}

#[tokio::test]
async fn connections() {
    let world = World::bare().await;
    insta::assert_snapshot!(run(&world, &["connections", "--help"]).await, @"
    Look at connections, change, pair and remove them

    Usage: refward connections [OPTIONS] <COMMAND>

    Commands:
      list            All connections; no secrets
      show            All that is stored about a connection, and what is not; no secrets
      set             Change which repositories are backed up, how they are grouped and when they are
                      listed
      check           Look at a connection, and at its peer if it has one: addresses, versions, rights,
                      webhooks
      pair            Restore the repositories of one connection to another by default: --to-peer
      unpair          Undo `pair`. Both connections stay, with their credentials
      test            Ask the forge what the credential may do now; exit code 1 if anything is missing
      set-token       Replace the token, or a client's secret or certificate, e.g. before it expires.
                      The new one is checked first; the old one is deleted
      add-secret      Accept deliveries signed with one more secret. Then change it on the forge, then
                      `retire-secrets`
      retire-secrets  Accept only the newest webhook secret from now on
      remove          Uninstall a connection's Apps and delete its credentials at once. Its backups
                      stay. Without --yes: say what that means, and change nothing (exit code 2)
      help            Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["connections", "set", "--help"]).await, @"
    Change which repositories are backed up, how they are grouped and when they are listed

    Usage: refward connections set [OPTIONS] <NAME>

    Arguments:
      <NAME>  The connection

    Options:
          --include <GLOB>         Only repositories whose NAME or OWNER/NAME matches, instead of the
                                   globs so far; may be repeated
          --include-all            All repositories again
          --exclude <GLOB>         Not these, even if included, instead of the globs so far; may be
                                   repeated
          --exclude-none           Exclude nothing any more
          --auto-add               Back up repositories that appear later as well
          --no-auto-add            Only back up what is there now; choose later ones with `refward repos
                                   add`
          --group <NAME=GLOB>      A group of all repositories that match; for more globs, repeat it
                                   with the same name
          --no-group <NAME>        No such group any more; may be repeated
          --list-every <PAUSE>     List the repositories as often as this, e.g. 30m
          --list-daily-at <HH:MM>  List the repositories once a day at this time, UTC, e.g. 03:30
          --list-automatically     List the repositories as often as it seems worth it (the default)
      -h, --help                   Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["connections", "unpair", "--help"]).await, @"
    Undo `pair`. Both connections stay, with their credentials

    Usage: refward connections unpair [OPTIONS] <NAME>

    Arguments:
      <NAME>  The connection whose peer it is no more

    Options:
          --remove-peer  Remove the peer's connection too, with its credentials, as `remove` does. Its
                         backups stay
          --yes          With --remove-peer: do it, instead of saying what that means
      -h, --help         Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["connections", "remove", "--help"]).await, @"
    Uninstall a connection's Apps and delete its credentials at once. Its backups stay. Without --yes:
    say what that means, and change nothing (exit code 2)

    Usage: refward connections remove [OPTIONS] <NAME>

    Arguments:
      <NAME>  The connection

    Options:
          --yes   Do it
      -h, --help  Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
}

#[tokio::test]
async fn apps() {
    insta::assert_snapshot!(run(&World::bare().await, &["apps", "--help"]).await, @"
    Our Apps on forges: add, list, where they are installed, change their secrets

    Usage: refward apps [OPTIONS] <COMMAND>

    Commands:
      add            Add an App that was registered by hand. `create` does the same in a browser with
                     less typing
      create         Register Apps in a browser: makes a one-time code and tells where to enter it
      list           Every App: where it is installed, who waits for an owner's approval, what is wrong
      sync           Look on the forge where Apps are installed, now
      rotate-secret  Change an App's webhook secret, here and on the forge. The one before stays
                     accepted until it is retired
      rotate-key     Replace an App's private key, after checking the new one. The old one can be
                     deleted on the forge then
      remove         Uninstall an App everywhere and delete its keys and credentials at once. Backups
                     stay
      help           Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&World::bare().await, &["apps", "add", "--help"]).await, @"
    Add an App that was registered by hand. `create` does the same in a browser with less typing

    Usage: refward apps add [OPTIONS] --owner <OWNER> --app-id <ID> --client-id <ID> --key-file <FILE>

    Options:
          --url <URL>                   The host's web address: of github.com, SUBDOMAIN.ghe.com or a
                                        GitHub Enterprise Server [default: https://github.com]
          --owner <OWNER>               The organization or user that the App is registered with
          --app-id <ID>                 The App ID, as the App's settings show it
          --client-id <ID>              The Client ID, as the App's settings show it
          --key-file <FILE>             The private key: the .pem file that the App's settings made
          --webhook-secret-file <FILE>  File with the webhook secret that was entered there. A restore
                                        App has none
          --role <ROLE>                 What it is for: a backup App reads, a restore App writes
                                        [default: backup] [possible values: backup, restore]
          --number <NUMBER>             Its number among the owner's Apps in that role; 1 is the main
                                        one [default: 1]
      -h, --help                        Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
}

#[tokio::test]
async fn every_command_has_help() {
    let world = World::bare().await;
    for command in Cli::command().get_subcommands() {
        let told = run(&world, &[command.get_name(), "--help"]).await;
        assert!(told.ends_with("=> 0") && told.contains("Global options:"), "{told}");
    }
}

#[tokio::test]
async fn policies() {
    let world = World::bare().await;
    insta::assert_snapshot!(run(&world, &["policy", "--help"]).await, @"
    What is backed up, when, how long it stays: policies, why which applies, and every change of one

    Usage: refward policy [OPTIONS] <COMMAND>

    Commands:
      list     All policies in the order in which they are asked
      show     What a policy says
      create   Make a policy. What is not set is as in the built-in one: on push; all of 30 days, then
               one a day, week, month
      set      Change what a policy says
      delete   Delete a policy. Its repositories are under the next one that selects them then
      assign   Have a policy name repositories: it applies to them before all policies that only fit
      order    Have these policies asked first, in this order; the others follow as they are, the
               default one last
      explain  Which policy applies to a repository and why, the next run, and why each snapshot is kept
               and until when
      test     Check a file of policies, and say what importing it would change
      export   Write policies as TOML
      import   Make and change policies as a file says. Those that are not in it stay as they are
      history  Every change of a policy or of all: who, when, before and after
      approve  Agree to a change that somebody else has asked for and that waits
      revoke   Take a change back that waits
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["policy", "set", "--help"]).await, @r#"
    Change what a policy says

    Usage: refward policy set [OPTIONS] <NAME> [KEY=VALUE]...

    Arguments:
      <NAME>          The policy
      [KEY=VALUE]...  E.g. retention.daily=90 retention.within=30d trigger.schedule="0 3 * * *"
                      timezone=Europe/Berlin select.include='acme/*'; without a value: as if it had
                      never been set

    Options:
          --as <NAME>    Who does this, for the record; by default who runs this program
          --allow-empty  It may select nothing that there is so far
      -h, --help         Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    "#);
    insta::assert_snapshot!(run(&world, &["policy", "assign", "--help"]).await, @"
    Have a policy name repositories: it applies to them before all policies that only fit

    Usage: refward policy assign [OPTIONS] <NAME> <REPO>...

    Arguments:
      <NAME>     The policy
      <REPO>...  OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id

    Options:
          --as <NAME>  Who does this, for the record; by default who runs this program
      -h, --help       Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["policy", "approve", "--help"]).await, @"
    Agree to a change that somebody else has asked for and that waits

    Usage: refward policy approve [OPTIONS] <CHANGE>

    Arguments:
      <CHANGE>  Its number

    Options:
          --as <NAME>  Who does this, for the record; by default who runs this program
      -h, --help       Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
}

#[tokio::test]
async fn what_stays_and_what_goes() {
    let world = World::bare().await;
    insta::assert_snapshot!(run(&world, &["forget", "--help"]).await, @"
    Let go what no rule keeps, or say what would go and why everything else stays

    Usage: refward forget [OPTIONS] [REPO]

    Arguments:
      [REPO]  Only of this repository: OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id

    Options:
          --plan    Say what would be marked, what is leaving and when it goes, and why everything else
                    stays; change nothing
          --resume  Let a paused retention go on: after the database was made anew from the vault, once
                    policies, holds and labels are as they should be
      -h, --help    Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["hold", "set", "--help"]).await, @"
    From now on nothing of a repository goes

    Usage: refward hold set [OPTIONS] --reason <REASON> <REPO>

    Arguments:
      <REPO>  OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id

    Options:
          --reason <REASON>  Why, for those who find it later
          --as <NAME>        Who does this, for the record; by default who runs this program
      -h, --help             Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["tag", "--help"]).await, @"
    Call a snapshot something, so that a policy can keep it by that

    Usage: refward tag [OPTIONS] <REPO> <SEQ> <LABEL>...

    Arguments:
      <REPO>      OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
      <SEQ>       The snapshot's number
      <LABEL>...  What to call it; a policy keeps it if `retention.labels` has one of these, or `*`

    Options:
          --remove  Call it that no more
      -h, --help    Print help

    Global options:
          --config <FILE>  The settings file [env: REFWARD_CONFIG] [default: refward.toml]
          --json           Answer, and log, in JSON
      -v, --verbose...     Log more: -v for every step, -vv for all
    => 0
    ");
}
