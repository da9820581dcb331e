//! The rules in words of iptables: what an install's devices may send, and to whom.
//!
//! Pure: from what `iptables-save` says to what `iptables-restore` is told, and nothing when all is
//! as it should be. It touches only chains of this install's name and rules about its devices.

use std::collections::HashMap;

use super::Wanted;
use crate::engine::network::name::{Kind, Tag};

/// Where no internet is: this host's and its neighbours' networks, and what clouds tell their
/// machines (169.254.169.254, 168.63.129.16 and others).
const NOT_THE_INTERNET: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// Devices with containers behind them, by the names that Docker gives them and that we do.
const NEIGHBOURS: [&str; 3] = ["docker+", "br-+", "fy+"];

/// Which of the kernel's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// Who may send what.
    Filter,
    /// By whose address it is sent.
    Nat,
    /// As the first, of IPv6, where an attempt's network has no addresses at all.
    Filter6,
}

impl Table {
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Filter | Self::Nat => "iptables",
            Self::Filter6 => "ip6tables",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Filter | Self::Filter6 => "filter",
            Self::Nat => "nat",
        }
    }

    /// Whether it stands before a door that is locked already: the networks have no IPv6.
    pub(super) fn is_a_second_lock(self) -> bool {
        self == Self::Filter6
    }
}

/// What to tell `iptables-restore --noflush`, so that `saved` becomes what is wanted (or free of
/// all that is this install's); nothing when it is.
pub(super) fn plan(table: Table, tag: Tag, saved: &str, wanted: Option<&Wanted>) -> Option<String> {
    let now = Saved::read(tag, saved);
    let chains = wanted.map_or_else(Vec::new, |wanted| chains(table, tag, wanted));
    let hooks = wanted.map_or_else(Vec::new, |wanted| hooks(table, tag, &now, wanted));
    let mut lines = Vec::new();
    // Whose address a packet gets is decided once: others' rules have nothing to let through there.
    let hooked = now.hooked(&hooks) && (table == Table::Nat || now.strangers_before == 0);
    if !hooked {
        lines.extend(now.hooks.iter().map(|rule| format!("-D {rule}")));
        lines.extend(hooks.iter().rev().map(|(chain, rule)| format!("-I {chain} 1 {rule}")));
    }
    if chains.is_empty() {
        // Emptied first: one that another refers to can not go.
        lines.extend(now.chains.iter().map(|chain| format!("-F {chain}")));
        lines.extend(now.chains.iter().map(|chain| format!("-X {chain}")));
    } else if by_chain(now.rules.clone()) != by_chain(rules_of(&chains)) {
        // Naming a chain makes it, or empties it; all of this happens at once or not at all. It
        // stands before whatever refers to it.
        let named = chains.iter().map(|(chain, _)| format!(":{chain} - [0:0]"));
        lines.splice(0..0, named);
        lines.extend(rules_of(&chains).iter().map(|rule| format!("-A {rule}")));
    }
    (!lines.is_empty()).then(|| format!("*{}\n{}\nCOMMIT\n", table.name(), lines.join("\n")))
}

/// What of a table is this install's.
struct Saved {
    /// Whether there is a chain for what is not Docker's to decide.
    docker_user: bool,
    /// Rules elsewhere that name our devices, as `CHAIN rule`.
    hooks: Vec<String>,
    /// How many rules stand before each chain's last hook that are nobody's hooks, and so could let
    /// through what ours are to stop.
    strangers_before: usize,
    chains: Vec<String>,
    /// What is in our chains, as `CHAIN rule`.
    rules: Vec<String>,
}

impl Saved {
    fn read(tag: Tag, saved: &str) -> Self {
        let (ours, devices) = (format!("{}-", tag.chain()), format!(" {}", tag.devices()));
        let mut read = Self {
            docker_user: false,
            hooks: Vec::new(),
            strangers_before: 0,
            chains: Vec::new(),
            rules: Vec::new(),
        };
        let mut strangers = HashMap::<&str, usize>::new();
        for line in saved.lines() {
            if let Some(chain) = line.strip_prefix(':') {
                let chain = chain.split(' ').next().unwrap_or_default();
                read.docker_user |= chain == "DOCKER-USER";
                if chain.starts_with(&ours) {
                    read.chains.push(chain.to_owned());
                }
            } else if let Some(rule) = line.strip_prefix("-A ") {
                let chain = rule.split(' ').next().unwrap_or_default();
                if chain.starts_with(&ours) {
                    read.rules.push(rule.to_owned());
                } else if rule.contains(&devices) {
                    read.strangers_before += strangers.get(chain).copied().unwrap_or_default();
                    read.hooks.push(rule.to_owned());
                } else if !is_hook(rule) {
                    *strangers.entry(chain).or_default() += 1;
                }
            }
        }
        read
    }

    /// Whether the hooks are there, once each.
    fn hooked(&self, hooks: &[(&str, String)]) -> bool {
        let mut expected: Vec<_> =
            hooks.iter().map(|(chain, rule)| format!("{chain} {rule}")).collect();
        let mut found = self.hooks.clone();
        expected.sort();
        found.sort();
        expected == found
    }
}

/// Whether some install's hook: another's say nothing about our devices. Docker's own rules name
/// each bridge in full.
fn is_hook(rule: &str) -> bool {
    rule.split(' ').any(|word| word.starts_with("fy") && word.ends_with('+'))
}

/// The rules outside our chains, in their order, each with its chain.
fn hooks(table: Table, tag: Tag, now: &Saved, wanted: &Wanted) -> Vec<(&'static str, String)> {
    let (devices, chain) = (tag.devices(), tag.chain());
    let to_internet = !wanted.sources.is_empty();
    match table {
        Table::Filter6 => {
            let all = format!("-i {devices} -j DROP");
            vec![("INPUT", all.clone()), ("FORWARD", all)]
        }
        Table::Nat if to_internet => {
            vec![("POSTROUTING", format!("! -o {devices} -j {chain}-NAT"))]
        }
        Table::Nat => Vec::new(),
        Table::Filter => {
            // What is not Docker's is not for Docker's chain to decide.
            let forward = if now.docker_user && !to_internet { "DOCKER-USER" } else { "FORWARD" };
            let mut hooks = vec![
                ("INPUT", format!("-i {devices} -j {chain}-IN")),
                (forward, format!("-i {devices} -j {chain}-FW")),
                // Nobody speaks to a container first.
                (
                    forward,
                    format!("-o {devices} -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"),
                ),
            ];
            hooks.extend(to_internet.then(|| (forward, format!("-o {devices} -j ACCEPT"))));
            hooks
        }
    }
}

/// Our own chains and what is in them, in the words in which `iptables-save` repeats it.
fn chains(table: Table, tag: Tag, wanted: &Wanted) -> Vec<(String, Vec<String>)> {
    match table {
        Table::Filter6 => Vec::new(),
        Table::Nat if wanted.sources.is_empty() => Vec::new(),
        Table::Nat => {
            let each = wanted.sources.iter().map(|source| format!("-s {source} -j MASQUERADE"));
            vec![(format!("{}-NAT", tag.chain()), each.collect())]
        }
        Table::Filter => filters(tag, wanted),
    }
}

fn filters(tag: Tag, wanted: &Wanted) -> Vec<(String, Vec<String>)> {
    let refused = format!("{}-NO", tag.chain());
    // Answers to what this host began; nothing that a container begins is that.
    let mut to_host = vec!["-m conntrack --ctstate ESTABLISHED -j ACCEPT".to_owned()];
    for kind in [Kind::Listener, Kind::Both] {
        let devices = tag.devices_of(kind);
        // The address must be the host's on the very bridge that it comes from: its own gateway.
        to_host.extend(wanted.ports.iter().map(|port| {
            format!(
                "-i {devices} -p tcp -m tcp --dport {port} \
                 -m addrtype --dst-type LOCAL --limit-iface-in -j ACCEPT"
            )
        }));
    }
    let mut onward: Vec<String> =
        NOT_THE_INTERNET.iter().map(|range| format!("-d {range} -j {refused}")).collect();
    onward.extend(NEIGHBOURS.iter().map(|devices| format!("-o {devices} -j {refused}")));
    // Where Docker sends it on, Docker and whoever has rules for its containers decide further.
    let admitted = if wanted.sources.is_empty() { "RETURN" } else { "ACCEPT" };
    for kind in [Kind::Egress, Kind::Both] {
        onward.push(format!("-i {} -j {admitted}", tag.devices_of(kind)));
    }
    to_host.push(format!("-j {refused}"));
    onward.push(format!("-j {refused}"));
    // At once, so that no program waits for an answer that never comes.
    let no = [
        "-p tcp -j REJECT --reject-with tcp-reset",
        "-j REJECT --reject-with icmp-port-unreachable",
    ];
    vec![
        (format!("{}-IN", tag.chain()), to_host),
        (format!("{}-FW", tag.chain()), onward),
        (refused, no.map(str::to_owned).into()),
    ]
}

fn rules_of(chains: &[(String, Vec<String>)]) -> Vec<String> {
    let each = chains.iter().flat_map(|(chain, rules)| rules.iter().map(move |it| (chain, it)));
    each.map(|(chain, rule)| format!("{chain} {rule}")).collect()
}

/// Rules in their order, chains in one of our own: a table shows them in its own.
fn by_chain(mut rules: Vec<String>) -> Vec<String> {
    rules.sort_by(|a, b| a.split(' ').next().cmp(&b.split(' ').next()));
    rules
}

#[cfg(test)]
mod tests;
