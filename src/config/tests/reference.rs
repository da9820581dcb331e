//! `docs/config.md` and the keys that are read are the same.

use std::collections::BTreeMap;

use super::*;

/// The reference; its first block of TOML has every key as its default, and one processor.
const REFERENCE: &str = include_str!("../../../docs/config.md");

fn blocks_of_toml() -> Vec<&'static str> {
    REFERENCE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_key_written_out_is_the_same_as_none() {
    let (written, bare) = (read(blocks_of_toml()[0]).unwrap(), read("").unwrap());
    let but_processors = |mut config: Config| {
        config.processors = Processors::default();
        format!("{config:?}")
    };
    assert_eq!(but_processors(written.clone()), but_processors(bare));
    let short = read("[processors.mp4]\nimage = 'example/ffmpeg:7'").unwrap();
    let (written, short) = (&written.processors.all, &short.processors.all);
    let mut written = Processor::clone(written.values().next().unwrap());
    let short = Processor::clone(short.values().next().unwrap());
    assert_eq!(written.params["height"].default, Some(720.into()));
    assert_eq!(written.command[4], "{out}/{stem}.mp4");
    written.params.clear();
    (written.title, written.command, written.accepts) = ("mp4".into(), vec![], vec![]);
    written.env.clear();
    assert_eq!(format!("{written:?}"), format!("{short:?}"));
}

#[test]
fn names_of_sections_and_keys_are_those_that_are_read() {
    let keys = keys_with_defaults();
    let mut sections: Vec<&str> =
        keys.keys().filter_map(|key| key.split_once('.')).map(|(section, _)| section).collect();
    sections.dedup();
    let mut known = tree::SECTIONS.to_vec();
    known.sort_unstable();
    assert_eq!(sections, known);
    let mut known = tree::TOP_LEVEL.to_vec();
    known.sort_unstable();
    let single: Vec<&String> = keys.keys().filter(|key| !key.contains('.')).collect();
    assert_eq!(single, known);
}

#[test]
fn every_block_of_the_reference_is_a_config() {
    for block in blocks_of_toml() {
        assert!(read(block).is_ok(), "{block}\n{}", read(block).unwrap_err());
    }
}

#[test]
fn the_reference_has_every_key_with_its_default_and_no_other() {
    let mut documented = BTreeMap::new();
    let mut section = String::new();
    for line in REFERENCE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.trim_matches('`').trim_matches(['[', ']']);
            section = if heading.starts_with('`') { format!("{name}.") } else { String::new() };
        }
        let cells: Vec<&str> =
            line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        if let [key, default, meaning] = cells.as_slice()
            && key.starts_with('`')
        {
            assert!(!meaning.is_empty(), "{key}");
            let key = format!("{section}{}", key.trim_matches('`'));
            documented.insert(key, default.trim_matches('`').to_owned());
        }
    }
    assert_eq!(documented, keys_with_defaults());
}

/// The processor whose params are of every type, so that every key is read.
const ONE_OF_EACH: &str = "
    [processors.NAME.params]
    a = { type = 'string', enum = ['a'] }
    b = { type = 'string', pattern = 'a' }
    c = { type = 'integer' }
";

/// Every key that is read, `NAME` in place of names that a person chooses, with its default.
fn keys_with_defaults() -> BTreeMap<String, String> {
    let text = ONE_OF_EACH.replace("NAME", "p");
    let root = tree::from_toml("f", &text).unwrap();
    let findings = RefCell::new(Findings::default());
    everything(Section::root(&root, "f", &findings), &[]);
    let mut keys = BTreeMap::new();
    for (key, default) in findings.into_inner().keys {
        let mut parts: Vec<&str> = key.split('.').collect();
        if parts[0] == "processors" {
            parts[1] = "NAME";
            if parts.len() == 5 {
                parts[3] = "NAME";
            }
        }
        keys.entry(parts.join(".")).or_insert(default);
    }
    keys
}
