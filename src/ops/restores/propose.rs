//! From a wish to a plan that can be confirmed.

use chrono::Utc;
use serde::Serialize;
use serde_json::{Value, json};

use crate::catalog::{NewRecord, NewRestore, Repository, Verdict};
use crate::domain::{Error, Kind, Person, Point, Result};
use crate::services::Services;

use super::entitled::Places;
use super::look::get;
use super::proposal::{Asker, Destination, Origin, Proposal, Wish};

/// Plans a restore. Nothing is changed, and nothing happens until [`confirm`](super::confirm). `NotAllowed`: the one who
/// asks may not; `BadRequest`: there is nothing to do, or it cannot be done so.
pub async fn propose(services: &Services, asker: &Asker<'_>, repository: &Repository, wish: Wish) -> Result<Proposal> {
    let what = json!({ "repository": repository.full_name, "to": wish.to.to_string(), "refs": wish.refs });
    let planned = async {
        if wish.to == Destination::Download {
            services.settings.server.public_url().map_err(|error| no_address(&error))?;
        }
        let places = Places::of(services, repository.clone(), &wish.to).await?;
        places.entitled(services, asker.person, asker.roles).await?;
        let origin = Origin {
            platform: asker.person.platform().to_owned(),
            channel: asker.channel.map(str::to_owned),
            roles: asker.roles.to_vec(),
            approver_roles: Vec::new(),
        };
        plan(services, &places, asker.person, &origin, &wish).await
    };
    let planned = super::recorded(services, asker, "restore.plan", &repository.full_name, planned.await).await?;
    let told = NewRecord::new(asker.by, "restore.plan", Verdict::Asked).plan(&planned.plan_hash).detail(what);
    let id = services.catalog.add_restore(planned, told).await?;
    get(services, id).await
}

/// A plan as it is kept. The wish is for the plan's own snapshot from now on: a plan that is made anew because a reference
/// has moved must not bring back another moment.
pub(super) async fn plan(
    services: &Services,
    places: &Places,
    person: &Person,
    origin: &Origin,
    wish: &Wish,
) -> Result<NewRestore> {
    let plan = places.plan(services, wish).await?;
    let wish = Wish { at: Some(Point::Seq(plan.seq)), ..wish.clone() };
    Ok(NewRestore {
        repo: places.source.id.clone(),
        requested_by: person.clone(),
        origin: kept(origin)?,
        wish: kept(&wish)?,
        plan_hash: plan.hash(places)?,
        needs_approval: plan.overwrites(),
        plan: kept(&plan)?,
        expires_at: Utc::now() + services.settings.people.plan_lasts,
    })
}

/// As the catalog keeps it.
pub(super) fn kept(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::bug("cannot keep a restore").detail(error))
}

fn no_address(error: &Error) -> Error {
    let hint = error.next_step().unwrap_or_default().to_owned();
    Error::new(Kind::BadRequest, format!("downloads need an address: {error}")).hint(hint)
}
