//! The packet filter, read and spoilt beside the engine.

use super::run;

/// Lets everything from a device through, as if there were no rules, until it is dropped.
pub(crate) struct Open {
    chain: &'static str,
    device: String,
}

impl Open {
    pub(crate) fn new(chain: &'static str, device: &str) -> Self {
        run("iptables", &["-w", "-I", chain, "1", "-i", device, "-j", "ACCEPT"]);
        Self { chain, device: device.to_owned() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        run("iptables", &["-w", "-D", self.chain, "-i", &self.device, "-j", "ACCEPT"]);
    }
}

/// What there is of the install with this device, in every table.
pub(crate) fn rules_of(device: &str) -> Vec<String> {
    let install = &device[2..7];
    let all = run("iptables-save", &[]) + &run("ip6tables-save", &["-t", "filter"]);
    let ours = |line: &&str| {
        line.contains(&format!("FILEYARD-{install}-")) || line.contains(&format!(" fy{install}+"))
    };
    let lines = all.lines().filter(ours);
    // As it stands there, without what went by so far.
    lines.map(|line| line.split(" [").next().unwrap().to_owned()).collect()
}

pub(crate) fn no_rules_are_left_of(device: &str) {
    assert_eq!(rules_of(device), Vec::<String>::new());
}

/// Takes the install's hook out of INPUT, as whoever flushes that chain does.
pub(crate) fn flush(device: &str) {
    let rules = rules_of(device);
    let hook = rules.iter().find(|line| line.starts_with("-A INPUT")).unwrap();
    let words: Vec<&str> = hook.split(' ').skip(1).collect();
    run("iptables", &[&["-w", "-D"], &words[..]].concat());
    assert_ne!(rules_of(device), rules);
}
