//! What we say, as Discord takes it.

use bytes::Bytes;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::json;
use serenity::builder::{AutocompleteChoice, CreateActionRow, CreateAllowedMentions, CreateButton};
use serenity::model::application::{ButtonStyle, InteractionResponseFlags};

use super::markdown;
use crate::chat::{Block, Button, Choice, First, Look, Reply, Tone};

/// <https://docs.discord.com/developers/resources/message#create-message>. Discord does not say what it counts; UTF-16 units
/// are never fewer than characters.
const MAX_CONTENT: usize = 2000;

/// What `… and 12345 more` may take.
const ROOM_FOR_THE_REST: usize = 40;

/// <https://docs.discord.com/developers/components/reference>
const BUTTONS_PER_ROW: usize = 5;
const MAX_ROWS: usize = 5;
const MAX_LABEL: usize = 80;

/// <https://docs.discord.com/developers/interactions/application-commands#application-command-object-application-command-option-choice-structure>
const MAX_CHOICES: usize = 25;
const MAX_CHOICE: usize = 100;

const FENCE: &str = "```";

/// A message, whichever call it goes out with: all of them take these fields, so that nothing of an older state remains.
#[derive(Serialize)]
pub(super) struct Message {
    content: String,
    flags: InteractionResponseFlags,
    /// Nobody: what people are called for, they ask for themselves.
    allowed_mentions: CreateAllowedMentions,
    components: Vec<CreateActionRow>,
}

pub(super) fn message(reply: &Reply) -> Message {
    Message {
        content: content(reply),
        // No page that somebody's text names is shown under our message.
        flags: InteractionResponseFlags::SUPPRESS_EMBEDS,
        allowed_mentions: CreateAllowedMentions::new(),
        components: rows(&reply.buttons),
    }
}

/// The HTTP answer to an interaction. The numbers are the kinds of answers:
/// <https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response-object-interaction-callback-type>
pub(super) fn first(answer: &First) -> Bytes {
    let answer = match answer {
        First::Pong => json!({ "type": 1 }),
        First::Now(reply) => {
            let mut message = message(reply);
            message.flags |= InteractionResponseFlags::EPHEMERAL;
            json!({ "type": 4, "data": message })
        }
        First::Later { private: true } => {
            json!({ "type": 5, "data": { "flags": InteractionResponseFlags::EPHEMERAL } })
        }
        First::Later { private: false } => json!({ "type": 5 }),
        First::Change => json!({ "type": 6 }),
        First::Choices(choices) => {
            let choices: Vec<_> = choices.iter().filter_map(choice).take(MAX_CHOICES).collect();
            json!({ "type": 8, "data": { "choices": choices } })
        }
    };
    answer.to_string().into()
}

/// A value that Discord would cut means something else, so there is no such choice.
fn choice(choice: &Choice) -> Option<AutocompleteChoice> {
    let fits = !choice.label.is_empty() && choice.value.chars().count() <= MAX_CHOICE;
    fits.then(|| AutocompleteChoice::new(markdown::label(&choice.label, MAX_CHOICE), choice.value.clone()))
}

fn rows(buttons: &[Button]) -> Vec<CreateActionRow> {
    let rows = buttons.chunks(BUTTONS_PER_ROW).take(MAX_ROWS);
    rows.map(|row| CreateActionRow::Buttons(row.iter().map(button).collect())).collect()
}

fn button(button: &Button) -> CreateButton {
    let style = match button.look {
        Look::Plain => ButtonStyle::Secondary,
        Look::Main => ButtonStyle::Primary,
        Look::Danger => ButtonStyle::Danger,
    };
    CreateButton::new(&button.id).label(markdown::label(&button.label, MAX_LABEL)).style(style)
}

fn content(reply: &Reply) -> String {
    let mark = match reply.tone {
        Tone::Plain => "",
        Tone::Good => "✅ ",
        Tone::Careful => "⚠️ ",
        Tone::Bad => "❌ ",
    };
    let mut page = Page { text: format!("{mark}{}", markdown::strong(&reply.title)), left_out: 0 };
    for block in &reply.blocks {
        match block {
            Block::Line(line) => page.line(&markdown::line(line)),
            Block::Table { header, rows } => page.fenced(&table(header, rows), 1),
            Block::Code(code) => page.fenced(&code.lines().map(markdown::fenced).collect::<Vec<_>>(), 0),
        }
    }
    page.end()
}

/// Its header and its rows, a line each.
fn table(header: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(|cell| markdown::cell(cell).to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| markdown::cell(cell)));
    }
    let lines = table.to_string();
    let lines = lines.lines().map(str::trim_end);
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()).collect()
}

/// What has room, from the beginning. Once something has none, nothing that follows is written: a message with a hole in it
/// would mislead.
struct Page {
    text: String,
    left_out: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        if self.left_out == 0 && self.has_room(&["\n", line]) {
            self.text += &format!("\n{line}");
        } else {
            self.left_out += 1;
        }
    }

    /// Lines between fences, the first `head` of which count for nothing by themselves.
    fn fenced(&mut self, lines: &[String], head: usize) {
        let (head, body) = lines.split_at(head.min(lines.len()));
        let opening = head.iter().fold(format!("\n{FENCE}"), |text, line| format!("{text}\n{line}"));
        let closing = format!("\n{FENCE}");
        let first = body.first().map_or("", String::as_str);
        if self.left_out > 0 || !self.has_room(&[&opening, "\n", first, &closing]) {
            self.left_out += body.len().max(1);
            return;
        }
        self.text += &opening;
        for (index, line) in body.iter().enumerate() {
            if !self.has_room(&["\n", line, &closing]) {
                self.left_out = body.len() - index;
                break;
            }
            self.text += &format!("\n{line}");
        }
        self.text += &closing;
    }

    fn has_room(&self, parts: &[&str]) -> bool {
        let more: usize = parts.iter().map(|part| units(part)).sum();
        units(&self.text) + more + ROOM_FOR_THE_REST <= MAX_CONTENT
    }

    fn end(self) -> String {
        match self.left_out {
            0 => self.text,
            more => format!("{}\n… and {more} more", self.text),
        }
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}
