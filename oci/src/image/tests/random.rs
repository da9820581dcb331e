//! Tars that nobody would write: whatever is in one, it is unpacked or refused, nothing outside of the
//! store changes, and nothing of it stays once it is removed.

use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;

/// What an entry is called, or leads to. The last ones lead to what must stay as it is.
const PATHS: [&str; 18] = [
    "a",
    "b",
    "a/b",
    "a/b/c",
    "b/a",
    "./a//b",
    "/a/c",
    "",
    ".",
    "a/",
    ".wh.a",
    "a/.wh.b",
    "a/.wh..wh..opq",
    ".wh..",
    "dev/null",
    "..",
    "../../../../../outside",
    "/proc/self/root",
];

const KINDS: [EntryType; 9] = [
    EntryType::Regular,
    EntryType::Directory,
    EntryType::Symlink,
    EntryType::Link,
    EntryType::Fifo,
    EntryType::Char,
    EntryType::Block,
    EntryType::Continuous,
    EntryType::GNUSparse,
];

/// A kind, a name, where it leads, and whether that is the absolute path of what must stay.
type Line = (usize, usize, usize, bool);

fn lines() -> impl Strategy<Value = Vec<Line>> {
    // Those that are refused at once end a tar early, so they come less often.
    let kind = prop_oneof![8 => 0..5usize, 1 => 0..KINDS.len()];
    let name = prop_oneof![8 => 0..10usize, 2 => 10..15usize, 1 => 15..PATHS.len()];
    prop::collection::vec((kind, name, 0..PATHS.len(), any::<bool>()), 1..12)
}

/// All that there is, and what it is like.
fn seen(dir: &Path) -> Vec<(String, u32, u64, i64)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let it = path.symlink_metadata().unwrap();
        all.push((path.display().to_string(), it.mode(), it.ino(), it.mtime_nsec()));
        if it.is_dir() {
            all.extend(seen(&path));
        }
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_is_in_a_tar_nothing_outside_changes(lines in lines(), cut in 0..4000usize) {
        let home = Home::new();
        let outside = home.dir.path().join("outside");
        fs::create_dir_all(outside.join("a/b")).unwrap();
        fs::write(outside.join("a/file"), "as it was").unwrap();
        let before = seen(&outside);
        let absolute = outside.display().to_string();
        let mut maker = Maker::default();
        for (kind, name, to, leads_out) in lines {
            let to = if leads_out && absolute.len() < 100 { &absolute } else { PATHS[to] };
            let content: &[u8] = if kind == 0 { b"changed" } else { b"" };
            maker = maker.entry(KINDS[kind], PATHS[name], to, content);
        }
        let mut tar = maker.end();
        // One in a few is cut off.
        tar.truncate(tar.len().min(tar.len() + 3000 - cut));
        let unpacked = home.import(&tar, Some("a"));
        prop_assert_eq!(&seen(&outside), &before);
        prop_assert_eq!(home.inside("work").len(), 0);
        if unpacked.is_ok() {
            home.store.remove("a").unwrap();
        }
        prop_assert_eq!(home.inside("layers").len(), 0);
        prop_assert_eq!(&seen(&outside), &before);
    }
}
