//! What people see in a browser: sign in, and agree or not. Both pages have one form, with `account` and `decision`.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use chrono::TimeDelta;
use url::Url;
use uuid::Uuid;

use super::state::{App, Form, Given, State};
use super::tokens::is_tenant;

/// Signing in.
pub fn authorize(state: &State, tenant: &str, form: &Form) -> HttpResponse {
    if let Err(page) = known(state, tenant, form) {
        return page;
    }
    let fine = form.get("response_type") == "code"
        && form.get("code_challenge_method") == "S256"
        && form.get("scope").contains("offline_access")
        && !form.get("state").is_empty();
    if !fine {
        return trouble("AADSTS900144: The request is not one of ours.");
    }
    ask("Pick an account", &["client_id", "redirect_uri", "state", "code_challenge"], form)
}

/// Somebody did.
pub fn authorized(state: &mut State, form: &Form) -> HttpResponse {
    let back = |pairs: &[(&str, &str)]| back(form, pairs);
    let Some(app) = state.app(form.get("client_id")) else { return trouble("AADSTS700016") };
    let Some(user) = state.user_named(form.get("account")) else { return trouble("AADSTS50034") };
    if form.get("decision") == "decline" {
        let why = "AADSTS65004: User declined to consent to access the app.";
        return back(&[("error", "access_denied"), ("error_description", why)]);
    }
    if app.needs_admin && !app.agreed_for_all && !user.admin {
        let why = "AADSTS90094: An administrator of the organization has to agree first.";
        return back(&[("error", "consent_required"), ("error_description", why)]);
    }
    let code = format!("0.AX{}", Uuid::new_v4().simple());
    let given = Given {
        client_id: app.client_id,
        object_id: user.object_id,
        redirect: form.get("redirect_uri").to_owned(),
        challenge: form.get("code_challenge").to_owned(),
        until: state.now() + TimeDelta::minutes(10),
    };
    state.codes.insert(code.clone(), given);
    back(&[("code", &code), ("session_state", "4711")])
}

/// Agreeing for everybody.
pub fn admin_consent(state: &State, tenant: &str, form: &Form) -> HttpResponse {
    known(state, tenant, form)
        .map_or_else(|page| page, |_| ask("Permissions requested", &["client_id", "redirect_uri", "state"], form))
}

/// Somebody did.
pub fn admin_consented(state: &mut State, form: &Form) -> HttpResponse {
    let tenant = state.tenant.to_string();
    if !state.user_named(form.get("account")).is_some_and(|user| user.admin) {
        return trouble("AADSTS90094: You need to be an administrator.");
    }
    if form.get("decision") == "decline" {
        return back(form, &[("error", "permission_denied"), ("error_description", "The admin canceled the request")]);
    }
    let id = Uuid::parse_str(form.get("client_id")).unwrap();
    state.apps.iter_mut().filter(|app| app.client_id == id).for_each(|app| app.agreed_for_all = true);
    back(form, &[("admin_consent", "True"), ("tenant", &tenant)])
}

fn known<'a>(state: &'a State, tenant: &str, form: &Form) -> Result<&'a App, HttpResponse> {
    if !is_tenant(state, tenant) {
        return Err(trouble("AADSTS90002: Tenant not found."));
    }
    let app = state.app(form.get("client_id")).ok_or_else(|| trouble("AADSTS700016: Application not found."))?;
    let back = form.get("redirect_uri");
    if !app.redirects.iter().any(|known| known == back) {
        return Err(trouble(&format!("AADSTS50011: The redirect URI '{back}' does not match.")));
    }
    Ok(app)
}

fn ask(title: &str, kept: &[&str], form: &Form) -> HttpResponse {
    let hidden = kept.iter().map(|name| {
        let value = form.get(name).replace('&', "&#38;").replace('"', "&#34;");
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">")
    });
    let hidden: String = hidden.collect();
    HttpResponse::Ok().content_type("text/html").body(format!(
        "<html><body>\n<h1>{title}</h1>\n<form method=\"post\" action=\"\">{hidden}\
         <input name=\"account\"><input name=\"decision\"></form></body></html>"
    ))
}

fn trouble(why: &str) -> HttpResponse {
    let page =
        format!("<html><body>\n<p>Sorry, but we’re having trouble signing you in.</p>\n<p>{why}</p></body></html>");
    HttpResponse::BadRequest().content_type("text/html").body(page)
}

fn back(form: &Form, pairs: &[(&str, &str)]) -> HttpResponse {
    let mut url: Url = form.get("redirect_uri").parse().unwrap();
    url.query_pairs_mut().extend_pairs(pairs).append_pair("state", form.get("state"));
    HttpResponse::Found().insert_header((LOCATION, url.as_str())).finish()
}
