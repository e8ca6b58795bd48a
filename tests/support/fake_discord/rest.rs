//! The calls that a bot makes.

use serde_json::Value;

use super::FakeDiscord;
use super::messages::check;
use super::openapi;
use super::people;
use super::reply::{Call, Misfit, Reply, done, error, misfit, no_such_path, ok, unauthorized};
use super::state::{EVERYWHERE, State, rights};

/// How every client of the API has to introduce itself.
/// <https://docs.discord.com/developers/reference#user-agent>
const USER_AGENT: &str = "DiscordBot (";

/// The answer to a call, checked and counted.
pub fn respond(discord: &FakeDiscord, call: &Call) -> Reply {
    let mut state = discord.state();
    if let Some(page) = state.limits.ban() {
        return page;
    }
    let reply = admitted(&mut state, call).unwrap_or_else(|refusal| refusal);
    state.limits.count(&reply);
    if let Some(Err(why)) =
        openapi::description().map(|described| described.check_answer(&call.method, &call.path, &reply))
    {
        state.violated(format!("the double's own answer: {why}"));
    }
    reply
}

fn admitted(state: &mut State, call: &Call) -> Result<Reply, Reply> {
    let what = format!("{} {}", call.method, call.public_path());
    if !call.user_agent.starts_with(USER_AGENT) {
        state.violated(format!("{what}: the user agent is `{}`, not `{USER_AGENT}URL, VERSION)`", call.user_agent));
    }
    let own = format!("Bot {}", state.token);
    let by_token = call.path.starts_with("/webhooks/") || call.path.starts_with("/interactions/");
    if !by_token && call.authorization.as_ref() != Some(&own) {
        return Err(unauthorized());
    }
    let stand = state.limits.take(call)?;
    Ok(stand.tell(checked(state, call, &what)))
}

fn checked(state: &mut State, call: &Call, what: &str) -> Reply {
    if let Some(Err(why)) = openapi::description().map(|described| described.check_request(call)) {
        state.violated(format!("{what}: {why}"));
        return misfit(&Misfit::new("_", "INVALID", why));
    }
    let reply = route(state, call).unwrap_or_else(|refusal| refusal);
    if reply.status == 400 {
        state.violated(format!("{what}: {}", reply.body.as_ref().unwrap_or(&Value::Null)));
    }
    reply
}

fn route(state: &mut State, call: &Call) -> Result<Reply, Reply> {
    let segments = call.segments();
    match (call.method.as_str(), &segments[..]) {
        ("GET", ["users", "@me"]) => Ok(ok(people::own_user(state.member(&state.bot).unwrap()))),
        ("GET", ["applications", "@me"] | ["oauth2", "applications", "@me"]) => Ok(ok(state.application_json())),
        (method, ["applications", id, rest @ ..]) => {
            if *id != state.application {
                return Err(error(20012));
            }
            match (method, rest) {
                ("GET", ["commands"]) => Ok(ok(state.registered(EVERYWHERE))),
                ("PUT", ["commands"]) => state.register(EVERYWHERE, &call.body),
                ("GET", ["guilds", guild, "commands"]) => {
                    state.own_guild(guild, 50001).map(|guild| ok(state.registered(&guild)))
                }
                ("PUT", ["guilds", guild, "commands"]) => {
                    let guild = state.own_guild(guild, 50001)?;
                    state.register(&guild, &call.body)
                }
                _ => Err(no_such_path()),
            }
        }
        // For a person's own token alone.
        ("GET", ["users", "@me", "guilds", _, "member"]) => Err(error(20001)),
        ("GET", ["guilds", guild, rest @ ..]) => {
            state.own_guild(guild, 10004)?;
            match rest {
                [] => Ok(ok(state.guild_json())),
                ["roles"] => Ok(ok(state.roles_json())),
                ["members", id] => state.member(id).map(|known| ok(people::member(known))).ok_or_else(|| error(10007)),
                _ => Err(no_such_path()),
            }
        }
        (method, ["channels", channel, rest @ ..]) => in_channel(state, call, method, channel, rest),
        (method, ["webhooks", application, token, rest @ ..]) => {
            state.by_token(method, application, token, rest, &call.body)
        }
        ("POST", ["interactions", id, token, "callback"]) => state.called_back(id, token),
        _ => Err(no_such_path()),
    }
}

fn in_channel(state: &mut State, call: &Call, method: &str, id: &str, rest: &[&str]) -> Result<Reply, Reply> {
    let room = state.channel(id).ok_or_else(|| error(10003))?;
    let may = state.rights_in(room);
    if may & rights::VIEW_CHANNEL == 0 {
        return Err(error(50001));
    }
    match (method, rest) {
        ("GET", []) => Ok(ok(state.channel_json(room))),
        ("GET", ["messages"]) if may & rights::READ_HISTORY == 0 => Ok(ok(Value::Array(Vec::new()))),
        ("GET", ["messages"]) => {
            let seen = state.posts.iter().rev().filter(|post| post.channel == id && !post.deleted && !post.private());
            Ok(ok(seen.take(50).map(|post| post.json(state)).collect()))
        }
        ("POST", ["messages"]) => {
            if may & rights::SEND_MESSAGES == 0 {
                return Err(error(50013));
            }
            check(&call.body, true)?;
            Ok(ok(state.publish(id, &call.body)))
        }
        (method, ["messages", message]) => {
            // What only one person sees is reached by the interaction's token alone.
            let shown = |post: &&super::messages::Post| post.channel == id && !post.deleted && !post.private();
            let post = state.post(message).filter(shown).ok_or_else(|| error(10008))?;
            let own = post.author == state.bot;
            match method {
                "GET" => Ok(ok(post.json(state))),
                "PATCH" | "DELETE" if !own => Err(error(50005)),
                "PATCH" => {
                    check(&call.body, false)?;
                    Ok(ok(state.edit(message, &call.body)))
                }
                "DELETE" => {
                    state.post_mut(message).unwrap().deleted = true;
                    Ok(done())
                }
                _ => Err(no_such_path()),
            }
        }
        _ => Err(no_such_path()),
    }
}

impl State {
    /// The server that the bot is in, as commands have it; any other is refused like this.
    fn own_guild(&self, guild: &str, refusal: u32) -> Result<String, Reply> {
        if guild == self.guild { Ok(self.guild.clone()) } else { Err(error(refusal)) }
    }
}
