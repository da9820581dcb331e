//! An image's name, as people write it and as it is kept.

use oci_client::Reference;

use super::ImageError;

/// The registry of names that say none, and the beginning that its own images leave out.
const DOCKER_HUB: &str = "docker.io/";
const OFFICIAL: &str = "library/";

/// By Docker's rules: `alpine` is `docker.io/library/alpine:latest`.
pub(super) fn parse(text: &str) -> Result<Reference, ImageError> {
    text.parse().map_err(|why| {
        ImageError::Image(format!(
            "{text:?} is no name of an image ({why}): write it like alpine:3.20, fileyard/sample or \
             registry.example/team/tool@sha256:..."
        ))
    })
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
    use super::*;

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
        for wrong in ["", "UPPER", "a b", "../etc", "a@sha256:12", "a:b:c", "-x", "a\n"] {
            let said = parse(wrong).unwrap_err().to_string();
            assert!(said.contains("write it like"), "{wrong:?}: {said}");
        }
    }
}
