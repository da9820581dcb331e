//! Images that are made to lead the engine out of a container while it makes one, tried on ours: nothing
//! of the host's is read, written or made, and what runs is as closed as ever.

mod image;

use std::{collections::BTreeMap, fs, path::Path};

use fileyard_orchestrator::engine::{
    ContainerSpec, ContainerState, EngineError, User, conformance::Harness,
};
use serde_json::json;

pub(crate) use self::image::{Hostile, drill};
use crate::{
    Home,
    escapes::{Found, ways_out},
    life::pid,
};

/// What an engine mounts something on, as links at the top of an image.
const MOUNTED_ON: [&str; 8] = ["in", "out", "tmp", "etc", "proc", "dev", "sys", "data"];

/// A spec that runs the image's drill.
fn spec(it: &Harness, words: &[&str]) -> ContainerSpec {
    let mut spec = it.spec(words);
    spec.entrypoint = vec!["/drill".into()];
    spec
}

/// It may run or be refused; what it comes to, in words.
async fn runs_or_not(it: &Harness, spec: &ContainerSpec) -> String {
    match it.engine.start(spec).await {
        Ok(ContainerState::Running | ContainerState::Exited(_)) => {
            format!("{:?}", it.exit(&spec.id).await)
        }
        other => format!("{other:?}"),
    }
}

/// Everything below it, and what is in it.
fn everything(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.path().display().to_string());
        if path.is_dir() {
            all.extend(everything(&path));
            all.insert(name, Vec::new());
        } else {
            all.insert(name, fs::read(&path).unwrap());
        }
    }
    all
}

/// runc's CVE-2021-30465 and those like it: what the engine mounts or makes on a link goes to where the
/// link leads within the image, or nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn no_link_of_an_image_takes_a_mount_out_of_it() {
    let host = tempfile::tempdir().unwrap();
    for name in MOUNTED_ON {
        fs::create_dir(host.path().join(name)).unwrap();
    }
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs::write(host.path().join("etc").join(name), "the host's").unwrap();
    }
    let before = everything(host.path());
    let mounts = || fs::read_to_string("/proc/self/mounts").unwrap().lines().count();
    let mounted = mounts();
    let up = Path::new("../../../../../../../..");
    for name in MOUNTED_ON {
        let absolute = host.path().join(name);
        let relative = up.join(absolute.strip_prefix("/").unwrap());
        for target in [absolute, relative] {
            let home = Home::default();
            let config = json!({"Volumes": {"/data": {}}});
            let it = Hostile::default().link(name, &target).config(config).on(&home);
            let spec = spec(&it, &["write", "a.txt", "x", "say", "written"]);
            let told = runs_or_not(&it, &spec).await;
            assert_eq!(everything(host.path()), before, "/{name} is {}; {told}", target.display());
            it.remove(&spec).await;
            it.leaves_nothing().await;
        }
    }
    assert_eq!(mounts(), mounted);
}

/// The names that it has for itself are links in many images, and in a hostile one they lead to the host's.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_etc_is_neither_followed_nor_in_the_way() {
    let host = tempfile::tempdir().unwrap();
    for name in ["passwd", "group", "hosts", "hostname", "resolv.conf"] {
        fs::write(host.path().join(name), "the host's").unwrap();
    }
    let before = everything(host.path());
    let mut image = Hostile::default();
    for name in ["passwd", "group", "hosts", "hostname", "resolv.conf"] {
        image = image.link(&format!("/etc/{name}"), host.path().join(name));
    }
    let home = Home::default();
    let it = image.config(json!({"User": "root"})).on(&home);
    let spec = spec(&it, &["say", "runs"]);
    assert_eq!(it.run(&spec).await.code, 0);
    assert_eq!(everything(host.path()), before);
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

/// runc's CVE-2024-21626: a working directory that is a file descriptor of the runtime's, by its own name
/// or by a link's.
#[tokio::test(flavor = "multi_thread")]
async fn no_working_directory_of_an_image_is_outside_of_it() {
    for number in 3..20 {
        let leaked = format!("/proc/self/fd/{number}");
        let plain = Hostile::default().config(json!({"WorkingDir": leaked}));
        let linked = Hostile::default().link("/there", &leaked);
        for image in [plain, linked.config(json!({"WorkingDir": "/there"}))] {
            let home = Home::default();
            let it = image.on(&home);
            let spec = spec(&it, &["escape"]);
            if let Ok(ContainerState::Running | ContainerState::Exited(_)) =
                it.engine.start(&spec).await
                && it.exit(&spec.id).await.code == 0
            {
                let found = result(&it, &spec);
                assert_eq!(ways_out(&found), [""; 0], "{number}: {found:#?}");
            }
            it.remove(&spec).await;
            it.leaves_nothing().await;
        }
    }
}

fn result(it: &Harness, spec: &ContainerSpec) -> Found {
    let result = fs::read(it.dirs().out(&spec.id).join("result.json")).unwrap();
    serde_json::from_slice(&result).unwrap()
}

/// runc's CVE-2019-16884 and CVE-2019-19921: what covers the kernel's own files fools whoever looks into them.
/// Its first process closes what it finds open there, and reads there that its rights are gone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_image_covers_the_kernel_s_own_files() {
    let volume = |path: &str| Hostile::default().config(json!({"Volumes": {path: {}}}));
    let kernel =
        ["/proc", "/proc/self/fd", "/proc/1", "/proc/sys", "/sys", "/sys/fs/cgroup", "/dev"];
    let mut images: Vec<_> =
        kernel.iter().map(|path| (format!("volume {path}"), volume(path))).collect();
    for target in ["/proc/self/fd", "/proc/1/fd", "/proc", "/sys/kernel", "/dev", "/"] {
        images.push((format!("/v to {target}"), volume("/v").link("/v", target)));
        images.push((format!("/out to {target}"), Hostile::default().link("/out", target)));
        // Looked for where the image has a link of that name, until the kernel's is there.
        let twice = volume("/v").link("/v", "/proc/self/fd").link("/proc/self", "/srv");
        images.push((format!("/v to /proc/self/fd, to {target}"), twice.link("/srv", target)));
    }
    images.push(("/in to /proc".into(), Hostile::default().link("/in", "/proc/1")));
    images.push((
        "/in/input.txt to /proc".into(),
        Hostile::default().link("/in/input.txt", "/proc/1/status"),
    ));
    let mut wrong = Vec::new();
    for (what, image) in images {
        let home = Home::default();
        let it = image.on(&home);
        let spec = spec(&it, &["wait"]);
        match it.engine.start(&spec).await {
            Ok(ContainerState::Running) => {
                wrong.extend(
                    looks_wrong(&home, &spec).into_iter().map(|it| format!("{what}: {it}")),
                );
            }
            // For good: an image does not change.
            Err(EngineError::Rejected(_)) => {}
            other => wrong.push(format!("{what}: {other:?}")),
        }
        let made = fs::read_dir(it.dirs().out(&spec.id)).unwrap().flatten();
        wrong.extend(made.map(|made| format!("{what}: makes {:?} on the host", made.path())));
        it.remove(&spec).await;
        it.leaves_nothing().await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a container's first process has open beside its streams, and what covers the kernel's files in it.
fn looks_wrong(home: &Home, spec: &ContainerSpec) -> Vec<String> {
    let init = pid(home, &spec.id.to_string(), "init").as_raw_nonzero();
    let (Ok(open), Ok(mounts)) = (
        fs::read_dir(format!("/proc/{init}/fd")),
        fs::read_to_string(format!("/proc/{init}/mountinfo")),
    ) else {
        return vec!["it ended by itself".into()];
    };
    let open = open.flatten().map(|fd| fd.path());
    let kept = open.filter(|fd| !["0", "1", "2"].iter().any(|own| fd.ends_with(own)));
    let kept = kept.map(|fd| format!("{} is {:?}", fd.display(), fs::read_link(&fd)));
    let covered = mounts.lines().filter(|line| covers_the_kernel(line));
    kept.chain(covered.map(|mount| format!("covered by {mount}"))).collect()
}

/// A mount in `/proc` that can be written to, unless it is the mask of a file: `/dev/null`.
fn covers_the_kernel(mount: &str) -> bool {
    let mut mount = mount.split(' ').skip(3);
    let (source, target, options) =
        (mount.next().unwrap(), mount.next().unwrap(), mount.next().unwrap());
    target.starts_with("/proc/") && source != "/null" && options.starts_with("rw")
}

/// runc's CVE-2019-5736 in full: the image's entry point is whatever runs it, and the loader that this needs
/// is the image's own program. That runs, in place of ours, and still can not write to ours.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_point_that_is_our_own_program_does_not_give_it_away() {
    let loader = if cfg!(target_arch = "x86_64") {
        "/lib64/ld-linux-x86-64.so.2"
    } else {
        "/lib/ld-linux-aarch64.so.1"
    };
    for user in [User { uid: 0, gid: 0 }, User { uid: 65532, gid: 65532 }] {
        let home = Home::default();
        let it = Hostile::default().drill_at(loader).link("/self", "/proc/self/exe").on(&home);
        let mut spec = spec(&it, &["escape"]);
        let user = it.dirs().user(user);
        spec.user = user;
        spec.entrypoint = vec!["/self".into()];
        std::os::unix::fs::chown(it.dirs().out(&spec.id), Some(user.uid), Some(user.gid)).unwrap();
        let told = runs_or_not(&it, &spec).await;
        assert!(told.contains("code: 0"), "{told}: the loader is meant to run");
        let found = result(&it, &spec);
        assert!(found["own_program"].starts_with("denied: "), "{found:#?}");
        it.remove(&spec).await;
        it.leaves_nothing().await;
    }
}
