//! Looks after the hooks that we have set up for a connection: there are those that there should be, as we make them, switched on;
//! and whatever they could not deliver is fetched.

use crate::domain::{ConnectionId, Result};
use crate::services::Services;

/// Looks after one connection's hooks.
pub async fn keep_hooks(services: &Services, id: ConnectionId) -> Result<()> {
    _ = (services, id);
    Ok(())
}
