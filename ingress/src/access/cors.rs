//! What scripts of other origins are told: nothing, unless the config names their origin.
//!
//! Which preflights are answered at all is decided before, in `origin.rs`.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::origin::Origin;

/// For these origins; none where there are none.
pub(super) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().map(|origin| {
        HeaderValue::try_from(origin.as_str()).expect("an origin is ASCII, and a header's value")
    });
    let own = HeaderName::from_static;
    let sent = [
        header::ACCEPT,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        own("content-digest"),
        own("idempotency-key"),
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_RANGE,
        own("prefer"),
        header::RANGE,
    ];
    let shown = [
        header::ACCEPT_RANGES,
        header::CONTENT_DISPOSITION,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::ETAG,
        own("idempotency-replayed"),
        header::LOCATION,
        own("preference-applied"),
        own("repr-digest"),
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
    ];
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
            .allow_headers(sent)
            .expose_headers(shown)
            // Each origin is named in full, never as "*": its pages may act as who is logged in.
            .allow_credentials(true)
            .max_age(Duration::from_secs(2 * 60 * 60)),
    )
}
