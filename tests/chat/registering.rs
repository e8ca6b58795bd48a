//! One grammar makes the commands that Discord offers.

use refward::chat::Kind;
use serde_json::{Value, json};

use crate::support::fake_discord::FakeDiscord;
use crate::support::fake_discord::openapi::description;
use crate::support::fake_discord::reply::Call;
use crate::{command, grammar, open, platform, settings_for, told};

/// What the bot asks for: <https://docs.discord.com/developers/topics/permissions#permissions-bitwise-permission-flags>
const VIEW_CHANNEL: u64 = 1 << 10;
const SEND_MESSAGES: u64 = 1 << 11;

/// `restore(repo!, to!, at, hold)`
fn outline(command: &Value) -> String {
    let option = |option: &Value| match option["type"].as_u64() {
        Some(1 | 2) => outline(option),
        _ => format!("{}{}", option["name"].as_str().unwrap(), if option["required"] == true { "!" } else { "" }),
    };
    let below = command["options"].as_array().map_or(&[][..], Vec::as_slice);
    format!("{}({})", command["name"].as_str().unwrap(), below.iter().map(option).collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn commands_are_offered_in_the_one_server() {
    let discord = FakeDiscord::start().await;
    let said = platform(&discord).register(&grammar()).await.unwrap();
    assert_eq!(said, format!("/refward is offered in the server {}", discord.server()));
    let [command] = &discord.commands()[..] else { panic!("{:?}", discord.commands()) };
    assert_eq!(outline(command), "refward(status(repo), restore(repo!, to!, at, hold), policy(show(repo)))");
    let restore = &command["options"][1]["options"];
    assert_eq!((&restore[0]["autocomplete"], &restore[3]["type"]), (&json!(true), &json!(5)));
    assert_eq!(restore[1]["choices"][0]["value"], "branch");
    // Nowhere but in servers, where people and roles are known.
    assert_eq!((&command["contexts"], &command["integration_types"]), (&json!([0]), &json!([0])));
}

#[tokio::test]
async fn or_in_all_servers_and_again_without_harm() {
    let discord = FakeDiscord::start().await;
    let mut settings = settings_for(&discord);
    settings.discord.server = String::new();
    let platform = open(&settings).unwrap().unwrap();
    for _ in 0..2 {
        let said = platform.register(&grammar()).await.unwrap();
        assert_eq!(said, "/refward is offered in every server that the application is installed in");
    }
    assert_eq!(discord.commands().len(), 1);
}

#[tokio::test]
async fn a_description_that_is_too_long_ends_at_a_word() {
    let discord = FakeDiscord::start().await;
    let mut grammar = grammar();
    grammar.below[0].about = "How every repository stands, and what has to be done about it ".repeat(3);
    platform(&discord).register(&grammar).await.unwrap();
    let about = discord.commands()[0]["options"][0]["description"].as_str().unwrap().to_owned();
    assert_eq!(
        about,
        "How every repository stands, and what has to be done about it How every repository stands, and…"
    );
}

#[tokio::test]
async fn what_discord_does_not_take_is_called_by_its_name() {
    let discord = FakeDiscord::start().await;
    let mut wrong = grammar();
    wrong.below[2].below[0].parameters[0].name = "Repository".to_owned();
    let error = platform(&discord).register(&wrong).await.unwrap_err();
    insta::assert_snapshot!(told(&error), @"
    Bug: Discord does not take what we send: refward policy show Repository, name: Command name is invalid
    → -
    ");
    assert!(discord.forgive_violations()[0].contains("APPLICATION_COMMAND_INVALID_NAME"));

    let mut deep = grammar();
    deep.below[2].below[0].below.push(command("deeper", vec![], vec![]));
    let error = platform(&discord).register(&deep).await.unwrap_err();
    insta::assert_snapshot!(told(&error), @"
    Bug: the command `show` lies too deep for Discord
    → -
    ");
    assert_eq!(grammar().below[1].parameters[0].kind, Kind::Text);
}

#[tokio::test]
async fn an_application_that_is_not_installed_is_told_apart() {
    let discord = FakeDiscord::start().await;
    let mut settings = settings_for(&discord);
    settings.discord.server = "111111111111111111".to_owned();
    let error = open(&settings).unwrap().unwrap().register(&grammar()).await.unwrap_err();
    insta::assert_snapshot!(told(&error), @"
    Misconfigured: the application is not installed in the server 111111111111111111
    → open the invitation that `refward discord test` shows, and choose that server
    ");
}

#[test]
fn the_application_that_we_describe_is_one() {
    let Some(described) = description() else { return };
    let ours: Value = serde_json::from_str(include_str!("../../app-manifests/discord.json")).unwrap();
    let call = Call {
        method: "PATCH".to_owned(),
        path: "/applications/@me".to_owned(),
        query: String::new(),
        authorization: None,
        user_agent: String::new(),
        body: ours.clone(),
    };
    assert_eq!(described.check_request(&call), Ok(()));
    assert_eq!(ours["install_params"]["permissions"], VIEW_CHANNEL | SEND_MESSAGES);
}
