//! What is written about fileyard: its paths exist, and its links lead somewhere.

use std::path::{Path, PathBuf};

use fileyard_tests::binary::root;

/// Every Markdown file of the repository, but not of what it was built into.
fn documents() -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if kind.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_paths_in_the_architecture_exist() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let code =
        text.split('`').skip(1).step_by(2).filter(|code| !code.contains(char::is_whitespace));
    let mut paths = 0;
    let mut missing = Vec::new();
    for path in code.filter(|code| code.contains('/') && !code.starts_with('/')) {
        let is_path = [".rs", ".go", ".md", ".toml", "/"].iter().any(|end| path.ends_with(end));
        let is_dir = root().join(path.split('/').next().unwrap()).is_dir();
        if is_path && !path.contains(['{', '*', '<', ':']) || is_dir && path.contains('.') {
            paths += 1;
            if !root().join(path).exists() {
                missing.push(path);
            }
        }
    }
    assert!(missing.is_empty(), "not there: {missing:?}");
    assert!(paths >= 10, "ARCHITECTURE.md names only {paths} paths");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let (mut links, mut missing) = (0, Vec::new());
    for document in documents() {
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            links += 1;
            if !document.parent().unwrap().join(path).exists() {
                missing.push(format!("{} -> {target}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(links > 0, "no document has a link");
}

/// The words between quotes or in capitals of a piece of a source file, as they stand in JSON.
fn between<'a>(source: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = source.split_once(from).unwrap_or_else(|| panic!("{from} is gone"));
    rest.split_once(to).unwrap_or_else(|| panic!("{to} is gone")).0
}

#[test]
fn every_code_reason_and_event_is_in_the_documentation() {
    let document = read(&root().join("docs/http.md"));
    let is_told = |word: &str| {
        document.contains(&format!("| `{word}`")) || document.contains(&format!(", `{word}`"))
    };
    let errors = read(&root().join("ingress/src/error.rs"));
    let mut words: Vec<String> = Vec::new();
    for arm in errors.split("(\"").skip(1) {
        if let Some((code, rest)) = arm.split_once('"')
            && rest.trim_start_matches([',', ' ', '\n']).starts_with("S::")
        {
            words.push(code.to_owned());
        }
    }
    assert!(words.len() >= 15, "codes are found: {words:?}");
    let reasons = read(&root().join("storage/src/job/reason.rs"));
    let reasons = between(&reasons, "pub fn as_str(self)", "\n    }\n");
    words.extend(reasons.split('"').skip(1).step_by(2).map(str::to_owned));
    let events = read(&root().join("storage/src/job/event.rs"));
    let events = between(&events, "pub enum EventKind {", "\n}\n");
    for variant in events.lines().filter_map(|line| line.trim().strip_suffix(',')) {
        let snake = variant.chars().enumerate().flat_map(|(at, c)| {
            let break_ = (c.is_ascii_uppercase() && at > 0).then_some('_');
            break_.into_iter().chain(c.to_lowercase())
        });
        words.push(snake.collect());
    }
    assert!(words.contains(&"child_out_of_memory".to_owned()), "{words:?}");
    assert!(words.contains(&"crash_loop".to_owned()), "{words:?}");
    let missing: Vec<_> = words.iter().filter(|word| !is_told(word)).collect();
    assert!(missing.is_empty(), "docs/http.md does not tell of {missing:?}");
}
