//! The program itself, set up for the double: nothing of what it sends breaks a rule of Discord's.

use crate::support::world::World;

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
