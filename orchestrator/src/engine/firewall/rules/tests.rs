//! What is told to a table in each state it may be found in.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use fileyard_storage::id::InstallId;

use crate::engine::{NetworkRange, network::name::Make};

use super::{
    Table::{Filter, Filter6, Nat},
    *,
};

fn tag() -> Tag {
    Tag::of(InstallId::from_u128(1), Make::Bridge)
}

fn wanted() -> Wanted {
    Wanted { ports: [8788].into(), ..Wanted::default() }
}

/// Where nobody but us sends their packets on.
fn wanted_for_pairs() -> Wanted {
    let range = NetworkRange::default().whole();
    Wanted { sources: [range].into(), ..Wanted::default() }
}

/// A table as `iptables-save` shows it, and what `iptables-restore --noflush` makes of a text.
struct Table {
    chains: Vec<String>,
    rules: HashMap<String, Vec<String>>,
}

impl Table {
    fn of_docker() -> Self {
        let mut table = Self { chains: Vec::new(), rules: HashMap::new() };
        table.restore(
            "*filter\n:INPUT - [0:0]\n:FORWARD - [0:0]\n:DOCKER-USER - [0:0]\n\
             -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A FORWARD -j DOCKER-USER\n\
             -A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n-A DOCKER-USER -j RETURN\nCOMMIT\n",
        );
        table
    }

    fn save(&self) -> String {
        let chains = self.chains.iter().map(|chain| format!(":{chain} - [0:0]\n"));
        let all =
            self.chains.iter().flat_map(|it| self.rules[it].iter().map(move |rule| (it, rule)));
        let rules = all.map(|(chain, rule)| format!("-A {chain} {rule}\n"));
        format!("# Generated\n*filter\n{}COMMIT\n", chains.chain(rules).collect::<String>())
    }

    fn restore(&mut self, text: &str) {
        assert!(text.starts_with('*') && text.ends_with("COMMIT\n"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('*') && *line != "COMMIT") {
            if let Some(chain) = line.strip_prefix(':') {
                let chain = chain.split(' ').next().unwrap().to_owned();
                self.chains.retain(|other| *other != chain);
                self.chains.push(chain.clone());
                self.rules.insert(chain, Vec::new());
                continue;
            }
            let (what, rest) = line.split_once(' ').unwrap();
            let (chain, rule) = rest.split_once(' ').unwrap_or((rest, ""));
            let rules = self.rules.get_mut(chain).unwrap_or_else(|| panic!("no chain: {line}"));
            match what {
                "-A" => rules.push(rule.to_owned()),
                "-I" => rules.insert(0, rule.strip_prefix("1 ").unwrap().to_owned()),
                "-D" => drop(rules.remove(rules.iter().position(|it| it == rule).expect(line))),
                "-F" => rules.clear(),
                "-X" => {
                    assert!(rules.is_empty());
                    self.rules.remove(chain);
                    self.chains.retain(|other| other != chain);
                }
                _ => panic!("{line}"),
            }
        }
    }

    fn of_addresses() -> Self {
        let mut table = Self { chains: Vec::new(), rules: HashMap::new() };
        table.restore(
            "*nat\n:PREROUTING - [0:0]\n:POSTROUTING - [0:0]\n\
             -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n",
        );
        table
    }

    fn ensure(&mut self, wanted: &Wanted) -> bool {
        self.ensure_in(Filter, wanted)
    }

    fn ensure_in(&mut self, table: super::Table, wanted: &Wanted) -> bool {
        let text = plan(table, tag(), &self.save(), Some(wanted));
        text.inspect(|text| self.restore(text)).is_some()
    }
}

#[test]
fn the_rules_of_an_install() {
    let text = plan(Filter, tag(), &Table::of_docker().save(), Some(&wanted())).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn the_rules_of_an_install_in_the_table_of_ipv6() {
    let text = plan(Filter6, tag(), "*filter\nCOMMIT\n", Some(&wanted())).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn the_rules_of_an_install_that_sends_packets_on_itself() {
    let text = plan(Filter, tag(), &Table::of_docker().save(), Some(&wanted_for_pairs())).unwrap();
    let nat = plan(Nat, tag(), &Table::of_addresses().save(), Some(&wanted_for_pairs())).unwrap();
    insta::assert_snapshot!(format!("{text}\n{nat}"));
    assert_eq!(plan(Nat, tag(), &Table::of_addresses().save(), Some(&wanted())), None);
}

#[test]
fn whose_address_a_packet_gets_is_left_alone_wherever_it_is_decided() {
    let mut table = Table::of_addresses();
    let before = table.save();
    assert!(table.ensure_in(Nat, &wanted_for_pairs()));
    let rules = table.rules.get_mut("POSTROUTING").unwrap();
    rules.insert(0, "-s 172.18.0.0/16 ! -o br-1 -j MASQUERADE".into());
    assert!(!table.ensure_in(Nat, &wanted_for_pairs()), "{}", table.save());
    table.rules.get_mut("POSTROUTING").unwrap().remove(1);
    assert!(table.ensure_in(Nat, &wanted_for_pairs()), "it is mended");
    table.rules.get_mut("POSTROUTING").unwrap().remove(1);
    table.restore(&plan(Nat, tag(), &table.save(), None).unwrap());
    assert_eq!(table.save(), before);
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    let mut table = Table::of_docker();
    assert!(table.ensure(&wanted()));
    assert!(!table.ensure(&wanted()), "{}", table.save());
    assert!(table.ensure(&Wanted { ports: [8788, 9000].into(), ..wanted() }));
    assert!(!table.ensure(&Wanted { ports: [9000, 8788].into(), ..wanted() }));
    assert!(table.ensure(&wanted_for_pairs()));
    assert!(!table.ensure(&wanted_for_pairs()), "{}", table.save());
}

#[test]
fn rules_that_were_flushed_doubled_or_overtaken_are_mended() {
    let mut right = Table::of_docker();
    right.ensure(&wanted());
    let right = right.save();
    let spoilt: [fn(&mut Table); 6] = [
        |table| table.rules.get_mut("INPUT").unwrap().clear(),
        |table| table.rules.get_mut("DOCKER-USER").unwrap().rotate_left(1),
        |table| {
            let rules = table.rules.get_mut("INPUT").unwrap();
            rules.insert(0, rules[0].clone());
        },
        |table| table.rules.get_mut("INPUT").unwrap().insert(0, "-j ACCEPT".into()),
        |table| {
            let bridge = format!("-i {}abcdefg -j ACCEPT", tag().devices().trim_end_matches('+'));
            table.rules.get_mut("DOCKER-USER").unwrap().insert(0, bridge);
        },
        |table| {
            let chain = format!("{}-FW", tag().chain());
            table.rules.get_mut(&chain).unwrap().insert(0, "-j ACCEPT".into());
        },
    ];
    for spoil in spoilt {
        let mut table = Table::of_docker();
        table.ensure(&wanted());
        spoil(&mut table);
        assert!(table.ensure(&wanted()), "{}", table.save());
        assert!(!table.ensure(&wanted()), "{}", table.save());
        let first =
            |text: &str| text.lines().find(|line| line.starts_with("-A INPUT")).map(str::to_owned);
        assert_eq!(first(&table.save()), first(&right));
    }
}

#[test]
fn removing_takes_what_is_the_install_s_and_nothing_else() {
    let mut table = Table::of_docker();
    let before = table.save();
    assert_eq!(plan(Filter, tag(), &before, None), None);

    let other = Tag::of(InstallId::from_u128(2), Make::Bridge);
    table.restore(&plan(Filter, other, &before, Some(&wanted())).unwrap());
    let with_other = table.save();
    assert!(table.ensure(&wanted()));
    assert!(!table.ensure(&wanted()), "another install's hooks may stand where they are");
    table.restore(&plan(Filter, tag(), &table.save(), None).unwrap());
    assert_eq!(table.save(), with_other);
}

#[test]
fn without_docker_s_chain_the_rules_hook_where_packets_are_forwarded() {
    let saved = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n";
    let text = plan(Filter, tag(), saved, Some(&wanted())).unwrap();
    assert!(text.contains("-I FORWARD 1 -i fy"), "{text}");
    assert!(!text.contains("DOCKER-USER"), "{text}");
}
