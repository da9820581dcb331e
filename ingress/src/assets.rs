//! What pages need beside themselves: one style sheet, one script, one icon, all in the binary.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

use axum::{
    extract::{Path, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::header;

use crate::error::{Code, Problem};

/// An embedded file.
struct Asset {
    /// Changes with its bytes, so that it may be kept for ever.
    name: String,
    content_type: &'static str,
    bytes: &'static str,
}

/// The files, in the order of their functions below.
static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("style", "css", "text/css; charset=utf-8", include_str!("../assets/style.css")),
        Asset::new(
            "page",
            "js",
            "text/javascript; charset=utf-8",
            include_str!("../assets/page.js"),
        ),
        Asset::new("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ]
});

/// The style sheet's name.
pub(crate) fn style() -> &'static str {
    &ASSETS[0].name
}

/// The script's name.
pub(crate) fn script() -> &'static str {
    &ASSETS[1].name
}

/// The icon's name.
pub(crate) fn icon() -> &'static str {
    &ASSETS[2].name
}

/// `GET /assets/{name}`.
pub(crate) async fn get(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let asset = name.ok().and_then(|Path(name)| ASSETS.iter().find(|asset| asset.name == name));
    let asset = asset.ok_or_else(|| Problem::new(Code::NotFound, "there is no such file"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, asset.bytes).into_response())
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, bytes: &'static str) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let name = format!("{stem}-{:016x}.{extension}", hasher.finish());
        Self { name, content_type, bytes }
    }
}
