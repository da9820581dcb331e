//! `/out/result.json`: at most 1 MiB, at most 64 deep, JSON.

use serde_json::Value;

/// In bytes.
pub(super) const MAX_SIZE: u64 = 1024 * 1024;
const MAX_DEPTH: usize = 64;

/// The value, or what is wrong with it.
pub(super) fn parse(json: &[u8]) -> Result<Value, String> {
    if depth(json) > MAX_DEPTH {
        return Err(format!("nested more than {MAX_DEPTH} deep"));
    }
    serde_json::from_slice(json).map_err(|error| format!("not valid JSON: {error}"))
}

/// How deep arrays and objects nest, of whatever text this is: found before anything recurses.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_of_every_kind_is_a_result() {
        for (text, value) in [
            ("null", json!(null)),
            (" 3\n", json!(3)),
            ("\"[[[\\\"[\"", json!("[[[\"[")),
            ("{\"a\": [1, {\"b\": \"ü\"}]}", json!({"a": [1, {"b": "ü"}]})),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(value));
        }
    }

    #[test]
    fn sixty_four_deep_is_the_most() {
        let nested = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
        assert!(parse(&nested(64)).is_ok());
        assert_eq!(parse(&nested(65)), Err("nested more than 64 deep".into()));
        assert_eq!(parse(&b"[".repeat(1 << 20)), Err("nested more than 64 deep".into()));
        // Brackets in a string nest nothing.
        assert!(parse(&[b"\"", &b"[".repeat(1000)[..], b"\""].concat()).is_ok());
    }

    #[test]
    fn what_is_not_json_is_said_to_be() {
        for text in
            [&b""[..], b"{", b"{'a': 1}", b"NaN", b"1 2", b"\"\xff\"", b"\xef\xbb\xbf{}", b"1e999"]
        {
            let error = parse(text).expect_err("not JSON");
            assert!(error.starts_with("not valid JSON"), "{error}");
        }
    }
}
