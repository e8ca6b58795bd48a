//! A deployment that people ask from Discord.
//!
//! ```ignore
//! let world = World::with_discord(&[]).await;
//! let (mona, ops) = (world.discord().member("mona"), world.discord().channel("ops"));
//! world.tells(&ops, "severity = \"info\"");
//! let service = world.serve().await;
//! world.ok(&["discord", "register"]).await;
//! let status = mona.says(&ops, "/refward status").await.answer().await;
//! ```

use std::io::Write;

use secrecy::ExposeSecret;

use super::fake_discord::{Channel, FakeDiscord};
use super::world::World;

impl World {
    /// With a Discord application on a server, and settings of one's own. Nothing is registered there yet.
    pub async fn with_discord(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::bare().await;
        let discord = FakeDiscord::start().await;
        let token = world.secret_file("discord.token", discord.token().expose_secret());
        world.set("discord.application_id", &discord.application_id());
        world.set("discord.public_key", &discord.public_key());
        world.set("discord.token_file", &token);
        world.set("discord.server", &discord.server());
        world.set("discord.api", discord.url().as_str());
        // At nine o'clock it would come into every story that counts messages.
        world.set("discord.digest", "");
        for (key, value) in settings {
            world.set(key, value);
        }
        world.discord = Some(discord);
        world.init().await;
        world
    }

    /// Its Discord.
    pub fn discord(&self) -> &FakeDiscord {
        self.discord.as_ref().expect("a world that was made by `with_discord`")
    }

    /// Notices go to a channel from the next start on: `severity = "info"`, further lines of its part of the settings.
    pub fn tells(&self, channel: &Channel, rules: &str) {
        let file = self.folder().join("refward.toml");
        let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        write!(file, "\n[[discord.channels]]\nid = \"{}\"\n{rules}\n", channel.id).unwrap();
    }
}
