//! What somebody may do in a channel: <https://docs.discord.com/developers/topics/permissions#permission-overwrites>

use serde::Deserialize;
use serenity::model::Permissions;

/// A server's role.
#[derive(Deserialize)]
pub(super) struct Role {
    pub id: String,
    pub permissions: Permissions,
}

/// What a channel gives or takes, for a role or for one member.
#[derive(Deserialize)]
pub(super) struct Overwrite {
    /// Of either; ids are unique.
    pub id: String,
    pub allow: Permissions,
    pub deny: Permissions,
}

/// What the member `user`, who has the roles `held`, may do. Everybody has the role that is called like the server.
pub(super) fn in_channel(
    server: &str,
    user: &str,
    held: &[String],
    roles: &[Role],
    overwrites: &[Overwrite],
) -> Permissions {
    let is_held = |id: &str| held.iter().any(|held| held == id);
    let holding = roles.iter().filter(|role| role.id == server || is_held(&role.id));
    let base = holding.fold(Permissions::empty(), |all, role| all | role.permissions);
    if base.contains(Permissions::ADMINISTRATOR) {
        return Permissions::all();
    }
    // From what holds for many to what holds for one. Among roles, giving wins over taking.
    let all_roles = |id: &str| id != server && is_held(id);
    let one = |allowed: Permissions, matches: &dyn Fn(&str) -> bool| {
        let fitting = || overwrites.iter().filter(|overwrite| matches(&overwrite.id));
        let deny = fitting().fold(Permissions::empty(), |all, overwrite| all | overwrite.deny);
        let allow = fitting().fold(Permissions::empty(), |all, overwrite| all | overwrite.allow);
        allowed & !deny | allow
    };
    let allowed = one(base, &|id| id == server);
    let allowed = one(allowed, &all_roles);
    one(allowed, &|id| id == user)
}

#[cfg(test)]
mod tests {
    use serenity::model::Permissions;

    use super::{Overwrite, Role, in_channel};

    const SEND: Permissions = Permissions::SEND_MESSAGES;
    const NONE: Permissions = Permissions::empty();

    fn role(id: &str, permissions: Permissions) -> Role {
        Role { id: id.to_owned(), permissions }
    }

    fn overwrite(id: &str, allow: Permissions, deny: Permissions) -> Overwrite {
        Overwrite { id: id.to_owned(), allow, deny }
    }

    fn may_send(roles: &[Role], overwrites: &[Overwrite]) -> bool {
        in_channel("server", "bot", &["ops".to_owned(), "dev".to_owned()], roles, overwrites).contains(SEND)
    }

    #[test]
    fn roles_add_up_and_others_do_not_count() {
        assert!(may_send(&[role("server", NONE), role("dev", SEND)], &[]));
        assert!(!may_send(&[role("server", NONE), role("guests", SEND)], &[]));
    }

    #[test]
    fn what_a_channel_takes_is_given_back_by_what_is_closer() {
        let roles = [role("server", SEND)];
        let closed = || overwrite("server", NONE, SEND);
        assert!(!may_send(&roles, &[closed()]));
        assert!(may_send(&roles, &[closed(), overwrite("ops", SEND, NONE)]));
        assert!(may_send(&roles, &[closed(), overwrite("dev", NONE, SEND), overwrite("ops", SEND, NONE)]));
        assert!(!may_send(&roles, &[overwrite("ops", SEND, NONE), overwrite("bot", NONE, SEND)]));
        assert!(may_send(&roles, &[overwrite("ops", NONE, SEND), overwrite("bot", SEND, NONE)]));
    }

    #[test]
    fn administrators_may_do_everything() {
        assert!(may_send(&[role("ops", Permissions::ADMINISTRATOR)], &[overwrite("bot", NONE, SEND)]));
    }
}
