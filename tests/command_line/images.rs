//! `fileyard image`, which needs no server: a data directory of its own, and tars.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{fileyard, told};

const NOBODY: &str = "http://127.0.0.1:9";

fn image(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let args = [&["image"], args, &["--data", "data"]].concat();
    told(&mut fileyard(dir, NOBODY, &args))
}

/// A root file system, owned by whoever runs this.
fn root(dir: &Path) {
    fs::create_dir_all(dir.join("root/bin")).unwrap();
    fs::write(dir.join("root/bin/tool"), "12345").unwrap();
    let mut made = Command::new("tar");
    made.args(["-C", "root", "-czf", "root.tgz", "."]).current_dir(dir);
    assert!(made.status().unwrap().success());
}

#[test]
fn an_image_comes_is_listed_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    root(dir);
    let (status, out, err) = image(dir, &["list"]);
    assert_eq!((status, out.as_str()), (0, ""));
    assert!(err.contains("There is no image yet"), "{err}");

    let (status, out, err) = image(
        dir,
        &["import", "root.tgz", "-t", "tool:1", "--entrypoint", "/bin/tool", "-e", "A=1"],
    );
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with("tool:1  sha256:"), "{out}");
    let digest = out.trim().rsplit(' ').next().unwrap().to_owned();

    let (_, out, _) = image(dir, &["list"]);
    let rows: Vec<Vec<&str>> = out.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["IMAGE", "DIGEST", "CREATED", "SIZE"]);
    assert_eq!(rows[1], ["tool:1", &digest[..19], "-", "5", "B"]);
    let (_, out, _) = image(dir, &["list", "--json"]);
    let listed: Value = serde_json::from_str(&out).unwrap();
    let listed = &listed["images"][0];
    assert_eq!(listed["digest"], digest);
    assert_eq!(listed["references"][0], "tool:1");
    assert_eq!((&listed["entrypoint"][0], &listed["env"][0]), (&"/bin/tool".into(), &"A=1".into()));

    let (status, out, _) = image(dir, &["rm", "tool:1", "--json"]);
    let gone: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &gone["images"][0], &gone["bytes"]), (0, &digest.into(), &5.into()));
    let (status, out, _) = image(dir, &["prune"]);
    assert_eq!((status, out.trim()), (0, "0 layers with 0 B of files were removed"));
    assert_eq!(fs::read_dir(dir.join("data/images/layers")).unwrap().count(), 0);
}

#[test]
fn a_registry_that_is_away_is_3_and_said_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[engine.mirrors]\n'127.0.0.1:1' = '127.0.0.1:9'";
    fs::write(dir.path().join("fileyard.toml"), config).unwrap();
    let (status, out, err) = image(dir.path(), &["pull", "127.0.0.1:1/tool"]);
    assert_eq!((status, out.as_str()), (3, ""), "{err}");
    // The mirror is asked first, and what is asked again is said.
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines[0], "asking 127.0.0.1:9");
    assert!(lines[1].starts_with("its mirror is of no use: 127.0.0.1:9 can not"), "{err}");
    assert_eq!(lines[2], "asking 127.0.0.1:1");
    assert!(lines[3].ends_with("; asking again"), "{err}");
    let said = "cannot pull 127.0.0.1:1/tool:latest: 127.0.0.1:1 can not be reached: ";
    assert!(lines.last().unwrap().starts_with(said), "{err}");
}

#[test]
fn a_ctrl_c_ends_a_pull_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("{}/tool", silent.local_addr().unwrap());
    let args = ["image", "pull", &name, "--data", "data"];
    let mut pull = fileyard(dir.path(), NOBODY, &args);
    let mut pull = pull.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let connection = silent.accept().unwrap();
    let mut interrupt = Command::new("kill");
    assert!(interrupt.args(["-INT", &pull.id().to_string()]).status().unwrap().success());
    let done = pull.wait().unwrap();
    drop(connection);
    let mut err = String::new();
    pull.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(done.code(), Some(1), "{err}");
    assert!(err.ends_with("interrupted: nothing of it is here\n"), "{err}");
    for left in ["work", "images", "layers"] {
        assert_eq!(fs::read_dir(dir.path().join("data/images").join(left)).unwrap().count(), 0);
    }
}

#[test]
fn what_is_wrong_with_an_image_is_2_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    root(dir);
    fs::write(dir.join("script"), "#!/bin/sh\n").unwrap();
    for (args, said) in [
        (&["import", "root.tgz"][..], "give the image a name with -t"),
        (&["import", "absent.tar"], "there is no such file"),
        (&["import", "script", "-t", "a"], "no tar"),
        (&["import", "root.tgz", "-t", "A B"], "no name of an image"),
        (&["build", "-t", "a", "script"], "it is no program"),
        (&["build", "-t", "a", "script", "--file", "x"], "./tool.conf:/etc/tool.conf"),
        (&["rm", "absent"], "fileyard image list"),
        (&["pull", "A B"], "no name of an image"),
    ] {
        let (status, out, err) = image(dir, args);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
    let (_, _, err) = image(dir, &["rm", "absent", "--json"]);
    let problem: Value = serde_json::from_str(&err).unwrap();
    assert_eq!(problem["code"], "usage");
}
