//! An image's name, as people write it and as it is kept.
//!
//! Read by rules of our own, which are Docker's: the library's are one regular expression, whose compilation takes longer
//! than a container, and more memory than all the rest of a server that is idle.

use oci_client::Reference;

use super::ImageError;

/// The registry of names that say none, and the beginning that its own images leave out.
const DOCKER_HUB: &str = "docker.io/";
const OFFICIAL: &str = "library/";
/// How many hexadecimal digits a digest has.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];
const LONGEST_TAG: usize = 128;
const LONGEST_REPOSITORY: usize = 255;

/// By Docker's rules: `alpine` is `docker.io/library/alpine:latest`.
pub(super) fn parse(text: &str) -> Result<Reference, ImageError> {
    read(text).map_err(|why| {
        ImageError::Image(format!(
            "{text:?} is no name of an image ({why}): write it like alpine:3.20, fileyard/sample or \
             registry.example/team/tool@sha256:..."
        ))
    })
}

fn read(text: &str) -> Result<Reference, &'static str> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // What follows the last colon is a tag, unless it is a port with the path behind it.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let (registry, repository) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", name),
    };
    if !is_host(registry) {
        return Err("its registry is no host");
    }
    if !repository.split('/').all(is_component) {
        return Err("a path has lower case letters and digits, and between them . _ __ or -");
    }
    if !tag.is_none_or(is_tag) {
        return Err("a tag has up to 128 letters, digits, _ . and -");
    }
    if !digest.is_none_or(is_digest) {
        return Err("a digest is sha256: and 64 hexadecimal digits in lower case");
    }
    let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
    let official = registry == "docker.io" && !repository.contains('/');
    let repository = format!("{}{repository}", if official { OFFICIAL } else { "" });
    if repository.len() > LONGEST_REPOSITORY {
        return Err("its path is too long");
    }
    let (registry, owned) = (registry.to_owned(), str::to_owned);
    Ok(match (tag.map(owned), digest.map(owned)) {
        (Some(tag), Some(digest)) => {
            Reference::with_tag_and_digest(registry, repository, tag, digest)
        }
        (None, Some(digest)) => Reference::with_digest(registry, repository, digest),
        (tag, None) => {
            Reference::with_tag(registry, repository, tag.unwrap_or_else(|| "latest".into()))
        }
    })
}

fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host.split('.').all(is_label) && is_port
}

fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // What stands between two plain ones.
    let mut between = text.split(|c: char| u8::try_from(c).is_ok_and(is_plain));
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| is_plain(*byte));
    ends(text.as_bytes().first())
        && ends(text.as_bytes().last())
        && between.all(|it| matches!(it, "" | "." | "_" | "__") || it.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().next().is_some_and(is_word)
        && text.len() <= LONGEST_TAG
        && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let is_hex = |digits: &str| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    text.split_once(':')
        .is_some_and(|(by, digits)| DIGESTS.contains(&(by, digits.len())) && is_hex(digits))
}

/// Whether this is how a registry stands in an image's name: `registry.example`, `127.0.0.1:5000`.
#[must_use]
pub fn is_registry(text: &str) -> bool {
    parse(&format!("{text}/a")).is_ok_and(|reference| reference.registry() == text)
}

/// How it is kept. Of a tag and a digest the digest counts, so the tag is not part of it.
pub(super) fn kept(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => reference.clone_with_digest(digest.to_owned()).whole(),
        None => reference.whole(),
    }
}

/// As people write what is kept as `name`.
pub(super) fn short(name: &str) -> &str {
    let Some(within) = name.strip_prefix(DOCKER_HUB) else { return name };
    within.strip_prefix(OFFICIAL).unwrap_or(within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names, nearly names, and what is none.
    fn any_text() -> impl Strategy<Value = String> {
        let part = "[a-zA-Z0-9]{0,3}([._:-]{0,3}[a-z0-9]{1,2}){0,2}";
        let parts = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
        let tag = prop_oneof![Just(String::new()), ":[a-zA-Z0-9_.-]{0,4}"];
        let digest = prop_oneof![
            4 => Just(String::new()),
            1 => "@sha(256|384|512|1):[0-9a-f]{64}",
            1 => "@sha256:[0-9a-f]{60,66}",
            1 => "@.{0,6}",
        ];
        let name = (parts, tag, digest).prop_map(|(name, tag, digest)| name + &tag + &digest);
        prop_oneof![4 => name, 1 => "[ -~]{0,12}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_library_reads_the_same(text in any_text()) {
            match (read(&text), text.parse::<Reference>()) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Ok(_), Err(why)) => prop_assert!(false, "{why}"),
                (Err(why), Ok(theirs)) => {
                    // It lets a path begin like a host, a host have what only paths may, and a tag be of any alphabet.
                    let path = theirs.repository().chars().any(char::is_uppercase);
                    let host = theirs.registry().contains('_');
                    prop_assert!(path || host || !text.is_ascii(), "{why}");
                }
                (Err(_), Err(_)) => {}
            }
        }
    }

    #[test]
    fn a_name_is_one_however_it_is_written() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (written, expected, people) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("docker.io/library/alpine:latest", "docker.io/library/alpine:latest", "alpine:latest"),
            ("index.docker.io/a/b:1", "docker.io/a/b:1", "a/b:1"),
            ("fileyard/sample", "docker.io/fileyard/sample:latest", "fileyard/sample:latest"),
            ("127.0.0.1:5000/a:2", "127.0.0.1:5000/a:2", "127.0.0.1:5000/a:2"),
            ("localhost:5000/a", "localhost:5000/a:latest", "localhost:5000/a:latest"),
        ] {
            let name = kept(&parse(written).unwrap());
            assert_eq!((&name[..], short(&name)), (expected, people), "{written}");
        }
        let pinned = kept(&parse(&format!("alpine:3@{digest}")).unwrap());
        assert_eq!(pinned, format!("docker.io/library/alpine@{digest}"));
    }

    #[test]
    fn a_registry_is_a_host_as_it_stands_in_a_name() {
        for (text, is) in [
            ("docker.io", true),
            ("registry.example:5000", true),
            ("localhost", true),
            ("mirror", false),
            ("https://mirror.example", false),
            ("mirror.example/a", false),
            ("", false),
        ] {
            assert_eq!(is_registry(text), is, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_said_with_one_that_is() {
        for wrong in
            ["", "UPPER", "a b", "../etc", "a@sha256:12", "a:b:c", "-x", "a\n", "Team/a", "a:ü"]
        {
            let said = parse(wrong).unwrap_err().to_string();
            assert!(said.contains("write it like"), "{wrong:?}: {said}");
        }
    }
}
