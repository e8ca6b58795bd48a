//! Who sent a delivery.

use crate::forge::{HookSecret, Posted, Rejected, Verified};

pub(super) fn verify(_posted: Posted<'_>, _secrets: &[HookSecret]) -> Result<Verified, Rejected> {
    Err(Rejected::Unauthenticated)
}
