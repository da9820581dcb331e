//! The page that a write came from.
//!
//! A browser says with every write which origin's page it comes from, and a page can not forge it.
//! Programs say nothing, and may write: what they do is nobody's trick on a person's browser.

use std::str::FromStr;

use http::{HeaderMap, Method, header};
use url::{Host, Url};

use super::host::Authority;
use crate::error::{Code, Problem};

/// Where a page is from: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    https: bool,
    host: Host<String>,
    port: u16,
    /// As a browser writes it.
    text: String,
}

/// Why a text is no [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It would let every page in.
    #[error(
        "\"*\" would let every page on the internet use this server through its visitors' browsers; write the origins"
    )]
    Everything,
    /// It is something else.
    #[error(
        "{0:?} is not an origin; write one such as \"https://www.example.org\", without a path"
    )]
    Wrong(String),
}

/// Whose pages may write.
#[derive(Debug)]
pub(super) struct Origins {
    /// Those that the config names.
    named: Vec<Origin>,
    /// The public URL's.
    public: Option<Origin>,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "*" {
            return Err(OriginError::Everything);
        }
        let url = Url::parse(text).ok();
        let bare = |url: &Url| {
            let user = !url.username().is_empty() || url.password().is_some();
            let more = url.query().is_some() || url.fragment().is_some();
            url.path() == "/" && !user && !more
        };
        url.filter(bare)
            .and_then(|url| Self::of(&url))
            .ok_or_else(|| OriginError::Wrong(text.chars().take(200).collect()))
    }
}

impl Origin {
    /// Of a page at this address.
    fn of(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (host, port) = (url.host()?.to_owned(), url.port_or_known_default()?);
        Some(Self { https, host, port, text: url.origin().ascii_serialization() })
    }

    /// As a browser writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its pages come from there. Which scheme that is asked by is not known: TLS may end
    /// before us.
    fn is_at(&self, authority: &Authority) -> bool {
        let default = if self.https { 443 } else { 80 };
        self.host == authority.host && self.port == authority.port.unwrap_or(default)
    }
}

impl Origins {
    pub(super) fn new(named: Vec<Origin>, public_url: Option<&Url>) -> Self {
        Self { named, public: public_url.and_then(Origin::of) }
    }

    /// Those that the config names.
    pub(super) fn named(&self) -> &[Origin] {
        &self.named
    }

    /// Whether a request may write, as far as the page it comes from goes; `own` is what the server
    /// was asked as.
    pub(super) fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        own: Option<&Authority>,
    ) -> Result<(), Problem> {
        let asks_first = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        match *method {
            Method::GET | Method::HEAD => return Ok(()),
            Method::OPTIONS if !asks_first => return Ok(()),
            _ => {}
        }
        let elsewhere = headers
            .get("sec-fetch-site")
            .is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (origin, more) = (origins.next(), origins.next());
        let Some(origin) = origin else {
            let detail = "a page of another site sent this, and may not";
            return if elsewhere { Err(forbidden(detail)) } else { Ok(()) };
        };
        if origin == "null" {
            return Err(forbidden(
                "a page without an origin of its own, such as a file or a sandboxed frame, may not do this",
            ));
        }
        let text = String::from_utf8_lossy(origin.as_bytes());
        let parsed = text.parse::<Origin>().ok().filter(|_| more.is_none());
        if parsed.is_some_and(|origin| self.may(&origin, own, elsewhere)) {
            return Ok(());
        }
        let shown: String = text.chars().take(100).collect();
        Err(forbidden(&format!(
            "a page at {shown:?} may not do this; if it should, add it to http.allowed_origins"
        )))
    }

    fn may(&self, origin: &Origin, own: Option<&Authority>, elsewhere: bool) -> bool {
        if self.named.contains(origin) || self.public.as_ref() == Some(origin) {
            return true;
        }
        // Where the public URL is asked for, its scheme is known: a page of the same host by plain
        // http is somebody else's.
        let public = |own: &Authority| self.public.as_ref().is_some_and(|url| url.is_at(own));
        own.is_some_and(|own| origin.is_at(own) && !public(own)) && !elsewhere
    }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(Code::ForbiddenOrigin, detail)
}
