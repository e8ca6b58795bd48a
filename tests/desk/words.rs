//! The same words in a chat and at the command line.

use std::collections::BTreeSet;

use clap::CommandFactory;
use refward::chat::Spec;
use refward::cli::Cli;
use refward::desk;

/// Words of the chat that the command line has not, or has for something else; each with its reason.
const ONLY_IN_CHATS: &[(&str, &str)] = &[
    ("restore to", "a chat has no folders and no tokens: it names a place that we know"),
    ("credentials", "the command line has `credentials list`, and what changes them; a chat only looks"),
    ("policy show name", "a chat lists all policies with the same word; the command line has `policy list`"),
    ("help", "clap brings it"),
    ("link", "at the command line nobody has to say who they are on a forge"),
    ("unlink", "an administrator has `people unlink`"),
    ("claim", "the code comes from `grants code`"),
    ("status repo", "the command line shows all of them at once"),
    ("drill repo", "the command line takes several"),
    ("policy set set", "in a chat several are one text"),
    ("policy assign repos", "in a chat several are one text"),
];

#[test]
fn whoever_knows_the_words_of_the_chat_knows_those_of_the_command_line() {
    let cli = Cli::command();
    let excused: BTreeSet<&str> = ONLY_IN_CHATS.iter().map(|(words, _)| *words).collect();
    let mut missing = Vec::new();
    for (path, spec) in commands(&desk::spec(), &[]) {
        let words = path.join(" ");
        if excused.contains(words.as_str()) {
            continue;
        }
        let command = path.iter().try_fold(&cli, |command, word| command.find_subcommand(word));
        let Some(command) = command else {
            missing.push(words);
            continue;
        };
        for parameter in &spec.parameters {
            let known = command
                .get_arguments()
                .any(|argument| argument.get_long().unwrap_or(argument.get_id().as_str()) == parameter.name);
            let said = format!("{words} {}", parameter.name);
            if !known && !excused.contains(said.as_str()) {
                missing.push(said);
            }
        }
    }
    assert!(missing.is_empty(), "the command line does not know: {missing:?}");
}

#[test]
fn commands_fit_what_chats_allow() {
    for (path, spec) in commands(&desk::spec(), &[]) {
        let fits = |text: &str| (1..=100).contains(&text.chars().count());
        assert!(path.len() <= 2 && fits(&spec.about), "{path:?}: {}", spec.about);
        for parameter in &spec.parameters {
            assert!(fits(&parameter.about), "{path:?} {}: {}", parameter.name, parameter.about);
        }
        let required: Vec<bool> = spec.parameters.iter().map(|parameter| parameter.required).collect();
        assert!(required.is_sorted_by(|before, after| before >= after), "{path:?}: what is required comes first");
    }
}

fn commands(spec: &Spec, path: &[String]) -> Vec<(Vec<String>, Spec)> {
    let below = spec.below.iter().flat_map(|one| {
        let path = [path, std::slice::from_ref(&one.name)].concat();
        if one.below.is_empty() { vec![(path, one.clone())] } else { commands(one, &path) }
    });
    below.collect()
}
