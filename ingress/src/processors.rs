//! What can be asked for.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{App, json::ProcessorsJson};

/// `GET /processors`.
pub(crate) async fn list(State(app): State<App>) -> Response {
    Json(ProcessorsJson::new(app.intake.processors())).into_response()
}
