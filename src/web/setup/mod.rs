//! `/setup`: registering Apps and following their installation in a browser. Links are relative, so that the service may
//! live below any path.
//!
//! Nothing that the browser says of an installation is believed: it makes us look at the forge's own list.

pub(super) mod pages;
mod sign_in;
mod tries;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use self::pages::{AppsPage, Code, NextApp, Told, Trouble, WishForm, page, page_to_forge};
use self::tries::Tries;
use super::State;
use crate::domain::{Error, Kind, Result};
use crate::ops::apps::Role;
use crate::ops::setup::{Session, Setup, Wish};

const COOKIE: &str = "refward_setup";

type Answer = Result<HttpResponse, Trouble>;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .app_data(web::FormConfig::default().limit(8 << 10))
        .service(web::resource("/setup").get(begin).post(wish))
        .service(web::resource("/setup/code").post(open))
        .service(web::resource("/setup/register").get(register))
        .service(web::resource("/setup/registered").get(registered))
        .service(web::resource("/setup/installed").get(installed))
        .service(web::resource("/setup/apps").get(apps))
        .configure(sign_in::routes);
}

async fn begin(request: HttpRequest, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    setup.public_url()?;
    let Some(session) = session_of(setup, &request).await? else {
        return Ok(page(StatusCode::OK, &Code { trouble: None })?);
    };
    Ok(page(StatusCode::OK, &wish_form(setup, &session, None).await?)?)
}

async fn wish_form(setup: &Setup, session: &Session, trouble: Option<String>) -> Result<WishForm> {
    let (apps, signed_in) = (setup.apps().await?, setup.signed_in().await?);
    Ok(WishForm { apps, authorities: setup.authorities(), signed_in, token: session.form_token(), trouble })
}

#[derive(Deserialize)]
struct CodeForm {
    code: SecretString,
}

async fn open(form: web::Form<CodeForm>, state: web::Data<State>) -> Answer {
    static TRIES: Tries = Tries::new();
    let setup = setup(&state)?;
    let url = setup.public_url()?;
    if !TRIES.may_try() {
        let trouble = "Too many wrong codes. Wait a minute.";
        return Ok(page(StatusCode::TOO_MANY_REQUESTS, &Code { trouble: Some(trouble) })?);
    }
    if let Some(session) = setup.open(&form.code).await? {
        return Ok(see("../setup", Some(cookie(&session, &url))));
    }
    TRIES.was_wrong();
    let told = Told {
        title: "This code opens nothing",
        text: "It was used already, is older than a day, or is not one of ours.",
        hint: Some("On the service's machine, `refward apps create` makes another."),
    };
    Ok(page(StatusCode::FORBIDDEN, &told)?)
}

#[derive(Deserialize)]
struct WishFields {
    token: String,
    host: String,
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    server: String,
    kind: String,
    owner: String,
    role: Role,
    count: u8,
}

impl WishFields {
    fn url(&self) -> Result<Url> {
        let address = match self.host.as_str() {
            "ghe.com" => format!("https://{}.ghe.com", self.tenant.trim()),
            "server" => self.server.trim().to_owned(),
            _ => "https://github.com".to_owned(),
        };
        address.parse().map_err(|_| Error::bad_request(format!("`{address}` is not the address of a GitHub")))
    }
}

async fn wish(request: HttpRequest, form: web::Form<WishFields>, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    if !session.sent(&form.token) {
        return Err(Error::not_allowed("this form did not come from one of this session's pages").into());
    }
    let wished = async {
        let wish = Wish {
            forge: "github".to_owned(),
            url: form.url()?,
            owner: form.owner.clone(),
            organization: form.kind == "organization",
            role: form.role,
            count: form.count,
        };
        setup.wish(&session, wish).await
    };
    match wished.await {
        Ok(()) => Ok(see("setup/register", None)),
        Err(error) if error.kind() == Kind::BadRequest => {
            let trouble = Some(format!("{error}. {}", error.next_step().unwrap_or_default()).trim().to_owned());
            Ok(page(StatusCode::BAD_REQUEST, &wish_form(setup, &session, trouble).await?)?)
        }
        Err(error) => Err(error.into()),
    }
}

async fn register(request: HttpRequest, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    let Some(next) = setup.next(&session).await? else { return Ok(see("../setup", None)) };
    let forge = next.url.origin().ascii_serialization();
    let next = NextApp {
        role: next.role.word(),
        number: next.number,
        owner: next.owner,
        host: next.url.host_str().unwrap_or_default().to_owned(),
        more: next.more,
        action: next.form.action.into(),
        manifest: next.form.manifest,
    };
    Ok(page_to_forge(&next, &forge)?)
}

#[derive(Deserialize)]
struct Back {
    code: String,
    state: SecretString,
}

async fn registered(request: HttpRequest, back: web::Query<Back>, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    setup.registered(&session, &back.state, &back.code).await?;
    // Away from an address with a code in it.
    Ok(see("apps", None))
}

#[derive(Deserialize)]
struct Landing {
    setup_action: Option<String>,
}

/// Whoever installs or approves an App lands here: often an owner who has no session and never needs one.
async fn installed(request: HttpRequest, landing: web::Query<Landing>, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let requested = landing.setup_action.as_deref() == Some("request");
    let Some(session) = session_of(setup, &request).await? else {
        let told = if requested { ASKED } else { INSTALLED };
        return Ok(page(StatusCode::OK, &told)?);
    };
    let (apps, done) = setup.look().await?;
    let next = session.next_number();
    Ok(page(StatusCode::OK, &AppsPage { apps, done, requested, next })?)
}

const ASKED: Told = Told {
    title: "An owner has to approve it",
    text: "You may not install Apps on that account, so GitHub has asked its owners for you. Nothing of the account is \
           backed up through the App until one of them approves that in the account's settings, GitHub Apps.",
    hint: Some("You need not do anything more. Refward notices by itself."),
};

const INSTALLED: Told = Told {
    title: "Thank you",
    text: "Refward asks GitHub itself where its Apps are installed, and goes on by itself.",
    hint: Some("Whoever runs it sees the outcome with `refward apps list`."),
};

async fn apps(request: HttpRequest, state: web::Data<State>) -> Answer {
    let setup = setup(&state)?;
    let session = session(setup, &request).await?;
    let (apps, done) = setup.look().await?;
    Ok(page(StatusCode::OK, &AppsPage { apps, done, requested: false, next: session.next_number() })?)
}

fn setup(state: &State) -> Result<&Setup> {
    state.setup.as_ref().ok_or_else(|| Error::not_found("there is no setup here"))
}

async fn session_of(setup: &Setup, request: &HttpRequest) -> Result<Option<Session>> {
    let Some(cookie) = request.cookie(COOKIE) else { return Ok(None) };
    setup.session(cookie.value().to_owned().into()).await
}

async fn session(setup: &Setup, request: &HttpRequest) -> Result<Session> {
    session_of(setup, request).await?.ok_or_else(|| {
        Error::not_allowed("this browser's setup session has ended, or it never began here").hint(
            "get a code with `refward apps create` and begin at /setup; an App that was registered just now and is not \
             listed there must be deleted on the forge first",
        )
    })
}

/// `Lax`, because the browser comes back from the forge with it.
fn cookie(session: &Session, url: &Url) -> Cookie<'static> {
    Cookie::build(COOKIE, session.key().expose_secret().to_owned())
        .path(format!("{}setup", url.path()))
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(url.scheme() == "https")
        .finish()
}

fn see(place: &str, cookie: Option<Cookie>) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    if let Some(cookie) = cookie {
        response.cookie(cookie);
    }
    response.insert_header((LOCATION, place)).finish()
}
