//! A sender's file name, reduced to one that no program, shell or file system can misread.

const MAX: usize = 100;
const MAX_EXTENSION: usize = 20;

/// The name of the input inside the container: `[A-Za-z0-9._-]{1,100}`, never starting with `-` or
/// `.`.
///
/// The last part of whatever path the sender gave, each run of other characters made one `_`, cut
/// in the middle so that the extension stays. Where nothing of the name itself is left, it is
/// `input` with the extension.
#[must_use]
pub fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let reduced = reduce(last);
    let (body, extension) = split(&reduced);
    let usable =
        !reduced.starts_with(['-', '.']) && body.contains(|c: char| c.is_ascii_alphanumeric());
    let body = if usable { body } else { "input" };
    match extension {
        Some(extension) => format!("{}.{extension}", cut(body, MAX - 1 - extension.len())),
        None => cut(body, MAX).to_owned(),
    }
}

/// A safe name without its extension.
#[must_use]
pub fn stem(safe_name: &str) -> &str {
    split(safe_name).0
}

fn reduce(name: &str) -> String {
    let mut reduced = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
            reduced.push(c);
        } else if !reduced.ends_with('_') {
            reduced.push('_');
        }
    }
    reduced
}

/// At the last dot, if what follows looks like an extension and something stands before it.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((body, extension))
            if !body.is_empty()
                && (1..=MAX_EXTENSION).contains(&extension.len())
                && extension.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            (body, Some(extension))
        }
        _ => (name, None),
    }
}

fn cut(ascii: &str, max: usize) -> &str {
    &ascii[..ascii.len().min(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_reduced_and_keep_their_extension() {
        for (name, expected) in [
            ("a.mkv", "a.mkv"),
            ("My holiday (1).jpeg", "My_holiday_1_.jpeg"),
            ("résumé.pdf", "r_sum_.pdf"),
            ("日本語.pdf", "input.pdf"),
            ("日本語", "input"),
            ("", "input"),
            (".", "input"),
            ("..", "input"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\a.txt", "a.txt"),
            ("a/", "input"),
            ("-rf.txt", "input.txt"),
            ("--help", "input"),
            (".bashrc", "input"),
            (".hidden.txt", "input.txt"),
            ("a.tar.gz", "a.tar.gz"),
            ("a.", "a."),
            ("a\0b\r\n.csv", "a_b_.csv"),
            ("a.$(id)", "a._id_"),
            ("._-", "input"),
        ] {
            assert_eq!(safe_name(name), expected, "{name:?}");
        }
        let long = format!("{}.mkv", "x".repeat(64 * 1024));
        assert_eq!(safe_name(&long), format!("{}.mkv", "x".repeat(96)));
        assert_eq!(safe_name(&format!("a.{}", "x".repeat(200))).len(), 100);
    }

    #[test]
    fn the_stem_is_what_stands_before_the_extension() {
        for (name, expected) in [("a.mkv", "a"), ("a.tar.gz", "a.tar"), ("a", "a"), ("a.", "a.")] {
            assert_eq!(stem(name), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_sender_wrote_the_name_is_safe(name in prop_oneof![".{0,200}", "[a./\\\\-]{0,12}"]) {
            let safe = safe_name(&name);
            prop_assert!((1..=100).contains(&safe.len()));
            prop_assert!(safe.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
            prop_assert!(!safe.starts_with(['-', '.']));
            prop_assert!(safe_name(&safe) == safe, "a safe name is its own");
            prop_assert!(!stem(&safe).is_empty() && safe.starts_with(stem(&safe)));
        }
    }
}
