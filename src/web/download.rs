//! `/downloads/TOKEN`: a file for whoever was given the address.
//!
//! Looking at it fetches nothing, because chat platforms look at every address that is said; only the button does.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, REFERRER_POLICY};
use actix_web::{HttpResponse, web};
use askama::Template;
use tokio_util::io::ReaderStream;

use super::State;
use super::setup::pages::{STYLE, Told, Trouble, page};
use crate::domain::Kind;
use crate::ops::restores::{Bundle, Downloads};

type Answer = Result<HttpResponse, Trouble>;

#[derive(Template)]
#[template(path = "download.html")]
struct Button;

/// Whatever nothing can be fetched with, and why ever: always the same.
const NOTHING: Told = Told {
    title: "There is nothing here",
    text: "A download can be fetched for a while, by who asked for it.",
    hint: Some("If yours has ended, ask for it again."),
};

pub(super) async fn show(token: web::Path<String>, state: web::Data<State>) -> Answer {
    match &state.downloads {
        Some(downloads) if downloads.knows(&token).await? => Ok(page(StatusCode::OK, &Button)?),
        _ => nothing(),
    }
}

pub(super) async fn fetch(token: web::Path<String>, state: web::Data<State>) -> Answer {
    let Some(downloads) = &state.downloads else { return nothing() };
    match Downloads::fetch(downloads, &token).await {
        Ok(bundle) => Ok(sent(bundle)),
        Err(error) if error.kind() == Kind::NotFound => nothing(),
        Err(error) => Err(error.into()),
    }
}

fn sent(bundle: Bundle) -> HttpResponse {
    let Bundle { name, bytes, file } = bundle;
    HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        // The address opens it.
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .no_chunking(bytes)
        .streaming(ReaderStream::new(tokio::fs::File::from_std(file)))
}

fn nothing() -> Answer {
    Ok(page(StatusCode::NOT_FOUND, &NOTHING)?)
}
