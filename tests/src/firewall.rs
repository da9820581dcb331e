//! What the host's packet filter has of an install, read beside fileyard. It changes nothing there.

use std::process::Command;

use sha2::{Digest, Sha256};

/// Every chain and rule of this install's, of both families. None where there is no packet filter to
/// read: then fileyard wrote none either.
#[must_use]
pub fn rules(install: &str) -> Vec<String> {
    let tag = tag(install);
    let (chain, bridges) = (format!("FILEYARD-{tag}-"), format!(" fy{tag}+"));
    let mut found = Vec::new();
    for program in ["iptables-save", "ip6tables-save"] {
        let Ok(saved) = Command::new(program).args(["-t", "filter"]).output() else { continue };
        let saved = String::from_utf8_lossy(&saved.stdout);
        let ours = saved.lines().filter(|line| line.contains(&chain) || line.contains(&bridges));
        found.extend(ours.map(str::to_owned));
    }
    found
}

/// The five letters that stand for an install in the names of its bridges and chains.
fn tag(install: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(install);
    digest.iter().take(5).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}
