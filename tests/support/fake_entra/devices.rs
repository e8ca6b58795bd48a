//! Sign-ins that somebody finishes on another device.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>

use actix_web::HttpResponse;
use chrono::TimeDelta;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::state::{Answer, Begun, Form, State};
use super::tokens::refused;

pub fn begin(state: &mut State, url: &Url, form: &Form) -> HttpResponse {
    let Some(app) = state.app(form.get("client_id")) else {
        let why = format!("Application with identifier '{}' was not found in the directory.", form.get("client_id"));
        return refused(400, "unauthorized_client", 700_016, &why);
    };
    let (client_id, until) = (app.client_id, state.now() + TimeDelta::minutes(15));
    let device_code = format!("DAQABIQE{}", Uuid::new_v4().simple());
    let user_code = Uuid::new_v4().simple().to_string()[..9].to_uppercase();
    let body = json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": url.join("devicelogin").unwrap(),
        "expires_in": 900,
        "interval": state.interval,
        "message": "To sign in, use a web browser.",
    });
    state.begun.push(Begun { client_id, device_code, user_code, until, asked: None, answer: None });
    HttpResponse::Ok().json(body)
}

/// Who has signed in.
pub fn poll(state: &mut State, client_id: Uuid, form: &Form) -> Result<Uuid, HttpResponse> {
    let (now, interval) = (state.now(), TimeDelta::seconds(state.interval));
    let fits = |begun: &&mut Begun| begun.device_code == form.get("device_code") && begun.client_id == client_id;
    let Some(begun) = state.begun.iter_mut().find(fits).filter(|begun| !matches!(begun.answer, Some(Answer::Used)))
    else {
        return Err(refused(400, "bad_verification_code", 70_018, "Invalid verification code."));
    };
    if begun.until <= now {
        return Err(refused(400, "expired_token", 70_020, "The provided value for the device code is expired."));
    }
    if begun.asked.replace(now).is_some_and(|asked| now - asked < interval) {
        return Err(refused(400, "slow_down", 70_037, "Too many requests."));
    }
    match begun.answer {
        None | Some(Answer::Used) => {
            Err(refused(400, "authorization_pending", 70_016, "OAuth 2.0 device flow error. Authorization is pending."))
        }
        Some(Answer::Declined) => {
            Err(refused(400, "authorization_declined", 70_017, "The user has denied access to the scope."))
        }
        Some(Answer::Agreed(user)) => {
            begun.answer = Some(Answer::Used);
            Ok(user)
        }
    }
}
