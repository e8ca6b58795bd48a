//! Commands: what may be registered, and how what somebody types becomes what an application is told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::reply::{Misfit, Reply, misfit, ok, without_nulls};
use super::state::{EVERYWHERE, State};

/// Options by their type.
const SUBCOMMAND: u64 = 1;
const GROUP: u64 = 2;
const TEXT: u64 = 3;
const INTEGER: u64 = 4;
const SWITCH: u64 = 5;
const NUMBER: u64 = 10;

/// The most options of a command, and the most choices of an option.
const MANY: usize = 25;

/// The most characters of a command's names, descriptions and choices together.
const ALL_CHARACTERS: usize = 8000;

impl State {
    /// What is registered there.
    pub fn registered(&self, guild: &str) -> Value {
        self.commands.get(guild).cloned().unwrap_or_default().into()
    }

    /// Puts these in the place of what was registered there.
    pub fn register(&mut self, guild: &str, all: &Value) -> Result<Reply, Reply> {
        let mut made = Vec::new();
        for (place, form) in all.as_array().into_iter().flatten().enumerate() {
            command_fits(form, &place.to_string()).map_err(|wrong| misfit(&wrong))?;
            let characters = characters(form);
            if characters > ALL_CHARACTERS {
                let text = format!("Command exceeds maximum size ({ALL_CHARACTERS})");
                return Err(misfit(&Misfit::new(place.to_string(), "APPLICATION_COMMAND_TOO_LARGE", text)));
            }
            let mut command = without_nulls(form);
            let fields = command.as_object_mut().unwrap();
            fields.insert("id".to_owned(), json!(self.new_id()));
            fields.insert("version".to_owned(), json!(self.new_id()));
            fields.insert("application_id".to_owned(), json!(self.application));
            fields.entry("type").or_insert(json!(1));
            let needed = form["default_member_permissions"].as_u64().map(|bits| bits.to_string());
            fields.insert("default_member_permissions".to_owned(), json!(needed));
            if guild != EVERYWHERE {
                fields.insert("guild_id".to_owned(), json!(guild));
            }
            made.push(command);
        }
        self.commands.insert(guild.to_owned(), made.clone());
        Ok(ok(made.into()))
    }

    /// What an application is told of a command as it is typed; `typing`: while its last option is.
    pub fn typed(&self, text: &str, typing: bool) -> Result<Value, String> {
        let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
        let name = words.next().and_then(|word| word.strip_prefix('/')).ok_or("commands begin with a slash")?;
        // Those of the server come before those of everywhere.
        let all = || self.commands.values().rev().flatten();
        let names = || all().map(|command| format!("/{}", command["name"].as_str().unwrap())).collect::<Vec<_>>();
        let command = all().find(|command| command["name"] == name);
        let command = command.ok_or_else(|| format!("no command /{name} is registered, but {:?}", names()))?;
        let (mut path, mut level) = (Vec::new(), command);
        while let Some(below) = words.peek().and_then(|word| below(level, word)) {
            words.next();
            path.push(below);
            level = below;
        }
        let forks: Vec<&str> = options(level).filter(|known| is_fork(known)).map(name_of).collect();
        if !forks.is_empty() {
            return Err(format!("`{text}` stops at {:?}, where one of {forks:?} has to follow", level["name"]));
        }
        let given = values(level, words)?;
        let mut told = given.iter().map(|(option, text)| value(option, text)).collect::<Result<Vec<_>, _>>()?;
        if typing {
            let (option, text) = given.last().ok_or("nothing is being typed")?;
            if option["autocomplete"] != true {
                return Err(format!("nothing is suggested for `{}`", name_of(option)));
            }
            *told.last_mut().unwrap() =
                json!({ "name": option["name"], "type": option["type"], "value": text, "focused": true });
        } else if let Some(missing) = options(level)
            .find(|known| known["required"] == true && !given.iter().any(|(option, _)| option["name"] == known["name"]))
        {
            return Err(format!("`{text}` lacks `{}`", name_of(missing)));
        }
        let inner = path.iter().rev().fold(
            json!(told),
            |below, level| json!([{ "name": level["name"], "type": level["type"], "options": below }]),
        );
        let mut data = json!({ "id": command["id"], "name": name, "type": 1, "options": inner });
        if let Some(guild) = command.get("guild_id") {
            data["guild_id"] = guild.clone();
        }
        Ok(data)
    }
}

fn options(level: &Value) -> impl Iterator<Item = &Value> {
    level["options"].as_array().into_iter().flatten()
}

fn name_of(option: &Value) -> &str {
    option["name"].as_str().unwrap_or_default()
}

fn kind_of(option: &Value) -> u64 {
    option["type"].as_u64().unwrap_or_default()
}

fn is_fork(option: &Value) -> bool {
    matches!(kind_of(option), SUBCOMMAND | GROUP)
}

fn below<'a>(level: &'a Value, word: &str) -> Option<&'a Value> {
    options(level).find(|known| is_fork(known) && known["name"] == word)
}

/// `repo:acme/api at:2 days ago`: options, and what was typed for each.
fn values<'a, 'b>(level: &'a Value, words: impl Iterator<Item = &'b str>) -> Result<Vec<(&'a Value, String)>, String> {
    let mut given: Vec<(&Value, String)> = Vec::new();
    for word in words {
        let (name, rest) = word.split_once(':').unwrap_or((word, ""));
        let known = options(level).find(|known| word.contains(':') && known["name"] == name);
        let looks_like_one = name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-') && word.contains(':');
        if known.is_some() && given.iter().any(|(before, _)| before["name"] == name) {
            return Err(format!("`{name}` was given already"));
        }
        match (known, given.last_mut()) {
            (Some(option), _) => given.push((option, rest.to_owned())),
            (None, Some((_, text))) if !looks_like_one || rest.starts_with("//") => {
                text.push(' ');
                text.push_str(word);
            }
            (None, _) => {
                let known: Vec<&str> = options(level).map(name_of).collect();
                return Err(format!("{:?} has no option for `{word}`, but {known:?}", level["name"]));
            }
        }
    }
    Ok(given)
}

fn value(option: &Value, text: &str) -> Result<Value, String> {
    let name = name_of(option);
    let mut choices = option["choices"].as_array().into_iter().flatten().peekable();
    let one_of = choices.peek().is_some();
    if let Some(choice) = choices.find(|choice| choice["name"] == text || choice["value"] == text) {
        return Ok(json!({ "name": name, "type": option["type"], "value": choice["value"] }));
    }
    if one_of {
        return Err(format!("`{text}` is none of the choices of `{name}`: {}", option["choices"]));
    }
    let value = match kind_of(option) {
        TEXT => Some(json!(text)),
        INTEGER => text.parse::<i64>().ok().map(Value::from),
        SWITCH => text.parse::<bool>().ok().map(Value::from),
        NUMBER => text.parse::<f64>().ok().map(Value::from),
        kind => return Err(format!("the double does not know options of type {kind}")),
    };
    let value = value.ok_or_else(|| format!("`{text}` is nothing for `{name}`"))?;
    Ok(json!({ "name": name, "type": option["type"], "value": value }))
}

/// <https://docs.discord.com/developers/interactions/application-commands#application-command-object>
fn command_fits(form: &Value, at: &str) -> Result<(), Misfit> {
    named(form, at)?;
    let (mut optional, mut names) = (false, BTreeSet::new());
    let below = form["options"].as_array().map_or(&[][..], Vec::as_slice);
    if below.len() > MANY {
        return Err(Misfit::too_long(format!("{at}.options"), MANY));
    }
    let forks = below.iter().filter(|option| is_fork(option)).count();
    if forks != 0 && forks != below.len() {
        let text = "Sub-command and sub-command group option types are mutually exclusive to all other types";
        return Err(Misfit::new(format!("{at}.options"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", text));
    }
    for (place, option) in below.iter().enumerate() {
        let at = format!("{at}.options.{place}");
        if !names.insert(name_of(option)) {
            return Err(Misfit::new(at, "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATED", "Option names must be unique"));
        }
        if option["required"] == true && optional {
            let text = "Required options must be placed before non-required options";
            return Err(Misfit::new(at, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", text));
        }
        optional |= option["required"] != true;
        if option["autocomplete"] == true && option["choices"].as_array().is_some_and(|all| !all.is_empty()) {
            let text = "Autocomplete cannot be set to true if choices are present";
            return Err(Misfit::new(at, "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID", text));
        }
        // A group holds commands and no further groups; the description of the API says the same.
        command_fits(option, &at)?;
    }
    Ok(())
}

fn named(form: &Value, at: &str) -> Result<(), Misfit> {
    let (name, about) = (name_of(form), form["description"].as_str().unwrap_or_default());
    let fine = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || c == '-' || c == '_' || c == '\'';
    if !(1..=32).contains(&name.chars().count()) || !name.chars().all(fine) {
        let text = "Command name is invalid";
        return Err(Misfit::new(format!("{at}.name"), "APPLICATION_COMMAND_INVALID_NAME", text));
    }
    if !(1..=100).contains(&about.chars().count()) {
        let text = "Must be between 1 and 100 in length.";
        return Err(Misfit::new(format!("{at}.description"), "BASE_TYPE_BAD_LENGTH", text));
    }
    Ok(())
}

fn characters(form: &Value) -> usize {
    let own = name_of(form).chars().count() + form["description"].as_str().unwrap_or_default().chars().count();
    let choice =
        |choice: &Value| name_of(choice).chars().count() + choice["value"].as_str().map_or(0, |v| v.chars().count());
    let choices: usize = form["choices"].as_array().into_iter().flatten().map(choice).sum();
    own + choices + options(form).map(characters).sum::<usize>()
}
