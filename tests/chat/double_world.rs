//! The program itself, set up for the double: nothing of what it sends breaks a rule of Discord's.

use crate::support::fake_discord::{Channel, Member};
use crate::support::world::{Service, World};

#[tokio::test]
async fn a_deployment_registers_its_commands() {
    let world = World::with_discord(&[]).await;
    let told = world.ok(&["discord", "register"]).await;
    let registered = world.discord().commands();
    assert_eq!(registered.len(), 1, "{told}");
    assert_eq!(
        (registered[0]["name"].as_str(), &registered[0]["guild_id"]),
        (Some("refward"), &world.discord().server().into())
    );
}

#[tokio::test]
async fn a_deployment_tells_channels_and_is_known_to_discord() {
    let world = World::with_discord(&[("server.public_url", "https://backup.example.com")]).await;
    let ops = world.discord().channel("ops");
    world.tells(&ops, "severity = \"info\"");
    world.discord().hook_to(&"https://backup.example.com/hooks/discord".parse().unwrap());
    world.ok(&["discord", "register"]).await;
    let ran = world.refward(&["discord", "test"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(&ops.id), "{}", ran.stdout);
}

#[tokio::test]
async fn what_is_asked_is_answered_in_private() {
    let world = World::with_discord(&[]).await;
    let (_service, mona, ops) = asking(&world).await;
    let told = mona.says(&ops, "/refward status").await;
    assert!(told.private());
    let answer = told.answer().await;
    assert!(answer.private() && answer.pings().is_empty(), "{}", answer.text());
    assert!(ops.messages().is_empty());
}

#[tokio::test]
async fn an_answer_that_overtakes_the_first_one_is_said_again() {
    let world = World::with_discord(&[]).await;
    let (_service, mona, ops) = asking(&world).await;
    world.discord().overtake();
    let answer = mona.says(&ops, "/refward status").await.answer().await;
    assert!(answer.private(), "{}", answer.text());
    assert!(ops.messages().is_empty(), "nobody else hears that it was too soon");
}

/// A service, and somebody who may ask it, in a channel.
async fn asking(world: &World) -> (Service, Member, Channel) {
    let service = world.serve().await;
    world.ok(&["discord", "register"]).await;
    let mona = world.discord().member("mona");
    world.ok(&["grants", "add", &format!("discord:user:{}", mona.id), "viewer"]).await;
    (service, mona, world.discord().channel("ops"))
}
