//! The name that the server was asked by.
//!
//! A page on any site may point its own host name at this server's address (DNS rebinding), and is
//! then of one origin with it as far as a browser can tell. What gives it away is the name, which
//! the browser sends: only names that are this server's are answered to. An IP address can not be
//! rebound, so it is no name in this sense.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use axum::extract::Request;
use http::{Version, header};
use url::{Host, Url};

use crate::error::{Code, Problem};

/// A name that this server answers to: one host, or with `*.` before it every name below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    host: Host<String>,
    below: bool,
}

/// Why a text is no [`HostRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostRuleError {
    /// It would switch the check off.
    #[error(
        "\"*\" would let every site use this server by a name of its own; write the names, or \"*.example.org\" for all below one"
    )]
    Everything,
    /// It is something else.
    #[error(
        "{0:?} is not a host's name; write one without scheme, port and path, such as \"files.example.org\""
    )]
    Wrong(String),
}

/// A host, and the port where one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) host: Host<String>,
    pub(super) port: Option<u16>,
}

/// All that this server is called.
#[derive(Debug)]
pub(super) struct Hosts {
    rules: Vec<HostRule>,
    public: Option<Host<String>>,
    any_address: bool,
}

impl FromStr for HostRule {
    type Err = HostRuleError;

    fn from_str(text: &str) -> Result<Self, HostRuleError> {
        let wrong = || HostRuleError::Wrong(text.to_owned());
        if matches!(text, "*" | "*.") {
            return Err(HostRuleError::Everything);
        }
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let host = match name.parse::<Ipv6Addr>() {
            Ok(ip) => Host::Ipv6(ip),
            Err(_) => Host::parse(name).map_err(|_| wrong())?,
        };
        // The URL standard takes more for a name than any host has.
        match &host {
            Host::Domain(name) if !is_name(name) => Err(wrong()),
            Host::Ipv4(_) | Host::Ipv6(_) if below => Err(wrong()),
            _ => Ok(Self { host: without_dot(host), below }),
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.host)
    }
}

impl HostRule {
    fn matches(&self, host: &Host<String>) -> bool {
        match (&self.host, host) {
            (Host::Domain(rule), Host::Domain(name)) if self.below => {
                name.strip_suffix(rule.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (rule, host) => rule == host,
        }
    }
}

impl Hosts {
    pub(super) fn new(
        rules: Vec<HostRule>,
        public_url: Option<&Url>,
        beyond_loopback: bool,
    ) -> Self {
        let public = public_url.and_then(Url::host).map(|host| without_dot(host.to_owned()));
        Self { rules, public, any_address: beyond_loopback }
    }

    /// What the server was asked as, which is one of its names; nothing from a client so old that
    /// it need not say.
    pub(super) fn check(&self, request: &Request) -> Result<Option<Authority>, Problem> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => {
                Some(Authority::known(&String::from_utf8_lossy(host.as_bytes()))?)
            }
            (None, _) if request.version() < Version::HTTP_11 => None,
            // RFC 9112, 3.2.
            (None, _) => return Err(Problem::new(Code::BadRequest, "there is no Host header")),
            (Some(_), Some(_)) => {
                return Err(Problem::new(Code::BadRequest, "there are two Host headers"));
            }
        };
        // As a proxy is asked, with the whole address: then that is what counts (RFC 9112, 3.2.2).
        let target = request.uri().authority();
        let target = target.map(|target| Authority::known(target.as_str())).transpose()?;
        for named in target.iter().chain(&host) {
            if !self.knows(&named.host) {
                let detail = format!(
                    "this server does not answer to the name {:?}; if it is one of its names, add it to http.allowed_hosts",
                    clipped(&named.host.to_string()),
                );
                return Err(Problem::new(Code::ForbiddenHost, detail));
            }
        }
        Ok(target.or(host))
    }

    fn knows(&self, host: &Host<String>) -> bool {
        let own = match host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(ip) => self.any_address || ip.is_loopback(),
            Host::Ipv6(ip) => self.any_address || IpAddr::V6(*ip).to_canonical().is_loopback(),
        };
        own || self.public.as_ref() == Some(host)
            || self.rules.iter().any(|rule| rule.matches(host))
    }
}

impl Authority {
    fn known(text: &str) -> Result<Self, Problem> {
        Self::parse(text).ok_or_else(|| {
            let detail = format!("{:?} is no host, and a port", clipped(text));
            Problem::new(Code::BadRequest, detail)
        })
    }

    /// `host`, `host:port`, `[v6]:port`; a name in lower case and without the root's dot.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(text) => {
                let (ip, rest) = text.split_once(']')?;
                (Host::Ipv6(ip.parse().ok()?), rest)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                let host = match name.parse::<Ipv4Addr>() {
                    Ok(ip) => Host::Ipv4(ip),
                    Err(_) => without_dot(Host::Domain(name.to_ascii_lowercase())),
                };
                (host, rest)
            }
        };
        if matches!(&host, Host::Domain(name) if !is_name(name)) {
            return None;
        }
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }
}

fn is_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !name.is_empty() && name.bytes().all(known)
}

fn without_dot(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        ip => ip,
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(100).collect()
}
