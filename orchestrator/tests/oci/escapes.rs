//! Known ways out of a container, tried from within.
//!
//! The list is `sample-go-processor/drill/escapes.go`; what images try is in `hostile.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::{fs::chown, net::UnixListener},
    path::Path,
    process::Command,
};

use fileyard_orchestrator::engine::{User, conformance::Harness};

use crate::{Home, hostile::drill, oci_in};

/// What became of each try, by its name.
pub(crate) type Found = BTreeMap<String, String>;

/// What a kernel may have been built without: there the control can not find it either.
const NOT_IN_EVERY_KERNEL: [&str; 9] = [
    "binfmt_misc",
    "devices_of_the_host",
    "kernel_memory",
    "load_kernel",
    "load_module",
    "modprobe",
    "release_agent",
    "sysrq",
    "uevent_helper",
];

pub(crate) async fn found(it: &Harness, user: User) -> Found {
    let mut spec = it.spec(&["escape"]);
    let user = it.dirs().user(user);
    spec.user = user;
    chown(it.dirs().out(&spec.id), Some(user.uid), Some(user.gid)).unwrap();
    let found = it.probe(&spec).await;
    it.remove(&spec).await;
    it.leaves_nothing().await;
    serde_json::from_value(found).unwrap()
}

pub(crate) fn ways_out(found: &Found) -> Vec<&str> {
    let out = found.iter().filter(|(_, outcome)| !outcome.starts_with("denied: "));
    out.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_known_way_leads_out_of_a_container() {
    let home = Home::default();
    let found = found(&oci_in(&home), User { uid: 65532, gid: 65532 }).await;
    assert!(found.len() > 50, "{found:#?}");
    assert_eq!(ways_out(&found), [""; 0], "{found:#?}");
}

/// Whom a config makes root in a container is root without a right, but is who owns the host's files.
#[tokio::test(flavor = "multi_thread")]
async fn nor_for_who_is_root_in_it() {
    let home = Home::default();
    let found = found(&oci_in(&home), User { uid: 0, gid: 0 }).await;
    // It is root already, which gives it nothing.
    assert_eq!(ways_out(&found), ["become_root"], "{found:#?}");
}

/// The control: with namespaces alone, or in another root alone, the same program finds every way. So each
/// try is one that can succeed.
#[test]
fn without_walls_every_one_of_them_leads_out() {
    let dir = tempfile::tempdir().unwrap();
    let in_namespaces = behind_namespaces_alone(dir.path());
    let in_a_root = in_another_root_alone(&dir.path().join("root"));
    let open: BTreeSet<&str> =
        ways_out(&in_namespaces).into_iter().chain(ways_out(&in_a_root)).collect();
    let missing = |name: &str| {
        let outcome = in_namespaces[name].as_str();
        NOT_IN_EVERY_KERNEL.contains(&name)
            && ["denied: ENOENT", "denied: ENOSYS", "denied: none can be written"]
                .contains(&outcome)
    };
    let closed: Vec<&String> = in_namespaces
        .keys()
        .filter(|name| !open.contains(name.as_str()) && !missing(name))
        .collect();
    assert!(closed.is_empty(), "{closed:?} are closed: {in_namespaces:#?} {in_a_root:#?}");
}

fn behind_namespaces_alone(out: &Path) -> Found {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "--net"]).arg(drill());
    said(command.arg("escape").env("DRILL_OUT", out))
}

/// In a root and among processes of its own, of which the first is in the host's root: with a directory of
/// that left open, which is also where it stands, as in CVE-2024-21626; and with a socket there to be seen.
fn in_another_root_alone(root: &Path) -> Found {
    for dir in ["proc", "dev", "tmp", "out"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::copy(drill(), root.join("drill")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let script = r#"mount -t proc proc "$1/proc" || exit
        sleep 60 & exec 5</
        unshare --root="$1" --wd=/proc/self/fd/5 /drill escape; exit"#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"]);
    said(command.arg(root).env("DRILL_OUT", "/out"))
}

fn said(command: &mut Command) -> Found {
    // A file of the host's as standard input, as no container has it.
    let done = command.stdin(fs::File::open(drill()).unwrap()).output().unwrap();
    let words = String::from_utf8_lossy(&done.stderr);
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {words}"))
}
