//! The server, its roles and members, the bot and its application: how they are told.

use chrono::Utc;
use serde_json::{Value, json};

use super::messages::stamp;
use super::state::{Role, Room, Somebody, State, rights};

/// A user, as others see them.
pub fn user(user: &Somebody) -> Value {
    json!({
        "id": user.id, "username": user.name, "global_name": user.name, "discriminator": "0", "avatar": null,
        "public_flags": 0, "flags": 0, "primary_guild": null, "bot": user.bot,
    })
}

/// A user, as they see themselves.
pub fn own_user(own: &Somebody) -> Value {
    let mut json = user(own);
    json["mfa_enabled"] = json!(true);
    json["locale"] = json!("en-US");
    json["verified"] = json!(true);
    json["email"] = json!(null);
    json
}

/// A member of the server.
pub fn member(known: &Somebody) -> Value {
    json!({
        "user": user(known), "nick": null, "avatar": null, "banner": null, "roles": known.roles,
        "joined_at": stamp(Utc::now()), "premium_since": null, "pending": false, "flags": 0,
        "communication_disabled_until": null, "mute": false, "deaf": false,
    })
}

pub fn role(known: &Role) -> Value {
    json!({
        "id": known.id, "name": known.name, "permissions": known.permissions.to_string(), "position": 1, "color": 0,
        "colors": { "primary_color": 0, "secondary_color": null, "tertiary_color": null }, "hoist": false,
        "managed": known.managed, "mentionable": false, "icon": null, "unicode_emoji": null, "flags": 0,
    })
}

impl State {
    pub fn roles_json(&self) -> Value {
        self.roles.iter().map(role).collect()
    }

    /// The server, as the bot gets it.
    pub fn guild_json(&self) -> Value {
        let owner = self.members.iter().find(|member| !member.bot).unwrap_or(&self.members[0]);
        json!({
            "id": self.guild, "name": "ACME", "icon": null, "description": null, "home_header": null, "splash": null,
            "discovery_splash": null, "features": [], "banner": null, "owner_id": owner.id, "application_id": null,
            "region": "deprecated", "afk_channel_id": null, "afk_timeout": 300, "system_channel_id": null,
            "system_channel_flags": 0, "widget_enabled": false, "widget_channel_id": null, "verification_level": 1,
            "roles": self.roles_json(), "default_message_notifications": 1, "mfa_level": 0,
            "explicit_content_filter": 2, "max_presences": null, "max_members": 500_000,
            "max_stage_video_channel_users": 50, "max_video_channel_users": 25, "vanity_url_code": null,
            "premium_tier": 0, "premium_subscription_count": 0, "preferred_locale": "en-US", "rules_channel_id": null,
            "safety_alerts_channel_id": null, "public_updates_channel_id": null, "premium_progress_bar_enabled": false,
            "nsfw": false, "nsfw_level": 0, "emojis": [], "stickers": [], "incidents_data": null,
        })
    }

    /// A channel, as the bot gets it.
    pub fn channel_json(&self, room: &Room) -> Value {
        let denied = json!({ "id": self.bot, "type": 1, "allow": "0", "deny": room.denied.to_string() });
        let overwrites = if room.denied == 0 { json!([]) } else { json!([denied]) };
        json!({
            "id": room.id, "type": 0, "guild_id": self.guild, "name": room.name, "position": 0, "flags": 0,
            "permission_overwrites": overwrites, "topic": null, "nsfw": false, "parent_id": null,
            "last_message_id": null, "rate_limit_per_user": 0,
        })
    }

    /// The application, as its bot gets it.
    pub fn application_json(&self) -> Value {
        let bot = self.member(&self.bot).unwrap();
        json!({
            "id": self.application, "name": "Refward", "icon": null, "description": "", "type": null, "bot": user(bot),
            "bot_public": false, "bot_require_code_grant": false, "verify_key": self.public_key(), "flags": 0,
            "flags_new": "0", "redirect_uris": [], "interactions_endpoint_url": self.endpoint,
            "role_connections_verification_url": null, "owner": user(bot), "approximate_guild_count": 1,
            "approximate_user_install_count": 0, "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0, "team": null, "eligible_oauth2_scopes": [],
        })
    }

    /// With what interactions are verified, in hex.
    pub fn public_key(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }

    /// What the bot may do in a channel.
    pub fn rights_in(&self, room: &Room) -> u64 {
        let bot = self.member(&self.bot).unwrap();
        let counts = |role: &&Role| role.id == self.guild || bot.roles.contains(&role.id);
        let granted = self.roles.iter().filter(counts).fold(0, |all, role| all | role.permissions);
        let rights = granted & !room.denied;
        // Whoever does not see a channel can do nothing there.
        if rights & rights::VIEW_CHANNEL == 0 { 0 } else { rights }
    }
}
