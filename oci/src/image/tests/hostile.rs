//! Tars that mean harm, and tars that only look as if.

use serde_json::json;

use super::*;
use crate::image::Fault;

/// Each is refused by name, with nothing left of it and nothing outside.
#[test]
fn what_leads_out_or_can_not_be_is_refused_by_its_name() {
    let long = "a/".repeat(129);
    for (tar, said) in [
        (Maker::default().file("../out", b"x"), r#"its entry "../out": a path with `..`"#),
        (Maker::default().file("a/../../out", b"x"), "a path with `..`"),
        (Maker::default().link("passwd", "../../etc/passwd"), "a path with `..`"),
        (Maker::default().link("passwd", "/etc/passwd"), "is no file in this layer"),
        (Maker::default().link("a", "a"), "is no file in this layer"),
        (Maker::default().directory("d").link("a", "d"), "is no file in this layer"),
        (Maker::default().symlink("up", "../..").file("up/etc/../x", b""), "a path with `..`"),
        (Maker::default().symlink("out", "/nowhere").file("out/x", b""), "is no directory"),
        (Maker::default().symlink("a", "b").symlink("b", "a").file("a/x", b""), "no directory"),
        (Maker::default().file("a", b"").file("a/x", b""), "is no directory"),
        (Maker::default().file("a/b", b"").file("a", b""), "with something in it"),
        (Maker::default().device("etc/null"), r#"its entry "etc/null": it is a device"#),
        (Maker::default().entry(EntryType::Block, "sda", "", b""), "it is a device"),
        (Maker::default().entry(EntryType::new(b's'), "socket", "", b""), "of a kind"),
        (Maker::default().entry(EntryType::GNUSparse, "a", "", b""), "sparse"),
        (Maker::default().pax("GNU.sparse.major", b"1").file("a", b""), "sparse"),
        (Maker::default().symlink("a", ""), "a link to no path"),
        (Maker::default().file(".wh...", b""), "hides nothing"),
        (Maker::default().file(".wh.a/b", b""), "in something that is not there"),
        (Maker::default().pax("path", b"a\0b").file("a", b""), "zero byte"),
        (Maker::default().pax("path", long.as_bytes()).file("a", b""), "more directories"),
        (Maker::default().pax("uid", b"4294967295").file("a", b""), "an owner's number"),
        (Maker::default().pax("size", b"-1").file("a", b""), "no number"),
        (
            Maker::default().pax("SCHILY.xattr.trusted.overlay.opaque", b"y").directory("a"),
            "not an image's to set",
        ),
        (
            Maker::default().pax("SCHILY.xattr.user.overlay.redirect", b"/").directory("a"),
            "not an image's to set",
        ),
        (Maker::default().file(".", b""), "in the place of the root"),
        (Maker::default().pax("path", "x".repeat(300).as_bytes()).file("a", b""), "too long"),
        (Maker::default().sized(EntryType::XHeader, "x", "", 2 << 20), "says more"),
        (Maker::default().sized(EntryType::GNULongName, "x", "", 1 << 40), "says more"),
        (Maker::default().entry(EntryType::XHeader, "x", "", b"9 a=b"), "extended header"),
        (Maker::default().pax("path", b"a"), "cut off"),
        (Maker::default().raw(&[7; 512]), "no tar"),
    ] {
        let home = Home::new();
        let refused = home.refused(&tar.end(), Some("x"));
        assert_eq!(refused.kind(), Fault::Image, "{refused}");
        assert!(refused.to_string().contains(said), "{said}: {refused}");
    }
}

/// Links that an earlier entry planted lead to somewhere inside.
#[test]
fn no_link_leads_out_and_absolute_ones_are_kept_as_they_are() {
    let home = Home::new();
    let outside = home.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let outside = outside.to_str().unwrap();
    // Its own /tmp, or whatever the directory is in, as seen from its root.
    let inside = format!("{}/", outside.trim_start_matches('/'));
    let tar = Maker::default()
        .pax("path", inside.as_bytes())
        .directory("d")
        .pax("linkpath", outside.as_bytes())
        .symlink("absolute", "x")
        .file("absolute/one", b"1")
        .symlink("up", "../../../../../../../../usr")
        .directory("usr")
        .file("up/two", b"2")
        .symlink("etc/shadow", "/etc/shadow")
        .file("etc/shadow", b"ours")
        .symlink("loop", "loop")
        .symlink("passwd", "/etc/passwd")
        .link("second", "passwd");
    let image = home.root(&tar.end(), "links");
    assert_eq!(read(&image, &format!("{inside}one")), "1");
    assert_eq!(read(&image, "usr/two"), "2");
    assert_eq!(read(&image, "etc/shadow"), "ours");
    let root = &image.layers[0];
    assert_eq!(fs::read_link(root.join("absolute")).unwrap(), Path::new(outside));
    for link in ["passwd", "second"] {
        assert_eq!(fs::read_link(root.join(link)).unwrap(), Path::new("/etc/passwd"));
    }
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}

/// Removing a tree takes a descriptor a directory, so no detour leads deeper than a path may.
#[test]
fn links_to_links_lead_no_deeper_than_a_path_may() {
    let hundred = "d/".repeat(100);
    let tar = Maker::default().pax("path", hundred.as_bytes()).directory("d");
    let tar = tar.pax("linkpath", hundred.as_bytes()).symlink("deep", "d");
    let further = format!("deep/{}x", "e/".repeat(20));
    let tar = tar.pax("path", further.as_bytes()).file("x", b"");
    let refused = Home::new().refused(
        &tar.pax("path", format!("deep/{}x", "e/".repeat(40)).as_bytes()).file("x", b"").end(),
        Some("deep"),
    );
    assert!(refused.to_string().contains("more directories than can be"), "{refused}");
}

#[test]
fn what_is_too_much_stops_early_and_leaves_nothing() {
    let limits = Limits { layer_bytes: 1 << 20, entries: 100, keep_free: 0, ..Limits::default() };
    let zeros = gzip(&tar_of(&[("zeros", &vec![0; 8 << 20])]));
    let little = Limits { image_bytes: 1 << 20, ..limits };
    let refused = Home::with(little).refused(&zeros, Some("bomb"));
    assert!(refused.to_string().contains("more than 1048576 bytes"), "{refused}");
    // As a layer, where a stranger's digest can be right.
    let zeros = tar_of(&[("zeros", &vec![0; 8 << 20])]);
    let layout = |limits| {
        let (tar, _) = layout("bomb", &config(&[&zeros], &json!({})), &[&gzip(&zeros)]);
        Home::with(limits).refused(&tar, None)
    };
    let refused = layout(limits);
    assert!(
        refused.to_string().contains("layer 1 of 1: its entry \"zeros\": it unpacks"),
        "{refused}"
    );
    let harmless = Limits { harmless_bytes: 1 << 20, layer_bytes: 1 << 30, ..limits };
    let refused = layout(harmless);
    assert!(refused.to_string().contains("200 times its size"), "{refused}");

    let many = (0..200).fold(Maker::default(), |tar, n| tar.file(&format!("f{n}"), b""));
    let refused = Home::with(limits).refused(&many.end(), Some("many"));
    assert!(refused.to_string().contains("entries"), "{refused}");

    // Not a byte of it is in the tar.
    let claims = Maker::default().sized(EntryType::Regular, "a", "", 1 << 40).end();
    let refused = Home::new().refused(&claims, Some("claims"));
    assert!(refused.to_string().contains("cut off"), "{refused}");

    let full = Limits { keep_free: u64::MAX, ..limits };
    let refused = Home::with(full).refused(&tar_of(&[("a", b"")]), Some("full"));
    assert_eq!(refused.kind(), Fault::NoSpace);
    assert!(refused.to_string().contains("make room"), "{refused}");

    // The layers of an image together.
    let (a, b) = (tar_of(&[("a", &[1; 900])]), tar_of(&[("b", &[2; 900])]));
    let little = Limits { image_bytes: 4000, keep_free: 0, ..Limits::default() };
    let saved = docker_save("a", &config(&[&a, &b], &json!({})), &[&a, &b]);
    let home = Home::with(Limits { image_bytes: 12_000, ..little });
    assert!(home.import(&saved, None).is_ok());
    let refused = Home::with(little).refused(&saved, None);
    assert!(refused.to_string().contains("more than 4000 bytes"), "{refused}");
}

#[test]
fn a_layer_that_is_cut_off_or_damaged_is_no_layer() {
    let whole = tar_of(&[("a", &[1; 5000]), ("b", &[2; 5000])]);
    for cut in [512, 3000, 6000, whole.len() - 1024] {
        let refused = Home::new().refused(&whole[..cut], Some("cut"));
        assert!(refused.to_string().contains("cut off"), "{cut}: {refused}");
        let packed = gzip(&whole);
        let refused = Home::new().refused(&packed[..packed.len() / 2], Some("cut"));
        assert_eq!(refused.kind(), Fault::Image, "{refused}");
    }
    let mut flipped = gzip(&whole);
    let end = flipped.len() - 5;
    flipped[end] ^= 1;
    assert_eq!(Home::new().refused(&flipped, Some("flipped")).kind(), Fault::Image);
    let xz = b"\xfd7zXZ\0........";
    let refused = Home::new().refused(xz, Some("xz"));
    assert!(refused.to_string().contains("use gzip or zstd"), "{refused}");
    let refused = Home::new().refused(b"", Some("empty"));
    assert!(refused.to_string().contains("nothing in it"), "{refused}");
}

#[test]
fn what_looks_odd_and_is_right_is_unpacked() {
    let home = Home::new();
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let tar = Maker::default()
        .directory("./")
        .file("/absolute", b"inside")
        .pax("path", long.as_bytes())
        .file("short", b"long")
        .pax("SCHILY.xattr.user.lines", b"a\nb\0c")
        .file("attributes", b"")
        // Of the machine where it was made.
        .pax("SCHILY.xattr.security.selinux", b"label")
        .file("label", b"")
        .entry(EntryType::Fifo, "fifo", "", b"")
        .device("dev/null")
        .directory("dev")
        .file("twice", b"first")
        .file("twice", b"second")
        .directory("was")
        .symlink("was", "twice")
        .entry(EntryType::XGlobalHeader, "g", "", b"19 comment=whatever\n")
        .entry(EntryType::Regular, "old/", "", b"");
    let image = home.root(&tar.end(), "odd");
    assert_eq!(read(&image, "absolute"), "inside");
    assert_eq!(read(&image, &long), "long");
    assert_eq!(read(&image, "twice"), "second");
    let root = &image.layers[0];
    assert_eq!(fs::read_link(root.join("was")).unwrap(), Path::new("twice"));
    assert!(root.join("old").is_dir() && exists(&root.join("fifo")));
    assert!(root.join("dev").is_dir() && !exists(&root.join("dev/null")));
    let mut value = [0; 16];
    let read = rustix::fs::getxattr(root.join("attributes"), "user.lines", &mut value[..]);
    // Not every file system has them.
    assert!(matches!(read, Ok(5) | Err(rustix::io::Errno::NOTSUP)), "{read:?}");
    let modified = fs::metadata(root).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_000_000_000);
}

#[test]
fn an_image_for_another_machine_or_with_too_many_variables_is_refused() {
    let layer = tar_of(&[("a", b"")]);
    let diff_ids = [Digest::of(&layer).to_string()];
    let other = config_of(&diff_ids, "s390x", &json!({}));
    let refused = Home::new().refused(&docker_save("a", &other, &[&layer]), None);
    assert!(
        refused.to_string().contains("it is for linux/s390x, and this machine is"),
        "{refused}"
    );
    let env: Vec<String> = (0..20_000).map(|n| format!("V{n}=")).collect();
    let crowded = config(&[&layer], &json!({"Env": env}));
    let refused = Home::new().refused(&docker_save("a", &crowded, &[&layer]), None);
    assert!(refused.to_string().contains("it sets 20000 environment variables"), "{refused}");
    let layers = vec![diff_ids[0].clone(); 121];
    let tall = config_of(&layers, &super::super::config::architecture().to_string(), &json!({}));
    let refused = Home::new().refused(&docker_save("a", &tall, &[&layer]), None);
    assert!(refused.to_string().contains("it has 121 layers"), "{refused}");
}
