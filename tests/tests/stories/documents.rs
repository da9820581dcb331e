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
