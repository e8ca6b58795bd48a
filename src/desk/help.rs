//! What can be asked.

use super::grammar;
use super::visitor::Visitor;
use crate::chat::{Line, Parameter, Reply, Spec, Tone};

/// Every command, and what whoever asks may do.
pub(super) fn help(visitor: &Visitor) -> Reply {
    let spec = grammar::spec();
    let reply = Reply::new(Tone::Plain, "What you can ask");
    let you = match visitor.anywhere() {
        Some(role) => Line::new().text("You are ").strong(role.word()).text(", of all repositories or of some."),
        None => Line::new().text("Nobody has granted you anything yet: an admin does, with `refward grants add`."),
    };
    let mut reply = reply.line(you);
    for command in &spec.below {
        let commands: &[Spec] = if command.below.is_empty() { std::slice::from_ref(command) } else { &command.below };
        for one in commands {
            let group = if command.below.is_empty() { String::new() } else { format!("{} ", command.name) };
            let takes: String = one.parameters.iter().map(takes).collect();
            let written = format!("/{} {group}{}{takes}", spec.name, one.name);
            reply = reply.line(Line::new().code(written).text(format!("  {}", one.about)));
        }
    }
    reply
}

fn takes(parameter: &Parameter) -> String {
    if parameter.required { format!(" {}", parameter.name) } else { format!(" [{}]", parameter.name) }
}
