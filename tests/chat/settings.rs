//! What is set wrong is named before anything is tried.

use refward::config::Settings;

use crate::support::fake_discord::FakeDiscord;
use crate::{open, settings_for, token_file, told};

#[test]
fn without_an_application_there_is_no_discord() {
    let settings = Settings::defaults().unwrap();
    assert!(open(&settings).unwrap().is_none());
}

#[tokio::test]
async fn each_setting_is_named_that_is_wrong() {
    let discord = FakeDiscord::start().await;
    assert!(open(&settings_for(&discord)).unwrap().is_some());
    let wrong = |change: fn(&mut Settings)| {
        let mut settings = settings_for(&discord);
        change(&mut settings);
        told(&open(&settings).err().unwrap())
    };
    insta::assert_snapshot!(wrong(|settings| settings.discord.application_id = "refward".to_owned()), @"
    Misconfigured: the setting `discord.application_id` has `refward`, which is no id of Discord's
    → ids are numbers of 17 to 20 digits: in Discord, switch on User Settings, Advanced, Developer Mode; then right-click a server, channel, role or person: Copy ID
    ");
    insta::assert_snapshot!(wrong(|settings| settings.discord.server = "ACME".to_owned()), @"
    Misconfigured: the setting `discord.server` has `ACME`, which is no id of Discord's
    → ids are numbers of 17 to 20 digits: in Discord, switch on User Settings, Advanced, Developer Mode; then right-click a server, channel, role or person: Copy ID
    ");
    insta::assert_snapshot!(wrong(|settings| settings.discord.commands_in = vec!["#backups".to_owned()]), @"
    Misconfigured: the setting `discord.commands_in` has `#backups`, which is no id of Discord's
    → ids are numbers of 17 to 20 digits: in Discord, switch on User Settings, Advanced, Developer Mode; then right-click a server, channel, role or person: Copy ID
    ");
    insta::assert_snapshot!(wrong(|settings| settings.discord.public_key = "abc".to_owned()), @"
    Misconfigured: the setting `discord.public_key` is not the key of an application
    → copy the 64 hex digits: Developer Portal, your application, General Information, Public Key
    ");
    insta::assert_snapshot!(wrong(|settings| settings.discord.token_file = "".into()), @"
    Misconfigured: the setting `discord.token_file` is not set
    → put the bot's token there, alone on its line: Developer Portal, your application, Bot, Reset Token
    ");
    insta::assert_snapshot!(wrong(|settings| settings.discord.token_file = "/no/such/file".into()), @"
    Misconfigured: cannot read the file /no/such/file of the setting `discord.token_file`: No such file or directory (os error 2)
    → put the bot's token there, alone on its line: Developer Portal, your application, Bot, Reset Token
    ");
    insta::assert_snapshot!(wrong(|settings| settings.discord.api = "http://discord.example/api".parse().unwrap()), @"
    Misconfigured: the setting `discord.api` must be an https address: the bot's token goes there
    → -
    ");
    insta::assert_snapshot!(wrong(|settings| settings.discord.api = "ftp://127.0.0.1/api".parse().unwrap()), @"
    Misconfigured: the setting `discord.api` must be an https address: the bot's token goes there
    → -
    ");
    let empty = wrong(|settings| settings.discord.token_file = token_file(" "));
    assert!(empty.contains("has no token in it"), "{empty}");
}

#[tokio::test]
async fn a_token_may_come_with_the_word_before_it() {
    use secrecy::ExposeSecret as _;
    let discord = FakeDiscord::start().await;
    let mut settings = settings_for(&discord);
    settings.discord.token_file = token_file(&format!("Bot {}", discord.token().expose_secret()));
    let findings = open(&settings).unwrap().unwrap().inspect().await;
    assert!(findings[0].outcome.is_ok(), "{findings:?}");
}

#[tokio::test]
async fn commands_are_answered_where_the_settings_say() {
    let discord = FakeDiscord::start().await;
    let mut settings = settings_for(&discord);
    assert!(open(&settings).unwrap().unwrap().answers_in(None));
    settings.discord.commands_in = vec!["17".to_owned()];
    let platform = open(&settings).unwrap().unwrap();
    assert!(platform.answers_in(Some("17")) && !platform.answers_in(Some("18")) && !platform.answers_in(None));
}
