//! Whom a message notifies.

use serde_json::Value;

use super::state::State;

/// Everybody whom a text calls, outside of code: names (`@…` for those that are many) and ids.
pub fn called(state: &State, content: &str) -> Vec<(String, String)> {
    let text = without_code(content);
    let mut found = Vec::new();
    for name in ["everyone", "here"] {
        if text.contains(&format!("@{name}")) {
            found.push((format!("@{name}"), name.to_owned()));
        }
    }
    for member in &state.members {
        if text.contains(&format!("<@{}>", member.id)) || text.contains(&format!("<@!{}>", member.id)) {
            found.push((member.name.clone(), member.id.clone()));
        }
    }
    for role in &state.roles {
        if text.contains(&format!("<@&{}>", role.id)) {
            found.push((format!("@{}", role.name), role.id.clone()));
        }
    }
    found
}

/// What stands in code calls nobody.
fn without_code(content: &str) -> String {
    let outside = |text: &str, fence: &str| {
        let parts: Vec<&str> = text.split(fence).collect();
        // A fence that nothing closes is none.
        let closed = if parts.len().is_multiple_of(2) { parts.len() - 1 } else { parts.len() };
        let kept = parts.iter().enumerate().filter(|(place, _)| place % 2 == 0 || *place >= closed);
        kept.map(|(_, part)| *part).collect::<Vec<_>>().join(" ")
    };
    outside(&outside(content, "```"), "`")
}

/// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
pub fn allows(allowed: &Value, name: &str, id: &str) -> bool {
    let (kind, list) = match name {
        "@everyone" | "@here" => ("everyone", ""),
        name if name.starts_with('@') => ("roles", "roles"),
        _ => ("users", "users"),
    };
    let has =
        |field: &str, value: &str| allowed[field].as_array().is_some_and(|all| all.iter().any(|one| one == value));
    allowed.is_null() || has("parse", kind) || has(list, id)
}
