//! Discord, through its HTTP interactions endpoint: <https://docs.discord.com/developers/interactions/overview>

use crate::chat::Platform;
use crate::config::Settings;
use crate::domain::Result;

/// As paths, the database and people's ids have it.
pub const SLUG: &str = "discord";

/// Opens it if `discord.application_id` is set.
pub fn open(settings: &Settings, _http: reqwest::Client) -> Result<Option<Box<dyn Platform>>> {
    let _ = &settings.discord;
    Ok(None)
}
