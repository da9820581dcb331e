//! `Content-Digest` (RFC 9530): what a sender says its content's digest is.
//!
//! Of a request it is of the whole body as it stands on the wire, a form's boundaries and all; in
//! a part's own header it is of that part. Only `sha-256` is read: a recipient may ignore any other
//! algorithm, and does.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use fileyard_storage::blob::Digest;
use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

use crate::error::{Code, Problem};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The digest that a request announces for its body.
///
/// # Errors
/// A [`Problem`] where it is no SHA-256: what is to be verified is not skipped for a typing error.
pub(crate) fn announced(headers: &HeaderMap) -> Result<Option<Digest>, Problem> {
    let values = headers.get_all(CONTENT_DIGEST).iter();
    // Of a dictionary's equal keys the last one counts (RFC 9651, 3.2).
    values.map(|value| parse(value.as_bytes())).try_fold(None, |last, one| Ok(one?.or(last)))
}

/// The same, from one header's value.
///
/// # Errors
/// As [`announced`].
pub(crate) fn parse(value: &[u8]) -> Result<Option<Digest>, Problem> {
    let mut last = None;
    for member in value.split(|byte| *byte == b',') {
        let member = member.trim_ascii();
        let Some(value) = member.strip_prefix(b"sha-256=") else { continue };
        let value = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let digits = value.strip_prefix(b":").and_then(|value| value.strip_suffix(b":"));
        let digest = digits.and_then(|digits| BASE64_STANDARD.decode(digits).ok());
        let digest = digest.and_then(|digest| digest.try_into().ok()).ok_or_else(|| {
            let member: String = String::from_utf8_lossy(member).chars().take(80).collect();
            let detail = format!(
                "Content-Digest: {member:?} is not a SHA-256, which is written \
                 `sha-256=:BASE64:`, of 32 bytes"
            );
            Problem::new(Code::BadParam, detail)
        })?;
        last = Some(Digest(digest));
    }
    Ok(last)
}

/// A digest as such a header has it.
#[must_use]
pub(crate) fn field(digest: &Digest) -> String {
    format!("sha-256=:{}:", BASE64_STANDARD.encode(digest.0))
}

/// Refuses what is not what it was announced to be. `what` is a name for a person.
///
/// # Errors
/// A [`Problem`] with both digests.
pub(crate) fn verify(
    what: &str,
    announced: Option<Digest>,
    is: impl FnOnce() -> Digest,
) -> Result<(), Problem> {
    let Some(announced) = announced else { return Ok(()) };
    let is = is();
    if is == announced {
        return Ok(());
    }
    let detail = format!("Content-Digest announced SHA-256 {announced}, and {what} has {is}");
    Err(Problem::new(Code::DigestMismatch, detail))
}

/// The digest of what is read and not kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hash(Sha256);

impl Hash {
    pub(crate) fn update(&mut self, bytes: &Bytes) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_announced_is_understood_or_refused() {
        // RFC 9530, appendix B: `{"hello": "world"}` and a line break.
        let hello = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let mut hash = Hash::default();
        hash.update(&Bytes::from_static(b"{\"hello\": \"world\"}\n"));
        let digest = hash.finish();
        for value in [hello, &format!("sha-512=:AA==:, {hello};a=1"), &format!("  {hello}  ")] {
            assert_eq!(parse(value.as_bytes()).unwrap(), Some(digest), "{value}");
        }
        for value in ["", "sha-512=:AA==:", "md5=:AA==:", "sha-2567=:AA==:", "nonsense"] {
            assert_eq!(parse(value.as_bytes()).unwrap(), None, "{value}");
        }
        for value in ["sha-256=:AA==:", "sha-256=", "sha-256=:*:", "sha-256=abc", "sha-256=::"] {
            assert_eq!(parse(value.as_bytes()).unwrap_err().status().as_u16(), 422, "{value}");
        }
        assert!(verify("it", Some(digest), || digest).is_ok());
        assert!(verify("it", None, || unreachable!()).is_ok());
        assert!(verify("it", Some(digest), || Digest([0; 32])).is_err());
    }
}
