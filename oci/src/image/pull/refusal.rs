//! Why a registry did not give what it was asked for, in words that say what to do.

use std::{error::Error, time::Duration};

use oci_client::errors::{OciDistributionError, OciErrorCode};

use crate::{causes::causes, credentials::Found, image::ImageError};

/// How much of a registry's own words is repeated.
const MOST_WORDS: usize = 200;

/// Knows who was asked, and with what.
#[derive(Debug)]
pub(super) struct Refusals {
    host: String,
    found: Found,
    silence: Duration,
}

impl Refusals {
    pub(super) fn new(host: String, found: Found, silence: Duration) -> Self {
        Self { host, found, silence }
    }

    /// Nothing came for as long as one waits.
    pub(super) fn silent(&self) -> ImageError {
        let words =
            format!("{} has said nothing for {:?}: try again later", self.host, self.silence);
        ImageError::Passing(words)
    }

    /// What a request for a blob came to.
    pub(super) fn no_blob(&self, error: &OciDistributionError) -> ImageError {
        match self.explain(error) {
            ImageError::NotFound(_) => ImageError::Image(format!(
                "{} does not have it, though the image's manifest speaks of it: push the image again",
                self.host
            )),
            other => other,
        }
    }

    /// What a request came to.
    pub(super) fn explain(&self, error: &OciDistributionError) -> ImageError {
        use OciDistributionError as E;
        match error {
            E::UnauthorizedError { .. } => self.status(401, ""),
            E::AuthenticationFailure(words) => self.no_token(words),
            E::ServerError { code, message, .. } => self.status(*code, message),
            E::RegistryError { envelope, .. } => {
                let first = envelope.errors.first();
                let words = first.map(|it| it.message.clone()).unwrap_or_default();
                match first.and_then(|it| status(&it.code)) {
                    Some(status) => self.status(status, &words),
                    None => ImageError::Image(format!("{} refuses{}", self.host, quoted(&words))),
                }
            }
            E::RequestError(error) if error.is_timeout() => self.silent(),
            E::RequestError(error) => self.unreachable(error),
            E::IoError(error) => self.broke_off(error),
            E::DigestError(_) => ImageError::Image(format!(
                "what {} sent is not what its digest says: it was damaged on its way, or there",
                self.host
            )),
            error => ImageError::Image(format!("{} answered oddly: {error}", self.host)),
        }
    }

    /// Why a body that had begun did not end.
    pub(super) fn broke_off(&self, error: &(dyn Error + 'static)) -> ImageError {
        if causes(error).any(|it| it.to_string().contains("timed out")) {
            return self.silent();
        }
        let words = format!("{} broke off: {}", self.host, last(error));
        ImageError::Passing(words)
    }

    fn status(&self, code: u16, words: &str) -> ImageError {
        let host = &self.host;
        let said = quoted(words);
        match code {
            401 => self.no_credentials(&said),
            403 => ImageError::Image(format!(
                "{host} does not let this user have it{said}{}",
                self.hint("is it the right name, and may the user of Docker's config pull it?")
            )),
            404 => ImageError::NotFound(format!(
                "{host} has no image of this name{said}: is the name right, and the tag?"
            )),
            429 => ImageError::Passing(format!(
                "{host} has had too many requests from here{said}: wait for a while; most registries \
                 allow more to who has logged in (`docker login {host}`)"
            )),
            500.. => ImageError::Passing(format!(
                "{host} is in trouble (status {code}){said}: try again later"
            )),
            _ => ImageError::Image(format!("{host} refuses (status {code}){said}")),
        }
    }

    /// Who hands out tokens says so in a status that is not passed on, and in words.
    fn no_token(&self, words: &str) -> ImageError {
        let lower = words.to_lowercase();
        if lower.contains("toomanyrequests") || lower.contains("too many requests") {
            return self.status(429, words);
        }
        match serde_json::from_str::<serde_json::Value>(words) {
            Ok(_) => self.no_credentials(&quoted(words)),
            // Those who refuse speak JSON; what is before them and in trouble does not.
            Err(_) => ImageError::Passing(format!(
                "{} gives no token{}: try again later, or log in with `docker login {}`",
                self.host,
                quoted(words),
                self.host
            )),
        }
    }

    fn no_credentials(&self, said: &str) -> ImageError {
        let host = &self.host;
        let words = match &self.found {
            Found::Credentials(credentials) => {
                let user = credentials.username.as_deref().unwrap_or("a token");
                format!(
                    "{host} does not take the credentials in Docker's config ({user}){said}: log in \
                     again with `docker login {host}` as fileyard's user; or there is no such image"
                )
            }
            _ => format!(
                "{host} does not hand it out without credentials{said}{}",
                self.hint("or there is no such image")
            ),
        };
        ImageError::Image(words)
    }

    fn hint(&self, or: &str) -> String {
        let hint = self.found.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{hint}; {or}")
    }

    fn unreachable(&self, error: &(dyn Error + 'static)) -> ImageError {
        let words = format!("{} can not be reached: {}", self.host, last(error));
        ImageError::Passing(words)
    }
}

/// The status that a code stands for, which is not passed on. Some have codes of their own.
fn status(code: &OciErrorCode) -> Option<u16> {
    match code {
        OciErrorCode::Unauthorized => Some(401),
        OciErrorCode::Denied => Some(403),
        OciErrorCode::BlobUnknown
        | OciErrorCode::ManifestBlobUnknown
        | OciErrorCode::ManifestUnknown
        | OciErrorCode::NameUnknown
        | OciErrorCode::NotFound => Some(404),
        OciErrorCode::Toomanyrequests => Some(429),
        OciErrorCode::Other(code) => {
            let is = |words: &[&str]| words.iter().any(|word| code.contains(word));
            match () {
                () if is(&["TOO_MANY", "TOOMANY", "QUOTA", "RATE"]) => Some(429),
                () if is(&["NOT_FOUND", "NOTFOUND"]) => Some(404),
                () if is(&["FORBIDDEN", "DENIED"]) => Some(403),
                () => None,
            }
        }
        _ => None,
    }
}

/// A stranger's words, shortened, or nothing.
fn quoted(words: &str) -> String {
    let words = words.trim();
    if words.is_empty() {
        return String::new();
    }
    let shown: String = words.chars().take(MOST_WORDS).collect();
    format!(" ({shown:?})")
}

/// The innermost cause says what happened, and no address with a secret in it.
fn last(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
