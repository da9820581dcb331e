//! `Idempotency-Key`: a client's own name for a request that it may have to send more than once.

use fileyard_storage::{
    id::Tenant,
    idempotency::{IdempotencyKey, Route},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Code, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key that a request brought for this route.
///
/// # Errors
/// A [`Problem`] where it is none: a client that sends one relies on it.
pub(crate) fn key(headers: &HeaderMap, route: Route) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bad = |why: &str| Problem::new(Code::BadParam, format!("Idempotency-Key: {why}"));
    if values.next().is_some() {
        return Err(bad("it is there more than once"));
    }
    let text = value.to_str().ok().and_then(unquoted);
    let key = text.and_then(|text| text.parse().ok());
    let key = key.ok_or_else(|| bad("must be 1 to 255 visible ASCII characters"))?;
    Ok(Some(IdempotencyKey { tenant: Tenant::default(), route, key }))
}

/// Tells that an answer was given before.
pub(crate) fn replayed(headers: &mut HeaderMap) {
    headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
}

/// A structured field's string (RFC 9651, 3.3.3) as what it stands for; what is not one stands for
/// itself, for clients send both.
fn unquoted(value: &str) -> Option<String> {
    let value = value.trim();
    let Some(rest) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut text = String::with_capacity(rest.len());
    let mut rest = rest.chars();
    loop {
        match rest.next()? {
            '"' => return rest.next().is_none().then_some(text),
            '\\' => text.push(rest.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        let key = key(&headers, Route::Raw)?;
        Ok(key.map(|key| String::from(key.key)))
    }

    #[test]
    fn a_key_is_the_same_with_and_without_its_quotes() {
        for (value, key) in [
            (&b"8e03978e-40d5"[..], "8e03978e-40d5"),
            (b"\"8e03978e-40d5\"", "8e03978e-40d5"),
            (b"\"a\\\"b\\\\c\"", "a\"b\\c"),
            (b"a\\\"b", "a\\\"b"),
        ] {
            assert_eq!(read(&[value]).unwrap().as_deref(), Some(key));
        }
        assert_eq!(read(&[]).unwrap(), None);
        let long = [b'x'; 256];
        for wrong in [&b""[..], b"\"\"", b"\"a", b"\"a\"b", b"\"a\\b\"", b"a b", b"\xc3\xbc", &long]
        {
            assert_eq!(read(&[wrong]).unwrap_err().status().as_u16(), 422, "{wrong:?}");
        }
        assert!(read(&[b"a", b"a"]).is_err());
    }
}
