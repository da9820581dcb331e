//! What the host's packet filter has of an install, and which devices it is about, read beside fileyard.
//! It changes nothing there.

use std::{fs, process::Command};

use sha2::{Digest, Sha256};

/// Every chain and rule of this install's, of both families and both engines. None where there is no packet filter to
/// read: then fileyard wrote none either.
#[must_use]
pub fn rules(install: &str) -> Vec<String> {
    let both = [bridges(install), pairs(install)];
    let named = both.map(|tag| [format!("FILEYARD-{tag}-"), format!(" fy{tag}+")]);
    let ours = |line: &&str| named.iter().flatten().any(|name| line.contains(name));
    let mut found = Vec::new();
    for program in ["iptables-save", "ip6tables-save"] {
        let Ok(saved) = Command::new(program).output() else { continue };
        let saved = String::from_utf8_lossy(&saved.stdout);
        found.extend(saved.lines().filter(ours).map(str::to_owned));
    }
    found
}

/// Devices on this host that lead to containers of this install on the embedded engine.
#[must_use]
pub fn devices(install: &str) -> Vec<String> {
    let begin = format!("fy{}", pairs(install));
    let all = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = all.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    names.filter(|name| name.starts_with(&begin)).map(str::to_owned).collect()
}

fn bridges(install: &str) -> String {
    tag(install)
}

fn pairs(install: &str) -> String {
    tag(&format!("pair {install}"))
}

/// The five letters that stand for an install in the names of its devices and chains.
fn tag(what: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(what);
    digest.iter().take(5).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}
