//! Service hooks: to be filled.

use super::FakeAzureDevops;
use super::events::Event;
use super::reply::{Call, Reply};
use super::sign_in::Caller;

/// What the double knows of service hooks; it lies in its state.
#[derive(Default)]
pub struct Hooks {}

/// A call to `_apis/hooks/…`; `rest` is what follows `hooks`, in lower case. `None`: there is no such call.
pub fn respond(azure: &FakeAzureDevops, caller: &Caller, call: &Call, rest: &[&str]) -> Option<Reply> {
    let _ = (azure, caller, call, rest);
    None
}

/// Something happened. Called on a thread of a tokio runtime, without the state's lock.
pub fn announce(azure: &FakeAzureDevops, event: &Event) {
    let _ = (azure, event);
}
