//! Connecting a forge by letting us act for somebody: a form, the way to the authority's pages and back, and what came of it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::pages::{ConnectForm, ConnectedPage, StepsPage, page};
use super::{Answer, see, session, setup};
use crate::domain::{Error, Kind, Result};
use crate::ops::setup::{Authority, Came, Client, Session, Setup, Step, Wanted};
use crate::web::State;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/setup/connect/{forge}").get(form).post(want))
        .service(web::resource("/setup/again").post(again))
        .service(web::resource("/setup/sign-in").get(steps))
        .service(web::resource("/setup/signed-in").get(back))
        .service(web::resource("/setup/connected").get(connected));
}

async fn form(request: HttpRequest, forge: web::Path<String>, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    Ok(page(StatusCode::OK, &empty(setup, &session, &forge)?)?)
}

#[derive(Deserialize)]
struct Fields {
    token: String,
    name: String,
    url: String,
    authority: String,
    tenant: String,
    client_id: String,
    secret: SecretString,
}

impl Fields {
    fn wanted(&self, forge: &str) -> Result<Wanted> {
        let address = |text: &str| -> Result<Url> {
            let text = text.trim();
            text.parse().map_err(|_| Error::bad_request(format!("`{}` is no address", text.escape_debug())))
        };
        let client = Client {
            authority: address(&self.authority)?,
            tenant: self.tenant.clone(),
            client_id: self.client_id.clone(),
        };
        let (name, secret) = (self.name.trim().to_owned(), self.secret.clone());
        Ok(Wanted { forge: forge.to_owned(), name, url: address(&self.url)?, client, secret })
    }
}

async fn want(
    request: HttpRequest,
    forge: web::Path<String>,
    fields: web::Form<Fields>,
    state: web::Data<State>,
) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    check_sent(&session, &fields.token)?;
    let kept = async { setup.want(&session, fields.wanted(&forge)?).await };
    match kept.await {
        Ok(()) => Ok(see("../sign-in", None)),
        Err(error) if error.kind() == Kind::BadRequest => {
            let trouble = Some(format!("{error}. {}", error.next_step().unwrap_or_default()).trim().to_owned());
            let Fields { name, url, authority, tenant, client_id, .. } = fields.into_inner();
            // The secret has to be given again: no page holds one.
            let form =
                ConnectForm { trouble, name, url, authority, tenant, client_id, ..empty(setup, &session, &forge)? };
            Ok(page(StatusCode::BAD_REQUEST, &form)?)
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
struct Again {
    token: String,
    name: String,
}

async fn again(request: HttpRequest, fields: web::Form<Again>, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    check_sent(&session, &fields.token)?;
    setup.want_again(&session, &fields.name).await?;
    Ok(see("sign-in", None))
}

async fn steps(request: HttpRequest, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    let Some(steps) = setup.steps(&session).await? else { return Ok(see("../setup", None)) };
    Ok(page(StatusCode::OK, &StepsPage { steps })?)
}

#[derive(Deserialize)]
struct Back {
    state: SecretString,
    code: Option<SecretString>,
    error: Option<String>,
    error_description: Option<String>,
}

async fn back(request: HttpRequest, back: web::Query<Back>, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    let Back { state, code, error, error_description: description } = back.into_inner();
    // Away from an address with a code in it.
    Ok(match setup.came_back(&session, &state, &Came { code, error, description }).await? {
        Step::Agreed => see("sign-in", None),
        Step::Connected => see("connected", None),
    })
}

async fn connected(request: HttpRequest, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    let Some(row) = setup.connected(&session).await? else { return Ok(see("../setup", None)) };
    Ok(page(StatusCode::OK, &ConnectedPage { row })?)
}

fn empty(setup: &Setup, session: &Session, forge: &str) -> Result<ConnectForm> {
    let known = setup.authorities().into_iter().find(|authority| authority.slug == forge);
    let Authority { slug, title, url } = known.ok_or_else(|| Error::not_found("nobody can sign in for us there"))?;
    Ok(ConnectForm {
        slug,
        title,
        authority: url.into(),
        token: session.form_token(),
        trouble: None,
        name: String::new(),
        url: String::new(),
        tenant: String::new(),
        client_id: String::new(),
    })
}

fn check_sent(session: &Session, token: &str) -> Result<()> {
    if session.sent(token) {
        return Ok(());
    }
    Err(Error::not_allowed("this form did not come from one of this session's pages"))
}
