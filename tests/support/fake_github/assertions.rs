//! Who may speak as an App: the rules for its JSON web tokens.

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use super::keys;
use super::reply::{Call, Reply, message};
use super::state::State;

/// The farthest that an assertion's end may be ahead.
const LONGEST: TimeDelta = TimeDelta::minutes(10);

impl State {
    /// The App that a call's assertion is of.
    pub fn speaking_as(&self, call: &Call) -> Result<u64, Reply> {
        let undecodable = || message(401, "A JSON web token could not be decoded");
        let jwt =
            call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(undecodable)?;
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(jwt).map_err(|_| undecodable())?.claims;
        let app = self.apps.by_issuer(&claims["iss"]).ok_or_else(|| message(404, "Integration not found"))?;
        if !app.keys.iter().any(|key| is_signed_by(jwt, *key)) {
            return Err(undecodable());
        }
        let now = self.now().timestamp();
        if claims["iat"].as_i64().is_none_or(|issued| issued > now) {
            let text =
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
            return Err(message(401, text));
        }
        match claims["exp"].as_i64() {
            Some(end) if end > now + LONGEST.num_seconds() => {
                Err(message(401, "'Expiration time' claim ('exp') is too far in the future"))
            }
            Some(end) if end > now => Ok(app.id),
            _ => {
                let text = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which \
                            the assertion expires";
                Err(message(401, text))
            }
        }
    }
}

fn is_signed_by(jwt: &str, key: usize) -> bool {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_exp = false;
    rules.required_spec_claims.clear();
    let key = DecodingKey::from_rsa_pem(keys::pair(key).public_pem.as_bytes()).unwrap();
    jsonwebtoken::decode::<Value>(jwt, &key, &rules).is_ok()
}
