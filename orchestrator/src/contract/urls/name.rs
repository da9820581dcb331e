//! The name of an output in its address: the rules of `/out`, where no file system enforces them.

use crate::contract::{
    RESULT,
    collect::{MAX_DEPTH, MAX_NAME},
};

/// Whether an output may have this name, and what is wrong with it if not.
pub(super) fn check(name: &str) -> Result<(), String> {
    let shown: String = name.chars().take(200).collect();
    let wrong = |what: &str| Err(format!("an output can not be named {shown:?}: {what}"));
    if name == RESULT {
        return wrong("that is the result's name; send it to FILEYARD_RESULT_URL");
    }
    if name.chars().any(char::is_control) {
        return wrong("it has a control character");
    }
    if name.len() > MAX_NAME {
        return wrong(&format!("it has more than {MAX_NAME} bytes"));
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return wrong("it is not a path below FILEYARD_OUTPUT_URL, such as a/b.txt");
    }
    if name.split('/').count() > MAX_DEPTH {
        return wrong(&format!("it is more than {MAX_DEPTH} deep"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_that_a_directory_could_hold() {
        let long = "x".repeat(MAX_NAME);
        let deep = vec!["d"; MAX_DEPTH].join("/");
        for good in ["a", "a/b.txt", "ü .x", "result.json/x", "a/result.json", "-", &long, &deep] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let (longer, deeper) = (format!("{long}x"), format!("{deep}/d"));
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/.",
            "result.json",
            "a\nb",
            &longer,
            &deeper,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
