//! `[http]`: where it listens, how it names itself, and who may ask.

use std::{fmt::Display, net::SocketAddr, str::FromStr};

use fileyard_ingress::{Access, ApiKey};
use url::Url;

use super::section::Section;

/// Where it listens, how it names itself, and who may ask.
#[derive(Debug, Clone)]
pub(crate) struct HttpConfig {
    /// Others than this machine reach it only with a key, or where that was waived in so many words.
    pub(crate) listen: SocketAddr,
    /// The base of every URL in an answer; path-absolute ones where there is none.
    pub(crate) public_url: Option<Url>,
    /// Who may ask.
    pub(crate) access: Access,
}

impl HttpConfig {
    /// Who may ask, in a sentence.
    pub(crate) fn who_may(&self) -> String {
        match (&self.access.key, self.access.beyond_loopback) {
            (Some(_), _) => "whoever has the API key".into(),
            (None, false) => "everybody on this machine, without a key".into(),
            (None, true) => format!("everybody who reaches {}, without a key", self.listen),
        }
    }

    /// What is to be said loudly wherever it is read: that strangers may do everything.
    pub(crate) fn warning(&self) -> Option<String> {
        let open = self.access.beyond_loopback && self.access.key.is_none();
        open.then(|| {
            format!(
                "http.auth is \"none\": whoever reaches {} may upload, read and cancel everything; \
                 set http.api_key instead, unless something in front of this server asks for one",
                self.listen
            )
        })
    }
}

pub(super) fn read(section: Section<'_>) -> HttpConfig {
    let listen = listen(&section);
    let beyond_loopback = !listen.ip().is_loopback();
    let key = api_key(&section);
    let waived = section.word("auth", "", &["", "none"]) == "none";
    if waived && section.is_filled("api_key") {
        section.refuse(
            "auth",
            "is \"none\" beside an api_key, which would then be asked of nobody; write one of them"
                .into(),
        );
    }
    if beyond_loopback && !waived && !section.is_filled("api_key") {
        section.refuse(
            "listen",
            format!(
                "{listen} is not a loopback address, so others could reach it: set http.api_key \
                 (or FILEYARD_HTTP__API_KEY), which `openssl rand -hex 32` makes, or write \
                 auth = \"none\" to let everybody in who does"
            ),
        );
    }
    let allowed_hosts = parsed(&section, "allowed_hosts");
    let allowed_origins = parsed(&section, "allowed_origins");
    let public = section.text("public_url", "");
    let public_url = (!public.is_empty())
        .then(|| public_url(&public))
        .and_then(|url| url.map_err(|message| section.refuse("public_url", message)).ok());
    section.finish();
    let access = Access { key, allowed_hosts, allowed_origins, beyond_loopback };
    HttpConfig { listen, public_url, access }
}

fn listen(section: &Section<'_>) -> SocketAddr {
    const LISTEN: &str = "127.0.0.1:8787";
    let text = section.text("listen", LISTEN);
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.clone(),
    };
    numeric.parse().unwrap_or_else(|_| {
        section.refuse(
            "listen",
            format!("{text:?} is not an address with a port; write one such as {LISTEN:?}"),
        );
        SocketAddr::from(([127, 0, 0, 1], 8787))
    })
}

fn api_key(section: &Section<'_>) -> Option<ApiKey> {
    let text = section.secret("api_key");
    let key = (!text.is_empty()).then(|| text.parse::<ApiKey>())?;
    key.map_err(|error| section.refuse("api_key", error.to_string())).ok()
}

/// A list whose every text is a `T`.
fn parsed<T: FromStr<Err: Display>>(section: &Section<'_>, key: &str) -> Vec<T> {
    let texts = section.list(key).into_iter();
    let each = texts.map(|text| text.parse().map_err(|error: T::Err| error.to_string()));
    each.filter_map(|item| item.map_err(|message| section.refuse(key, message)).ok()).collect()
}

fn public_url(text: &str) -> Result<Url, String> {
    let wrong = || {
        format!("{text:?} is not such an address; write one such as \"https://files.example.org\"")
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let user = !url.username().is_empty() || url.password().is_some();
    let bare = url.query().is_none() && url.fragment().is_none() && !user;
    (matches!(url.scheme(), "http" | "https") && bare).then_some(url).ok_or_else(wrong)
}
