//! The page that asks for the key.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{Frame, respond};
use crate::{App, error::Problem};

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    frame: Frame<'a>,
    next: &'a str,
    /// Where the browser looks once more, by itself.
    again: Option<String>,
    /// What was wrong with the last try.
    why: Option<&'a str>,
}

/// The form, with where it leads when the key is right.
pub(crate) fn login(
    app: &App,
    status: StatusCode,
    next: &str,
    again: Option<String>,
    why: Option<&str>,
) -> Result<Response, Problem> {
    let mut page = respond(&Login { frame: Frame::bare(app), next, again, why })?;
    *page.status_mut() = status;
    Ok(page)
}
