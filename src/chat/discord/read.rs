//! Discord's interactions in our words.
//! <https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object>

use chrono::{DateTime, Utc};
use serenity::model::application::{
    CommandData, CommandDataOption, CommandDataOptionValue as Value, ComponentInteractionDataKind, Interaction,
};
use serenity::model::channel::MessageFlags;
use serenity::model::guild::Member;
use serenity::model::id::{ChannelId, GuildId, InteractionId, UserId};

use super::SLUG;
use super::application::Application;
use crate::chat::{Asker, Incoming, Rejected, ReplyTo, Verified, What, Words};
use crate::domain::Person;

/// Only the server that the settings name is served. Whoever has the application's address could install it in a server of
/// their own; there, nobody gets so much as a word from us.
const ELSEWHERE: Rejected = Rejected::Malformed("this server is not served");

pub(super) fn read(application: &Application, verified: &Verified) -> Result<Incoming, Rejected> {
    let interaction: Interaction =
        serde_json::from_slice(&verified.body).map_err(|_| Rejected::Malformed("this is no interaction"))?;
    if interaction.application_id().to_string() != application.id {
        return Err(Rejected::Malformed("it is for another application"));
    }
    let place = interaction.guild_id().map(|guild| guild.to_string());
    if let (Some(served), Some(place)) = (&application.server, &place)
        && served != place
    {
        return Err(ELSEWHERE);
    }
    let (channel, from, what) = match &interaction {
        // It comes from Discord itself.
        Interaction::Ping(ping) => (None, asker(ping.application_id.get().into(), None, None)?, What::Ping),
        Interaction::Command(command) => {
            let (words, _) = words(&command.data)?;
            let from = asker(command.user.id, command.member.as_deref(), command.guild_id)?;
            (Some(command.channel_id), from, What::Command(words))
        }
        Interaction::Autocomplete(command) => {
            let (words, typed) = words(&command.data)?;
            let (option, typed) = typed.ok_or(Rejected::Malformed("nothing is being typed"))?;
            let from = asker(command.user.id, command.member.as_deref(), command.guild_id)?;
            (Some(command.channel_id), from, What::Complete { words, option, typed })
        }
        Interaction::Component(press) => {
            if !matches!(press.data.kind, ComponentInteractionDataKind::Button) {
                return Err(Rejected::Malformed("we have only buttons"));
            }
            let private = press.message.flags.is_some_and(|flags| flags.contains(MessageFlags::EPHEMERAL));
            let from = asker(press.user.id, press.member.as_ref(), press.guild_id)?;
            (Some(press.channel_id), from, What::Press { button: press.data.custom_id.clone(), private })
        }
        _ => return Err(Rejected::Malformed("we ask for nothing of that kind")),
    };
    let reply_to = (!matches!(what, What::Ping)).then(|| ReplyTo(interaction.token().to_owned().into()));
    Ok(Incoming {
        id: interaction.id().to_string(),
        at: asked_at(interaction.id()),
        place,
        channel: channel.as_ref().map(ChannelId::to_string),
        from,
        reply_to,
        what,
    })
}

fn asker(user: UserId, member: Option<&Member>, server: Option<GuildId>) -> Result<Asker, Rejected> {
    let person = Person::new(SLUG, &user.to_string()).map_err(|_| Rejected::Malformed("nobody asks"))?;
    let mut roles: Vec<String> = member.into_iter().flat_map(|member| &member.roles).map(ToString::to_string).collect();
    // Everybody in a server has its role @everyone, whose id is the server's, and which is never listed:
    // https://docs.discord.com/developers/topics/permissions#role-object
    roles.extend(member.and(server).map(|server| server.to_string()));
    Ok(Asker { person, roles })
}

/// The words, and the option that is being typed with what is there of it.
fn words(data: &CommandData) -> Result<(Words, Option<(String, String)>), Rejected> {
    let (mut words, mut typed) = (Words::default(), None);
    let mut level = data.options.as_slice();
    // At most one of a level is a command below; then there is nothing else.
    while let [CommandDataOption { name, value: Value::SubCommandGroup(below) | Value::SubCommand(below), .. }] = level
    {
        words.path.push(name.clone());
        level = below;
    }
    for option in level {
        let value = match &option.value {
            Value::String(text) => text.clone(),
            Value::Boolean(switch) => switch.to_string(),
            Value::Autocomplete { value, .. } => {
                typed = Some((option.name.clone(), value.clone()));
                continue;
            }
            _ => return Err(Rejected::Malformed("no command of ours takes that")),
        };
        words.options.push((option.name.clone(), value));
    }
    Ok((words, typed))
}

/// Ids tell the time, to the millisecond: <https://docs.discord.com/developers/reference#snowflakes>
fn asked_at(id: InteractionId) -> DateTime<Utc> {
    let at = id.created_at();
    DateTime::from_timestamp(at.unix_timestamp(), at.nanosecond()).unwrap_or_else(Utc::now)
}
