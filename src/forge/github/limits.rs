//! What GitHub allows, and what its answers say of what is left.
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::Duration;

use http::Method;

use super::api::Answer;
use super::errors::{self, header};
use super::hosts::{Host, Product};
use crate::forge::quota::{Call, Domain, Effect, Observed, Renewal, Reserve, Resource, Rules, Urgency};

/// github.com and ghe.com.
pub const CLOUD: Rules = Rules {
    concurrent: 100,
    points_per_minute: 900,
    graphql_points_per_minute: 2_000,
    creations_per_minute: 80,
    creations_per_hour: 500,
    write_gap: Duration::from_secs(1),
    unknown_wait: UNKNOWN_WAIT,
    renewal: Renewal::AtReset,
    reserve: Reserve::USUAL,
    patience: Rules::PATIENCE,
};

/// Enterprise Server knows no limits until its administrator sets some; but a backup shouldn't be felt there either.
pub const ENTERPRISE_SERVER: Rules = Rules {
    concurrent: 10,
    points_per_minute: Rules::UNLIMITED,
    graphql_points_per_minute: Rules::UNLIMITED,
    creations_per_minute: Rules::UNLIMITED,
    creations_per_hour: Rules::UNLIMITED,
    write_gap: Duration::ZERO,
    ..CLOUD
};

/// How long a limit lasts that GitHub does not put a time to, the first time.
pub(super) const UNKNOWN_WAIT: Duration = Duration::from_mins(1);

/// The rules of a host.
pub(super) fn rules(host: &Host) -> &'static Rules {
    match host.product {
        Product::GithubCom | Product::DataResidency => &CLOUD,
        Product::Server => &ENTERPRISE_SERVER,
    }
}

/// What a request will cost.
pub(super) fn call(
    host: &Host,
    domain: Domain,
    resource: Resource,
    urgency: Urgency,
    method: &Method,
    path: &str,
) -> Call {
    let effect = match resource {
        // Nothing is changed through GraphQL.
        Resource::GraphQl => Effect::Reads,
        _ if matches!(*method, Method::GET | Method::HEAD) => Effect::Reads,
        Resource::App if path.ends_with("/access_tokens") => Effect::SignsIn,
        // What else an App does about itself notifies nobody.
        Resource::App => Effect::Writes,
        Resource::Rest => Effect::Creates,
    };
    Call { domain, resource, urgency, effect, rules: rules(host) }
}

/// What an answer says of what is left; a server without limits says nothing. `None`: it is in trouble, or something on
/// the way has answered in its place.
pub(super) fn observed(answer: &Answer) -> Option<Observed> {
    if answer.status.is_server_error() || errors::is_web_page(answer) {
        return None;
    }
    let number = |name| header(answer, name).and_then(|text| text.parse().ok());
    Some(Observed {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining"),
        reset_in: errors::until_reset(answer),
        refused: errors::limited(answer),
        rest: None,
    })
}
