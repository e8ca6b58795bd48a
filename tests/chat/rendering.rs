//! What we say looks as it is meant, fits, and makes nothing but text of what others wrote.

use std::sync::LazyLock;

use chrono::DateTime;
use insta::assert_snapshot;
use proptest::prelude::*;
use refward::chat::{Block, Choice, First, Line, Look, Platform, Reply, Tone};
use refward::domain::Person;
use serde_json::Value;

use crate::support::fake_discord::FakeDiscord;
use crate::support::fake_discord::openapi::description;
use crate::{open, settings_for};

/// The adapter and nobody at the other end.
fn alone() -> &'static dyn Platform {
    static ALONE: LazyLock<Box<dyn Platform>> = LazyLock::new(opened);
    &**ALONE
}

fn opened() -> Box<dyn Platform> {
    let mut settings = refward::config::Settings::defaults().unwrap();
    settings.discord.application_id = "1".into();
    settings.discord.public_key = "67c6bd767ca099e79efac9fcce4d2022a63bf7dea780e7f3d813f694c1597089".into();
    settings.discord.token_file = crate::token_file("t0ken");
    open(&settings).unwrap().unwrap()
}

/// The answer as Discord gets it, held against its description.
fn first(platform: &dyn Platform, answer: &First) -> Value {
    let json = serde_json::from_slice(&platform.first(answer).unwrap()).unwrap();
    if let Some(described) = description() {
        assert_eq!(described.check_callback(&json), Ok(()), "{json}");
    }
    json
}

fn message(platform: &dyn Platform, reply: &Reply) -> Value {
    first(platform, &First::Now(reply.clone()))["data"].clone()
}

fn content(reply: &Reply) -> String {
    message(alone(), reply)["content"].as_str().unwrap().to_owned()
}

#[test]
fn a_reply_reads_like_this() {
    let mona: Person = "discord:80351110224678912".parse().unwrap();
    let lisa: Person = "cli:lisa".parse().unwrap();
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let page = "https://github.com/acme/api/compare/a...b".parse().unwrap();
    let asked = Line::new().text("asked by ").who(&mona).text(" on ").when(at).text(", approved by ").who(&lisa);
    let reply = Reply::new(Tone::Good, "Restored acme/api")
        .line(asked)
        .line(
            Line::new().code("refs/heads/main").text(" is back at ").strong("a1b2c3d").text(": ").link("compare", page),
        )
        .table(
            ["ref", "was", "is"],
            [["main", "e5f6", "a1b2"], ["release/2026", "-", "77aa"]].map(|row| row.map(String::from)),
        )
        .line("To undo it:")
        .code("git push --force origin e5f6:main\n# and tell the others");
    assert_snapshot!(content(&reply), @"
    ✅ **Restored acme/api**
    asked by <@80351110224678912> on <t:1800000000:f>, approved by `cli:lisa`
    `refs/heads/main` is back at **a1b2c3d**: [compare](<https://github.com/acme/api/compare/a...b>)
    ```
    REF           WAS   IS
    main          e5f6  a1b2
    release/2026  -     77aa
    ```
    To undo it:
    ```
    git push --force origin e5f6:main
    # and tell the others
    ```
    ");
}

#[test]
fn tones_can_be_told_apart() {
    let titles = [Tone::Plain, Tone::Good, Tone::Careful, Tone::Bad].map(|tone| content(&Reply::new(tone, "acme")));
    assert_snapshot!(titles.join("\n"), @"
    **acme**
    ✅ **acme**
    ⚠️ **acme**
    ❌ **acme**
    ");
}

#[test]
fn names_are_names_and_nothing_else() {
    let reply = |text: &str| content(&Reply::new(Tone::Plain, "x").line(text));
    for (name, shown) in [
        (
            "@everyone <@123> <@&1> <#2> <:a:3> <t:4:R> </go:5>",
            r"\@everyone \<\@123> \<\@&1> \<#2> \<\:a\:3> \<t\:4\:R> \</go\:5>",
        ),
        (
            "**bold** __under__ ~~gone~~ ||spoiler|| `code`",
            r"\*\*bold\*\* \_\_under\_\_ \~\~gone\~\~ \|\|spoiler\|\| \`code\`",
        ),
        ("[click](https://evil.example/a)", r"\[click\](https\://evil\.example/a)"),
        ("come to discord.gg/abc :smile:", r"come to discord\.gg/abc \:smile:"),
        ("# heading", r"\# heading"),
        ("-# small", r"\-# small"),
        ("- point", r"\- point"),
        ("> quoted", r"\> quoted"),
        (">>> quoted", r"\>>> quoted"),
        ("1. first", r"1\. first"),
        ("  # heading", r"\# heading"),
        ("two\nlines", "two lines"),
        ("gnp.\u{202e}exe", "gnp.\u{fffd}exe"),
        (r"c:\path", r"c\:\\path"),
        // Most text stays readable for those who see it raw.
        ("restored: 3 of 4 (1 failed). Done, in 2.5 s!", r"restored: 3 of 4 (1 failed). Done, in 2\.5 s!"),
    ] {
        assert_eq!(reply(name), format!("**x**\n{shown}"), "{name:?}");
    }
}

#[test]
fn a_link_that_comes_in_pieces_is_none() {
    let line = Line::new().text("see https:").text("//evil.").text("example");
    assert_eq!(content(&Reply::new(Tone::Plain, "x").line(line)), "**x**\nsee https\\://evil\\.example");
}

#[test]
fn code_cannot_be_broken_out_of() {
    let reply = Reply::new(Tone::Plain, "x")
        .line(Line::new().code("a`b").code("c").text(" ").code("").code("``"))
        .code("one ``` @everyone\n`two`")
        .table(["name"], [["``` @everyone\nnext".to_owned()]]);
    assert_snapshot!(content(&reply), @"
    **x**
    `aˋb` `c` `ˋˋ`
    ```
    one ˋˋˋ @everyone
    `two`
    ```
    ```
    NAME
    ˋˋˋ @everyone next
    ```
    ");
}

#[test]
fn links_lead_to_pages_only() {
    let link = |url: &str| content(&Reply::new(Tone::Plain, "x").line(Line::new().link("a]b", url.parse().unwrap())));
    assert_eq!(
        link("https://x.example/a b>c?q=<d>#e>"),
        "**x**\n[a\\]b](<https://x.example/a%20b%3Ec?q=%3Cd%3E#e%3E>)"
    );
    assert_eq!(link("javascript:alert(1)"), "**x**\na\\]b");
}

#[test]
fn what_has_no_room_is_left_out_from_the_end_and_said_to_be() {
    let rows = (0..200).map(|row| [format!("acme/repository-{row}"), "protected".to_owned()]);
    let told = content(
        &Reply::new(Tone::Plain, "200 repositories").table(["repository", "state"], rows).line("One more line"),
    );
    let shown = told.matches("acme/repository-").count();
    assert!(told.chars().count() <= 2000 && shown > 50, "{told}");
    assert!(told.ends_with(&format!("\n```\n… and {} more", 201 - shown)), "{told}");
    assert!(told.contains(&format!("acme/repository-{} ", shown - 1)), "{told}");

    let lines = (0..300).fold(Reply::new(Tone::Plain, "Lines"), |reply, line| reply.line(format!("line {line}")));
    let told = content(&lines);
    assert!(told.contains("line 99\n") && told.ends_with(" more"), "{told}");
}

#[test]
fn something_to_copy_is_whole_or_not_there() {
    let told = content(&Reply::new(Tone::Plain, "Copy this").code("x".repeat(3000)).line("and this"));
    assert_eq!(told, "**Copy this**\n… and 2 more");
}

#[test]
fn nobody_is_called_and_no_page_unfolds() {
    let message = message(alone(), &Reply::new(Tone::Plain, "https://evil.example @everyone"));
    assert_eq!(message["allowed_mentions"]["parse"], serde_json::json!([]));
    assert_eq!(message["flags"], 4 | 64);
    // Left out, older buttons would stay on a message that is changed.
    assert_eq!(message["components"], serde_json::json!([]));
}

#[test]
fn buttons_stand_in_rows_of_five() {
    let looks = [Look::Plain, Look::Main, Look::Danger];
    let reply = (0..7).fold(Reply::new(Tone::Plain, "x"), |reply, n| {
        reply.button(looks[n % 3], format!("Button {n} {}", "long ".repeat(30)), format!("b:{n}"))
    });
    let message = message(alone(), &reply);
    let rows = message["components"].as_array().unwrap();
    let sizes: Vec<usize> = rows.iter().map(|row| row["components"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [5, 2]);
    let styles: Vec<u64> = (0..3).map(|n| rows[0]["components"][n]["style"].as_u64().unwrap()).collect();
    assert_eq!(styles, [2, 1, 4]);
    let label = rows[0]["components"][0]["label"].as_str().unwrap();
    assert!(label.chars().count() <= 80 && label.starts_with("Button 0 long") && label.ends_with('…'), "{label}");
}

#[test]
fn choices_fit_and_mean_what_they_say() {
    let choice = |label: String, value: String| Choice { label, value };
    let mut choices: Vec<Choice> = (0..30).map(|n| choice(format!("acme/api-{n}"), format!("acme/api-{n}"))).collect();
    choices[0].label = "l".repeat(150);
    // Cut, it would be another repository.
    choices[1].value = "v".repeat(101);
    let told = first(alone(), &First::Choices(choices));
    let told = told["data"]["choices"].as_array().unwrap();
    assert_eq!(told.len(), 25);
    assert_eq!(told[0]["name"].as_str().unwrap().chars().count(), 100);
    assert_eq!(told[1]["value"], "acme/api-2");
}

#[test]
fn later_is_said_in_private_or_to_all() {
    let platform = alone();
    let said = |answer: First| first(platform, &answer).to_string();
    assert_eq!(said(First::Later { private: true }), r#"{"data":{"flags":64},"type":5}"#);
    assert_eq!(said(First::Later { private: false }), r#"{"type":5}"#);
    assert_eq!(said(First::Change), r#"{"type":6}"#);
}

#[tokio::test]
async fn whatever_is_said_discord_pings_nobody() {
    let discord = FakeDiscord::start().await;
    let (mona, channel) = (discord.member("mona"), discord.channel("backups"));
    let platform = open(&settings_for(&discord)).unwrap().unwrap();
    let person = Person::new("discord", &mona.id).unwrap();
    let reply = Reply::new(Tone::Bad, format!("@everyone <@{}>", mona.id)).line(Line::new().text("by ").who(&person));
    let id = platform.post(&channel.id, &reply, "once").await.unwrap();
    let message = channel.messages().into_iter().find(|message| message.id == id).unwrap();
    assert_eq!(message.pings(), [""; 0]);
    assert!(message.text().ends_with(&format!("by <@{}>", mona.id)), "{}", message.text());
}

/// Any text, and text that is made of what Discord makes something of.
fn text() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "@everyone",
        "@here",
        "<@1>",
        "<@!1>",
        "<@&2>",
        "<#3>",
        "`",
        "```",
        "*",
        "_",
        "\\",
        "|",
        "~",
        "[a](b)",
        "https://",
        "https:",
        "//x.example",
        "discord.gg/",
        ">",
        "#",
        "-",
        "1.",
        "\n",
        " ",
        "word",
        "\u{202e}",
        "🦀",
    ]);
    prop_oneof![".{0,300}", prop::collection::vec(parts, 0..60).prop_map(|parts| parts.concat())]
}

fn block() -> impl Strategy<Value = Block> {
    let page = url::Url::parse("https://x.example").unwrap();
    let piece = (0..4, text()).prop_map(move |(kind, text)| match kind {
        0 => Line::new().text(text),
        1 => Line::new().strong(text),
        2 => Line::new().code(text),
        _ => Line::new().link(text, page.clone()),
    });
    let line = prop::collection::vec(piece, 0..5);
    let line = line.prop_map(|lines| Block::Line(Line(lines.into_iter().flat_map(|line| line.0).collect())));
    let rows = prop::collection::vec(prop::collection::vec(text(), 3), 0..8);
    let table = (prop::collection::vec(text(), 3), rows).prop_map(|(header, rows)| Block::Table { header, rows });
    prop_oneof![line, table, text().prop_map(Block::Code)]
}

proptest! {
    #[test]
    fn any_reply_fits_and_stays_text(title in text(), blocks in prop::collection::vec(block(), 0..12)) {
        let told = content(&Reply { title, blocks, ..Reply::default() });
        prop_assert!(told.encode_utf16().count() <= 2000);
        let (outside, fences) = without_code(&told);
        prop_assert_eq!(fences % 2, 0, "{}", told);
        for (at, c) in outside.match_indices(['@', '`', '~', '|', '_', '<']) {
            let ours = c == "<" && (outside[..at].ends_with("](") || outside[at..].starts_with("<t:"));
            prop_assert!(ours || escaped(&outside, at), "{} at {} of {}", c, at, outside);
        }
        for (at, _) in outside.match_indices("://") {
            prop_assert!(escaped(&outside, at) || outside[..at].ends_with("(<https"), "{}", outside);
        }
    }
}

/// An odd number of backslashes stands before it.
fn escaped(text: &str, at: usize) -> bool {
    text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The text without what stands between fences and between single backticks, and how many fences there are.
fn without_code(text: &str) -> (String, usize) {
    let parts: Vec<&str> = text.split("```").collect();
    let (mut outside, mut inside) = (String::new(), false);
    for part in parts.iter().step_by(2) {
        for (at, c) in part.char_indices() {
            if c == '`' && (inside || !escaped(part, at)) {
                inside = !inside;
            } else if !inside {
                outside.push(c);
            }
        }
    }
    (outside, parts.len() - 1)
}
