//! `refward discord` as a person meets it.

use crate::support::world::{Ran, World};

fn seen(world: &World, ran: &Ran) -> String {
    let discord = world.discord();
    let text = format!("{}{}=> {}", ran.stdout, ran.stderr, ran.code);
    text.replace(&discord.application_id(), "APPLICATION").replace(&discord.server(), "SERVER")
}

#[tokio::test]
async fn commands_are_registered_and_the_set_up_is_tested() {
    let world = World::with_discord(&[("server.public_url", "https://backup.example.com")]).await;
    let backups = world.discord().channel("backups");
    world.tells(&backups, "");
    world.discord().hook_to(&"https://backup.example.com/hooks/discord".parse().unwrap());
    let before = world.refward(&["discord", "test"]).await;
    insta::assert_snapshot!(seen(&world, &before).replace(&backups.id, "BACKUPS"), @"
    ok    bot token: it is the one of Refward
    ok    application id: APPLICATION
    ok    public key: it is the application's
    ok    interactions endpoint: https://backup.example.com/hooks/discord
    ok    invitation: https://discord.com/oauth2/authorize?client_id=APPLICATION&scope=bot+applications.commands&permissions=3072
    WRONG commands: none are registered
          run `refward discord register`
    ok    channel BACKUPS: the bot sees #backups and may write there
    error: Discord is not set up as it should be
    => 6
    ");
    let registered = world.refward(&["discord", "register"]).await;
    insta::assert_snapshot!(seen(&world, &registered), @"
    /refward is offered in the server SERVER
    => 0
    ");
    assert_eq!(world.discord().commands()[0]["name"], "refward");

    let after = world.refward(&["discord", "test", "--json"]).await;
    assert_eq!(after.code, 0, "{}", after.stderr);
    let findings = after.json();
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["well"] == true), "{findings}");
}

#[tokio::test]
async fn without_an_application_it_is_said_where_to_begin() {
    let world = World::new().await;
    let ran = world.refward(&["discord", "test"]).await;
    insta::assert_snapshot!(format!("{}=> {}", ran.stderr, ran.code), @"
    error: the setting `discord.application_id` is not set
      docs/discord.md says, click by click, how to make an application and where its id stands
    => 6
    ");
}
