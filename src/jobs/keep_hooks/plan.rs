//! What there should be beside what there is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use crate::catalog::StoredHook;
use crate::forge::{FoundHook, HookState, WantedHook};

/// The hook is not on the forge any more.
pub(super) const MISSING: &str = "missing";

/// It does not send what it should, or not to us.
pub(super) const ALTERED: &str = "altered";

/// What is to be done.
#[derive(Default)]
pub(super) struct Plan {
    /// One for each hook that there should be.
    pub kept: Vec<Kept>,
    /// What is on the forge once too often, or for nothing.
    pub superfluous: Vec<FoundHook>,
    /// What we have written down and nobody wants.
    pub forgotten: Vec<StoredHook>,
}

/// A hook that there should be.
pub(super) struct Kept {
    pub wanted: WantedHook,
    /// As it is on the forge.
    pub found: Option<FoundHook>,
    /// As we have written it down.
    pub stored: Option<StoredHook>,
}

type Place = (String, String);

impl Plan {
    pub fn new(wanted: Vec<WantedHook>, found: Vec<FoundHook>, stored: Vec<StoredHook>) -> Self {
        let mut plan = Self::default();
        let mut stored: HashMap<Place, StoredHook> =
            stored.into_iter().map(|hook| ((hook.scope.clone(), hook.event.clone()), hook)).collect();
        let mut places: BTreeMap<Place, Vec<FoundHook>> = BTreeMap::new();
        for hook in found {
            places.entry((hook.scope.clone(), hook.event.clone())).or_default().push(hook);
        }
        for wanted in wanted {
            let place = (wanted.scope.id.clone(), wanted.event.clone());
            let stored = stored.remove(&place);
            let mut found = places.remove(&place).unwrap_or_default();
            let known = stored.as_ref().map(|hook| hook.forge_id.as_str());
            found.sort_by_key(|hook| {
                (Reverse(is_right(hook)), Reverse(Some(hook.id.as_str()) == known), hook.id.clone())
            });
            let mut found = found.into_iter();
            plan.kept.push(Kept { wanted, found: found.next(), stored });
            plan.superfluous.extend(found);
        }
        plan.superfluous.extend(places.into_values().flatten());
        plan.forgotten = stored.into_values().collect();
        plan
    }
}

fn is_right(hook: &FoundHook) -> bool {
    hook.state == HookState::Enabled && hook.altered.is_empty()
}

impl Kept {
    /// What is wrong with it now. One that is to be made for the first time is not in trouble.
    pub fn trouble(&self) -> Option<&'static str> {
        match &self.found {
            None => self.stored.is_some().then_some(MISSING),
            Some(hook) if hook.state != HookState::Enabled => Some(hook.state.word()),
            Some(hook) if !hook.altered.is_empty() => Some(ALTERED),
            Some(_) => None,
        }
    }

    /// A person has switched it off. That is theirs to decide: what they mean by it nobody here knows, and what is pushed
    /// meanwhile is found by surveys. So people are told, and `refward hooks repair` switches it on again.
    pub fn is_left_alone(&self) -> bool {
        self.found.as_ref().is_some_and(|hook| hook.state == HookState::DisabledByUser)
    }

    pub fn is_right(&self) -> bool {
        self.found.as_ref().is_some_and(is_right)
    }

    /// Something may have happened that it did not tell of.
    pub fn has_gap(&self) -> bool {
        self.trouble().is_some() || self.stored.as_ref().is_none_or(|hook| hook.trouble.is_some())
    }

    /// To be written down. `trouble`: what is wrong, if anything is.
    pub fn row(
        &self,
        connection: crate::domain::ConnectionId,
        hook: &FoundHook,
        trouble: Option<&str>,
        now: DateTime<Utc>,
    ) -> StoredHook {
        let before = self.stored.as_ref();
        let since = before.and_then(|hook| hook.trouble.as_ref()).map_or(now, |(_, since)| *since);
        StoredHook {
            connection,
            scope: self.wanted.scope.id.clone(),
            scope_name: self.wanted.scope.name.clone(),
            event: self.wanted.event.clone(),
            forge_id: hook.id.clone(),
            state: hook.state.word().to_owned(),
            trouble: trouble.map(|what| (what.to_owned(), since)),
            seen_until: before.map_or(now, |hook| hook.seen_until),
        }
    }
}
