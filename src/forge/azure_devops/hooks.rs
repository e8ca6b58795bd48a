//! Service hooks.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{AzureDevops, unbuilt};
use crate::domain::Result;
use crate::forge::{Access, Door, FoundHook, Hooks, Missed, WantedHook};

#[async_trait]
impl Hooks for AzureDevops {
    async fn wanted(&self, _access: &Access) -> Result<Vec<WantedHook>> {
        Err(unbuilt())
    }

    async fn found(&self, _access: &Access, _door: &Door) -> Result<Vec<FoundHook>> {
        Err(unbuilt())
    }

    async fn create(&self, _access: &Access, _door: &Door, _wanted: &WantedHook) -> Result<FoundHook> {
        Err(unbuilt())
    }

    async fn mend(
        &self,
        _access: &Access,
        _door: &Door,
        _found: &FoundHook,
        _wanted: &WantedHook,
    ) -> Result<FoundHook> {
        Err(unbuilt())
    }

    async fn remove(&self, _access: &Access, _id: &str) -> Result<()> {
        Err(unbuilt())
    }

    async fn undelivered(
        &self,
        _access: &Access,
        _door: &Door,
        _ids: &[String],
        _since: DateTime<Utc>,
    ) -> Result<Missed> {
        Err(unbuilt())
    }
}
