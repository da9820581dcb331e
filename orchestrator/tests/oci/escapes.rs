//! Known ways out of a container, tried from within on both engines; and images that are made to lead
//! the engine out of one, tried on ours.
//!
//! The list of the first is `sample-go-processor/drill/escapes.go`.

use std::{collections::BTreeMap, fs, os::unix::fs::chown, path::Path, process::Command};

use fileyard_oci::image::{ImportOptions, Store, Tar};
use fileyard_orchestrator::engine::{ContainerState, User, conformance::Harness};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{Home, docker_beside, images, oci_in};

/// On Docker a container's init is a process of the program's own user and no part of the host: it may
/// be looked into, and is worth nothing.
const OPEN_ON_DOCKER: [&str; 2] = ["memory_of_init", "trace_init"];

async fn found(it: &Harness, user: User) -> BTreeMap<String, String> {
    let mut spec = it.spec(&["escape"]);
    spec.user = user;
    chown(it.dirs().out(&spec.id), Some(user.uid), Some(user.gid)).unwrap();
    let found = it.probe(&spec).await;
    it.remove(&spec).await;
    it.leaves_nothing().await;
    serde_json::from_value(found).unwrap()
}

fn ways_out(found: &BTreeMap<String, String>) -> Vec<&str> {
    let out = found.iter().filter(|(_, outcome)| !outcome.starts_with("denied: "));
    out.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_known_way_leads_out_of_a_container() {
    let home = Home::default();
    let nobody = User { uid: 65532, gid: 65532 };
    let here = found(&oci_in(&home), nobody).await;
    assert!(here.len() > 30, "{here:#?}");
    assert_eq!(ways_out(&here), [""; 0], "{here:#?}");
    let there = found(&docker_beside(), nobody).await;
    assert_eq!(there.keys().collect::<Vec<_>>(), here.keys().collect::<Vec<_>>());
    assert_eq!(ways_out(&there), OPEN_ON_DOCKER, "{there:#?}");
}

/// Whom a config makes root in a container is root without a right, but is who owns the host's files.
#[tokio::test(flavor = "multi_thread")]
async fn nor_for_who_is_root_in_it() {
    let home = Home::default();
    let root = User { uid: 0, gid: 0 };
    let here = found(&oci_in(&home), root).await;
    // It is root already, which gives it nothing.
    assert_eq!(ways_out(&here), ["become_root"], "{here:#?}");
    let there = found(&docker_beside(), root).await;
    let mut open = vec!["become_root"];
    open.extend(OPEN_ON_DOCKER);
    open.sort_unstable();
    assert_eq!(ways_out(&there), open, "{there:#?}");
}

/// The control: the same program with namespaces alone finds its way.
#[test]
fn without_its_walls_most_of_them_do() {
    let out = tempfile::tempdir().unwrap();
    let drill = fs::read_dir(images()).unwrap().flatten().map(|dir| dir.path().join("drill"));
    let drill = drill.into_iter().find(|file| file.is_file()).expect("script/sample packs it");
    let mut unshared = Command::new("unshare");
    unshared.args(["--mount", "--pid", "--fork", "--mount-proc", "--net"]).arg(drill).arg("escape");
    let done = unshared.env("DRILL_OUT", out.path()).output().unwrap();
    let found: BTreeMap<String, String> = serde_json::from_slice(&done.stdout).unwrap();
    let open = ways_out(&found);
    for name in [
        "become_root",
        "chroot",
        "control_groups",
        "core_pattern",
        "device_node",
        "handles",
        "io_uring",
        "kernel_keys",
        "keyrings",
        "memory_of_init",
        "mount_proc",
        "namespaces_of_init",
        "new_namespaces",
        "remount_root",
        "trace_init",
    ] {
        assert!(open.contains(&name), "{name} is not among {open:?}: {found:#?}");
    }
}

/// An image of the drill, with these links in it and this config besides.
fn image(store: &Store, links: &[(&str, &Path)], config: &serde_json::Value) {
    let drill = images().read_dir().unwrap().flatten().map(|dir| dir.path().join("drill"));
    let drill = fs::read(drill.into_iter().find(|file| file.is_file()).unwrap()).unwrap();
    let mut layer = Builder::new(Vec::new());
    for (path, target) in links {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        layer.append_link(&mut header, path, target).unwrap();
    }
    file(&mut layer, "drill", &drill);
    let layer = layer.into_inner().unwrap();
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let digits: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = format!("sha256:{digits}");
    let whole = json!({
        "os": "linux", "architecture": arch, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    });
    let listed = json!([{"Config": "c.json", "RepoTags": ["hostile:1"], "Layers": ["l.tar"]}]);
    let mut saved = Builder::new(Vec::new());
    file(&mut saved, "manifest.json", listed.to_string().as_bytes());
    file(&mut saved, "c.json", whole.to_string().as_bytes());
    file(&mut saved, "l.tar", &layer);
    let saved = saved.into_inner().unwrap();
    store.import(Tar::Stream(&mut &saved[..]), &ImportOptions::default()).unwrap();
}

fn file(tar: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).unwrap();
}

/// Everything below it, and what is in it.
fn everything(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let below = everything(&path);
            all.extend(
                below.into_iter().map(|(name, it)| (format!("{}/{name}", path.display()), it)),
            );
            all.insert(path.display().to_string(), Vec::new());
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

/// It may run or be refused, but is told apart from neither by what it does to the host.
async fn runs_or_not(it: &mut Harness, words: &[&str]) -> String {
    it.image = "hostile:1".into();
    let mut spec = it.spec(words);
    spec.entrypoint = vec!["/drill".into()];
    let told = match it.engine.start(&spec).await {
        Ok(ContainerState::Running | ContainerState::Exited(_)) => {
            format!("{:?}", it.exit(&spec.id).await)
        }
        other => format!("{other:?}"),
    };
    it.remove(&spec).await;
    it.leaves_nothing().await;
    told
}

/// runc's CVE-2021-30465 and those like it: what the engine mounts or makes on a link goes to where the
/// link leads within the image, or nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn no_link_of_an_image_takes_a_mount_out_of_it() {
    let host = tempfile::tempdir().unwrap();
    for name in ["in", "out", "tmp", "etc", "proc", "dev", "sys", "data"] {
        fs::create_dir(host.path().join(name)).unwrap();
    }
    fs::write(host.path().join("etc/hosts"), "the host's").unwrap();
    let before = everything(host.path());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    for name in ["in", "out", "tmp", "etc", "proc", "dev", "sys", "data"] {
        let home = Home::default();
        let mut it = oci_in(&home);
        let store = Store::open(&home.path().join("images")).unwrap();
        let config = json!({"Volumes": {"/data": {}}});
        image(&store, &[(name, &host.path().join(name))], &config);
        let told = runs_or_not(&mut it, &["write", "a.txt", "x", "say", "written"]).await;
        assert_eq!(everything(host.path()), before, "/{name} is a link; {told}");
    }
    assert_eq!(
        fs::read_to_string("/proc/self/mounts").unwrap().lines().count(),
        mounts.lines().count()
    );
}

/// runc's CVE-2024-21626: a working directory that is a file descriptor of the runtime's.
#[tokio::test(flavor = "multi_thread")]
async fn no_working_directory_of_an_image_is_outside_of_it() {
    for number in 0..24 {
        let home = Home::default();
        let mut it = oci_in(&home);
        let store = Store::open(&home.path().join("images")).unwrap();
        let config = json!({"WorkingDir": format!("/proc/self/fd/{number}")});
        image(&store, &[], &config);
        it.image = "hostile:1".into();
        let mut spec = it.spec(&["escape"]);
        spec.entrypoint = vec!["/drill".into()];
        if let Ok(ContainerState::Running | ContainerState::Exited(_)) =
            it.engine.start(&spec).await
            && it.exit(&spec.id).await.code == 0
        {
            let result = fs::read(it.dirs().out(&spec.id).join("result.json")).unwrap();
            let found: BTreeMap<String, String> = serde_json::from_slice(&result).unwrap();
            assert_eq!(ways_out(&found), [""; 0], "{number}: {found:#?}");
        }
        it.remove(&spec).await;
        it.leaves_nothing().await;
    }
}
