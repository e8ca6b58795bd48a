//! `refward discord test` says what is wrong, and what to do about it.

use refward::chat::Finding;
use refward::config::{ChatChannel, Settings};
use refward::domain::Severity;

use crate::support::fake_discord::{Channel, FakeDiscord};
use crate::{grammar, open, settings_for};

async fn found(discord: &FakeDiscord, settings: &Settings) -> String {
    let findings = open(settings).unwrap().unwrap().inspect().await;
    let told = |finding: &Finding| match &finding.outcome {
        Ok(found) => format!("{}: {found}", finding.what),
        Err(error) => format!("{}! {error}\n  → {}", finding.what, error.next_step().unwrap_or("-")),
    };
    let text = findings.iter().map(told).collect::<Vec<_>>().join("\n");
    text.replace(&discord.application_id(), "APPLICATION")
        .replace(&discord.server(), "SERVER")
        .replace(&discord.public_key(), "KEY")
}

fn telling(settings: &mut Settings, channel: &Channel) {
    let (connections, groups, repositories) = (vec![], vec![], vec![]);
    let id = channel.id.clone();
    settings.discord.channels.push(ChatChannel { id, severity: Severity::Warning, connections, groups, repositories });
}

#[tokio::test]
async fn all_is_well() {
    let discord = FakeDiscord::start().await;
    let (told, asked) = (discord.channel("backups"), discord.channel("ops"));
    let mut settings = settings_for(&discord);
    telling(&mut settings, &told);
    settings.discord.commands_in = vec![asked.id.clone(), told.id.clone()];
    discord.hook_to(&"https://backup.example.com/hooks/discord".parse().unwrap());
    open(&settings).unwrap().unwrap().register(&grammar()).await.unwrap();
    let found = found(&discord, &settings).await.replace(&told.id, "TOLD").replace(&asked.id, "ASKED");
    insta::assert_snapshot!(found, @"
    bot token: it is the one of Refward
    application id: APPLICATION
    public key: it is the application's
    interactions endpoint: https://backup.example.com/hooks/discord
    invitation: https://discord.com/oauth2/authorize?client_id=APPLICATION&scope=bot+applications.commands&permissions=3072
    commands: /refward with 3 below it
    channel TOLD: the bot sees #backups and may write there
    channel ASKED: the bot sees #ops and may write there
    ");
}

#[tokio::test]
async fn everything_is_wrong_at_once() {
    let discord = FakeDiscord::start().await;
    let (silent, hidden, gone) = (discord.channel("silent"), discord.channel("hidden"), discord.channel("gone"));
    let mut settings = settings_for(&discord);
    for channel in [&silent, &hidden, &gone] {
        telling(&mut settings, channel);
    }
    silent.silence();
    hidden.hide();
    gone.delete();
    settings.discord.public_key = "67c6bd767ca099e79efac9fcce4d2022a63bf7dea780e7f3d813f694c1597089".to_owned();
    let found = found(&discord, &settings).await;
    let found = found.replace(&silent.id, "SILENT").replace(&hidden.id, "HIDDEN").replace(&gone.id, "GONE");
    insta::assert_snapshot!(found, @"
    bot token: it is the one of Refward
    application id: APPLICATION
    public key! it is not the application's, so that nothing that Discord sends would be believed
      → set `discord.public_key` to KEY
    interactions endpoint! Discord does not know where to send what people ask
      → Developer Portal, your application, General Information, Interactions Endpoint URL: https://backup.example.com/hooks/discord; the service must be running, because Discord tries it at once
    invitation: https://discord.com/oauth2/authorize?client_id=APPLICATION&scope=bot+applications.commands&permissions=3072
    commands! none are registered
      → run `refward discord register`
    channel SILENT! in #silent the bot lacks Send Messages
      → in Discord: Edit Channel, Permissions, Advanced Permissions: add the bot's role and allow Send Messages
    channel HIDDEN! the bot may not see the channel HIDDEN
      → in Discord: Edit Channel, Permissions, Advanced Permissions: add the bot's role and allow View Channel and Send Messages
    channel GONE! the channel GONE is gone
      → if the settings name it, name another one there
    ");
}

#[tokio::test]
async fn with_a_wrong_token_nothing_else_can_be_asked() {
    let discord = FakeDiscord::start().await;
    let settings = settings_for(&discord);
    discord.reset_token();
    insta::assert_snapshot!(found(&discord, &settings).await, @"
    bot token! Discord refuses the bot's token: 401: Unauthorized
      → Developer Portal, your application, Bot, Reset Token; put the new one into the file that the setting `discord.token_file` names, and restart
    ");
}

#[tokio::test]
async fn an_endpoint_elsewhere_is_noticed() {
    let discord = FakeDiscord::start().await;
    let mut settings = settings_for(&discord);
    discord.hook_to(&"https://old.example.com/hooks/discord".parse().unwrap());
    let endpoint =
        |found: String| found.split("interactions endpoint").nth(1).unwrap().lines().next().unwrap().to_owned();
    insta::assert_snapshot!(endpoint(found(&discord, &settings).await), @"! Discord sends what people ask to https://old.example.com/hooks/discord");
    settings.server.public_url = String::new();
    insta::assert_snapshot!(endpoint(found(&discord, &settings).await), @"! the setting `server.public_url` is not set");
}
