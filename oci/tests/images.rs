//! Layers as root unpacks them, and as overlayfs puts them on each other.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    thread,
};

use fileyard_oci::image::{BuildRequest, Image, ImportOptions, Store, Tar};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// One entry of a layer.
struct Entry<'a>(EntryType, &'a str, u32, (u64, u64), &'a [u8]);

const ROOT: (u64, u64) = (0, 0);

fn file(path: &str) -> Entry<'_> {
    Entry(EntryType::Regular, path, 0o644, ROOT, b"")
}

fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for Entry(kind, path, mode, (user, group), content) in entries {
        if *path == "cap" {
            tar.append_pax_extensions([("SCHILY.xattr.security.capability", CAPABILITY)]).unwrap();
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(*user);
        header.set_gid(*group);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn layer(store: &Store, name: &str, entries: &[Entry<'_>]) -> Image {
    let tar = tar(entries);
    let options = ImportOptions { name: Some(name.into()), ..ImportOptions::default() };
    store.import(Tar::Stream(&mut &tar[..]), &options).unwrap().remove(0)
}

/// `cap_net_raw=ep`, with a line's end among its bytes.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0];

fn store() -> (TempDir, Store) {
    let home = TempDir::new().unwrap();
    let store = Store::open(&home.path().join("images")).unwrap();
    (home, store)
}

fn at(image: &Image, path: &str) -> Metadata {
    fs::symlink_metadata(image.layers[0].join(path)).unwrap()
}

#[test]
fn owners_modes_times_and_capabilities_are_as_the_layer_has_them() {
    let (_home, store) = store();
    let owned = (65_534, 4_000_000_000);
    let image = layer(
        &store,
        "owned",
        &[
            Entry(EntryType::Directory, "./", 0o701, (7, 8), b""),
            Entry(EntryType::Directory, "tmp", 0o1777, ROOT, b""),
            Entry(EntryType::Directory, "locked", 0, ROOT, b""),
            file("locked/inside"),
            Entry(EntryType::Regular, "su", 0o6755, owned, b"x"),
            Entry(EntryType::Regular, "cap", 0o755, (1, 1), b"x"),
            Entry(EntryType::Fifo, "fifo", 0o620, owned, b""),
            Entry(EntryType::Char, "dev/null", 0o666, ROOT, b""),
            file("new/and/forgotten"),
        ],
    );
    let is = |path, mode, owner: (u32, u32)| {
        let it = at(&image, path);
        let found = (it.mode() & 0o7777, (it.uid(), it.gid()), it.mtime());
        assert_eq!(found, (mode, owner, 1_000_000_000), "{path}");
    };
    is("", 0o701, (7, 8));
    is("tmp", 0o1777, (0, 0));
    is("locked", 0, (0, 0));
    is("su", 0o6755, (65_534, 4_000_000_000));
    is("cap", 0o755, (1, 1));
    is("fifo", 0o620, (65_534, 4_000_000_000));
    assert_eq!(at(&image, "new/and").mode() & 0o7777, 0o755);
    assert!(!image.layers[0].join("dev").exists());
    let mut value = [0; 64];
    let path = image.layers[0].join("cap");
    let read = rustix::fs::getxattr(&path, "security.capability", &mut value[..]).unwrap();
    assert_eq!(&value[..read], CAPABILITY);
}

#[test]
fn what_an_upper_layer_hides_is_not_seen_through_it() {
    let (home, store) = store();
    let names = ["gone", "dir/gone", "dir/stays", "closed/old", "again/old", "first/old", "keep/a"];
    let below = layer(&store, "below", &names.map(file));
    let above = layer(
        &store,
        "above",
        &[
            file(".wh.gone"),
            file("dir/.wh.gone"),
            file("closed/.wh..wh..opq"),
            file("closed/new"),
            // Hidden and made anew, in either order.
            file("again/new"),
            file(".wh.again"),
            file(".wh.first"),
            file("first/new"),
            file("keep/.wh.never-there"),
            file("keep/b"),
            // Its own stays.
            file("own"),
            file(".wh.own"),
            file(".wh..wh.plnk/1"),
        ],
    );
    let mark = at(&above, "dir/gone");
    assert!(mark.file_type().is_char_device() && mark.rdev() == 0);
    let seen = merged(home.path(), &[below.layers, above.layers].concat());
    let expected = ["again/new", "closed/new", "dir/stays", "first/new", "keep/a", "keep/b", "own"];
    assert_eq!(seen, expected.map(PathBuf::from));
    for left in ["below", "above"] {
        store.remove(left).unwrap();
    }
    assert_eq!(fs::read_dir(home.path().join("images/layers")).unwrap().count(), 0);
}

#[test]
fn a_layer_that_hides_all_leaves_only_itself_and_those_above() {
    let (_home, store) = store();
    let image = layer(&store, "all", &[file("a"), file(".wh..wh..opq")]);
    let mut value = [0; 8];
    let read = rustix::fs::getxattr(&image.layers[0], "trusted.overlay.opaque", &mut value[..]);
    assert_eq!((read.unwrap(), value[0]), (1, b'y'));
}

#[test]
fn a_layer_that_is_there_again_is_mounted_once() {
    let (home, store) = store();
    let (again, hides) = (tar(&[file("a"), file("dir/b")]), tar(&[file(".wh.a"), file("dir/c")]));
    let layers = [("0.tar", &again), ("1.tar", &hides), ("2.tar", &again)];
    let digest = |bytes: &[u8]| {
        let hash = Sha256::digest(bytes);
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    };
    let config = json!({"os": "linux", "architecture": here(), "rootfs": {"type": "layers",
        "diff_ids": layers.map(|(_, layer)| digest(layer))}});
    let manifest =
        json!([{"Config": "config", "RepoTags": ["a"], "Layers": layers.map(|it| it.0)}]);
    let (config, manifest) = (config.to_string(), manifest.to_string());
    let saved = tar(&[
        Entry(EntryType::Regular, "0.tar", 0o644, ROOT, &again),
        Entry(EntryType::Regular, "1.tar", 0o644, ROOT, &hides),
        Entry(EntryType::Regular, "2.tar", 0o644, ROOT, &again),
        Entry(EntryType::Regular, "config", 0o644, ROOT, config.as_bytes()),
        Entry(EntryType::Regular, "manifest.json", 0o644, ROOT, manifest.as_bytes()),
    ]);
    let image = store.import(Tar::Stream(&mut &saved[..]), &ImportOptions::default());
    let seen = merged(home.path(), &image.unwrap().remove(0).layers);
    assert_eq!(seen, ["a", "dir/b", "dir/c"].map(PathBuf::from));
}

/// This machine's, as images name it.
fn here() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// All files that are seen, sorted. The mount is in a namespace that goes with its thread.
fn merged(home: &Path, layers: &[PathBuf]) -> Vec<PathBuf> {
    let to = home.join("merged");
    fs::create_dir(&to).unwrap();
    let layers: Vec<_> = layers.iter().rev().map(|layer| layer.display().to_string()).collect();
    let look = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        let options = format!("lowerdir={}", layers.join(":"));
        let none = MsFlags::empty();
        mount(Some("overlay"), &to, Some("overlay"), none, Some(&options[..]))?;
        let mut files = Vec::new();
        files_in(&to, &mut files)?;
        files.sort();
        let within = |path: PathBuf| path.strip_prefix(&to).map(Path::to_owned);
        files.into_iter().map(within).collect::<Result<_, _>>().map_err(io::Error::other)
    };
    thread::scope(|scope| scope.spawn(look).join().unwrap()).unwrap()
}

fn files_in(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_in(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// A program that is one as far as its headers say.
fn program() -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let mut elf = vec![0; 64];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    elf[16..18].copy_from_slice(&2u16.to_le_bytes());
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    elf
}

#[test]
fn the_same_program_gives_the_same_image() {
    let (home, one) = store();
    let (_other, two) = store();
    let path = |name: &str, content: &[u8]| {
        fs::write(home.path().join(name), content).unwrap();
        home.path().join(name)
    };
    let request = BuildRequest {
        name: "tool:1".into(),
        binary: path("tool", &program()),
        files: vec![(path("conf", b"x"), "/etc/tool/conf".into())],
        command: vec!["-v".into()],
        env: vec!["A=1".into()],
        ..BuildRequest::default()
    };
    let image = one.build(&request).unwrap();
    // Neither the time nor a file's counts.
    path("tool", &program());
    assert_eq!(two.build(&request).unwrap().digest, image.digest);
    assert_eq!(one.build(&request).unwrap(), image);
    assert_eq!(image.references, ["tool:1"]);
    assert_eq!(
        (&image.config.entrypoint[..], &image.config.command[..]),
        (&["/tool".to_owned()][..], &["-v".to_owned()][..])
    );
    assert_eq!((&image.config.env[0][..], &image.config.user[..]), ("A=1", "65532:65532"));
    let tool = at(&image, "tool");
    assert_eq!((tool.uid(), tool.mtime(), tool.mode() & 0o7777), (0, 0, 0o755));
    assert_eq!(at(&image, "etc/tool").mode() & 0o7777, 0o755);
}
