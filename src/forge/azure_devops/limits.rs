//! What Azure DevOps allows, and what its answers say of what is left.
//! <https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits>

use std::time::Duration;

use http::Method;

use super::api::Answer;
use super::errors;
use crate::forge::quota::{Call, Domain, Effect, Observed, Renewal, Reserve, Resource, Rules, Urgency};

/// Services. What an identity uses counts over five minutes, in units that nobody can reckon beforehand; before anything is
/// refused, answers are delayed, so a few calls at a time are enough for all.
pub const SERVICES: Rules = Rules {
    concurrent: 4,
    points_per_minute: Rules::UNLIMITED,
    graphql_points_per_minute: Rules::UNLIMITED,
    creations_per_minute: Rules::UNLIMITED,
    creations_per_hour: Rules::UNLIMITED,
    write_gap: Duration::ZERO,
    unknown_wait: UNKNOWN_WAIT,
    renewal: Renewal::Gradual,
    reserve: Reserve::USUAL,
    patience: Rules::PATIENCE,
};

/// A Server knows no limits; but a backup shouldn't be felt there either.
pub const SERVER: Rules = Rules { concurrent: 8, ..SERVICES };

/// How long a limit lasts that comes without a time, the first time: as long as it takes for all that was used to be
/// forgotten.
pub(super) const UNKNOWN_WAIT: Duration = Duration::from_mins(5);

/// What a request will cost.
pub(super) fn call(hosted: bool, domain: Domain, urgency: Urgency, method: &Method) -> Call {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let effect = if reads { Effect::Reads } else { Effect::Writes };
    Call { domain, resource: Resource::Rest, urgency, effect, rules: if hosted { &SERVICES } else { &SERVER } }
}

/// What an answer says of what is left. `None`: it is in trouble, or something on the way has answered in its place.
pub(super) fn observed(answer: &Answer) -> Option<Observed> {
    if answer.status.is_server_error() || errors::is_web_page(answer) {
        return None;
    }
    // Units have fractions.
    let number = |name| errors::header(answer, name)?.split('.').next()?.parse().ok();
    Some(Observed {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining"),
        reset_in: errors::until_reset(answer),
        refused: errors::limited(answer),
        rest: errors::rest(answer),
    })
}
