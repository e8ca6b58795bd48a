//! Who asked.

use serde::{Deserialize, Serialize};

/// The person or program behind a change, as the forge names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub String);
