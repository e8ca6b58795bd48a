//! The token endpoint: who asks, for whom, and what they get.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-access-token>

use actix_web::HttpResponse;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::devices;
use super::state::{App, Form, Holder, Refresh, State, Token};

const SCOPE: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";

pub fn is_tenant(state: &State, named: &str) -> bool {
    named == "contoso.example" || Uuid::parse_str(named).is_ok_and(|id| id == state.tenant)
}

/// An error as every endpoint sends it.
pub fn refused(status: u16, error: &str, code: u32, why: &str) -> HttpResponse {
    HttpResponse::build(status.try_into().unwrap()).json(json!({
        "error": error,
        "error_description": format!("AADSTS{code}: {why} Trace ID: {} Correlation ID: {}", Uuid::new_v4(), Uuid::new_v4()),
        "error_codes": [code],
        "timestamp": "2026-11-21 14:00:00Z",
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    }))
}

pub fn token(state: &mut State, endpoint: &str, form: &Form) -> HttpResponse {
    let grant = form.get("grant_type").rsplit(':').next().unwrap_or_default().to_owned();
    state.grants.push(grant.clone());
    let Some(app) = state.app(form.get("client_id")) else {
        let why = format!("Application with identifier '{}' was not found in the directory.", form.get("client_id"));
        return refused(400, "unauthorized_client", 700_016, &why);
    };
    if !app.enabled {
        return refused(401, "invalid_client", 7_000_112, "Application is disabled.");
    }
    let (client_id, principal) = (app.client_id, app.object_id);
    let proved = match prove(state, app, endpoint, form) {
        Ok(proved) => proved,
        Err(answer) => return answer,
    };
    let public = grant == "device_code" && app.public;
    if !proved && !public {
        let why = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return refused(401, "invalid_client", 7_000_218, why);
    }
    let holder = match grant.as_str() {
        "client_credentials" if form.get("scope") == SCOPE => {
            let holder = Holder { object_id: principal, tenant: state.tenant, name: app.name.clone() };
            return HttpResponse::Ok().json(access(state, holder));
        }
        "client_credentials" => {
            return refused(400, "invalid_scope", 1_002_012, "The provided value for scope is not valid.");
        }
        "authorization_code" => redeem(state, client_id, form),
        "refresh_token" => refresh(state, client_id, form),
        "device_code" => devices::poll(state, client_id, form).map(|user| (user, false)),
        _ => return refused(400, "unsupported_grant_type", 70_003, "The app requested an unsupported grant type."),
    };
    match holder {
        Ok((user, lasting)) => HttpResponse::Ok().json(for_user(state, client_id, user, lasting)),
        Err(answer) => answer,
    }
}

/// Whether a client has proved that it is one; `false`: it has not even tried.
fn prove(state: &State, app: &App, endpoint: &str, form: &Form) -> Result<bool, HttpResponse> {
    let (secret, assertion) = (form.get("client_secret"), form.get("client_assertion"));
    if !secret.is_empty() {
        return match app.secrets.iter().find(|(known, _)| known == secret) {
            Some((_, false)) => Ok(true),
            Some(_) => {
                let why = format!("The provided client secret keys for app '{}' are expired.", app.client_id);
                Err(refused(401, "invalid_client", 7_000_222, &why))
            }
            None => {
                let why = "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                           value, not the client secret ID.";
                Err(refused(401, "invalid_client", 7_000_215, why))
            }
        };
    }
    if assertion.is_empty() {
        return Ok(false);
    }
    let unknown = || {
        refused(
            401,
            "invalid_client",
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        )
    };
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| unknown())?;
    let thumbprint = header.x5t_s256.unwrap_or_default();
    let certificate = app.certificates.iter().find(|known| known.thumbprint == thumbprint).ok_or_else(unknown)?;
    let mut rules = Validation::new(Algorithm::PS256);
    rules.set_audience(&[endpoint]);
    rules.set_issuer(&[app.client_id.to_string()]);
    rules.sub = Some(app.client_id.to_string());
    (rules.validate_exp, rules.leeway) = (false, 0);
    rules.set_required_spec_claims(&["aud", "exp", "iss", "sub", "nbf"]);
    let key = DecodingKey::from_rsa_pem(certificate.public_pem.as_bytes()).unwrap();
    let claims = jsonwebtoken::decode::<Value>(assertion, &key, &rules).map_err(|_| unknown())?.claims;
    let (now, from, until) = (state.now().timestamp(), claims["nbf"].as_i64(), claims["exp"].as_i64());
    let fits =
        from.is_some_and(|from| from <= now) && until.is_some_and(|until| (now + 1..=now + 600).contains(&until));
    if fits && form.get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        return Ok(true);
    }
    Err(refused(401, "invalid_client", 700_024, "Client assertion is not within its valid time range."))
}

/// Whoever agreed to it in a browser.
fn redeem(state: &mut State, client_id: Uuid, form: &Form) -> Result<(Uuid, bool), HttpResponse> {
    let Some(given) = state.codes.remove(form.get("code")) else {
        return Err(refused(400, "invalid_grant", 54_005, "OAuth2 Authorization code was already redeemed."));
    };
    if given.until <= state.now() {
        return Err(refused(400, "invalid_grant", 70_008, "The provided authorization code has expired."));
    }
    if given.client_id != client_id || given.redirect != form.get("redirect_uri") {
        return Err(refused(400, "invalid_grant", 500_112, "The reply address does not match."));
    }
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(form.get("code_verifier")));
    if given.challenge != challenge {
        return Err(refused(400, "invalid_grant", 501_481, "The Code_Verifier does not match the code_challenge."));
    }
    Ok((given.object_id, form.get("scope").split(' ').any(|scope| scope == "offline_access")))
}

fn refresh(state: &mut State, client_id: Uuid, form: &Form) -> Result<(Uuid, bool), HttpResponse> {
    let (now, token) = (state.now(), form.get("refresh_token"));
    let known = state.refreshes.get(token).filter(|known| known.client_id == client_id);
    let Some(known) = known else {
        return Err(refused(400, "invalid_grant", 50_173, "The provided grant has expired due to it being revoked."));
    };
    if known.until <= now {
        return Err(refused(400, "invalid_grant", 700_082, "The refresh token has expired due to inactivity."));
    }
    let user = known.object_id;
    if state.strict {
        state.refreshes.remove(token);
    }
    Ok((user, true))
}

fn for_user(state: &mut State, client_id: Uuid, user: Uuid, lasting: bool) -> Value {
    let (tenant, name) = (state.tenant, state.user(user).name.clone());
    let mut answer = access(state, Holder { object_id: user, tenant, name: name.clone() });
    if lasting {
        let (text, until) = (format!("1.AX{}", Uuid::new_v4().simple()), state.now() + TimeDelta::days(90));
        state.refreshes.insert(text.clone(), Refresh { client_id, object_id: user, until });
        answer["refresh_token"] = text.into();
    }
    let claims = json!({
        "aud": client_id, "tid": tenant, "oid": user, "sub": Uuid::new_v4(), "ver": "2.0",
        "preferred_username": format!("{name}@contoso.example"),
    });
    let key = EncodingKey::from_secret(b"nobody checks it");
    answer["id_token"] = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap().into();
    answer
}

fn access(state: &mut State, holder: Holder) -> Value {
    let (text, until) = (format!("eyJ0.{}", Uuid::new_v4().simple()), state.now() + state.token_life);
    state.tokens.insert(text.clone(), Token { holder, until });
    json!({
        "token_type": "Bearer",
        "expires_in": state.token_life.num_seconds(),
        "ext_expires_in": state.token_life.num_seconds(),
        "access_token": text,
    })
}
