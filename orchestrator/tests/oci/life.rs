//! Life beyond the process that started a container: it runs on, is found again, and nothing of it
//! is left.

use std::{fs, path::PathBuf};

use fileyard_orchestrator::engine::{ContainerState, Listed, LogStream, Signal, conformance::text};
use futures::StreamExt;
use serde_json::Value;

use crate::{Home, groups, oci_in};

/// No group in any hierarchy.
const NONE: [PathBuf; 0] = [];

/// What `running.json` says, once it is there.
pub(crate) fn pid(home: &Home, container: &str, whose: &str) -> rustix::process::Pid {
    let file = home.path().join("tmp/containers").join(container).join("running.json");
    let running: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let pid = running[whose]["pid"].as_i64().unwrap();
    rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_on_the_same_directory_goes_on_with_it() {
    let home = Home::default();
    let it = oci_in(&home);
    let spec = it.spec(&["say", "one", "wait", "say", "two", "exit", "3"]);
    it.engine.start(&spec).await.unwrap();
    it.says(&spec.id, "one").await;

    // As after a restart: nothing but the directory is known.
    let mut next = oci_in(&home);
    next.install = it.install;
    let mut hints = next.engine.changes(it.install);
    assert_eq!(next.engine.list(it.install).await, Ok(vec![Listed { id: spec.id, running: true }]));
    assert_eq!(hints.next().await, Some(spec.id), "it is watched from now on");
    assert_eq!(next.engine.start(&spec).await, Ok(ContainerState::Running), "once in its life");
    next.engine.signal(&spec.id, Signal::Term).await.unwrap();
    assert_eq!(hints.next().await, Some(spec.id), "of its end");
    let facts = next.exit(&spec.id).await;
    assert!(!facts.out_of_memory, "{facts:?}");
    assert!(text(&next.log(&spec.id).await, LogStream::Stdout).starts_with("one\n"));
    let said = home.path().join("tmp/containers").join(spec.id.to_string()).join("helper.log");
    let said = fs::read_to_string(said).unwrap();
    assert!(!said.contains("seccomp"), "a launch that went well is no reason for alarm: {said}");
    next.remove(&spec).await;
    next.leaves_nothing().await;
    assert_eq!(groups(&spec.id.to_string()), NONE);
}

/// Root in a container would be the owner of that file: see `oci/src/sealed.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_write_to_our_own_program_by_way_of_a_container_s_first_process() {
    let home = Home::default();
    let it = oci_in(&home);
    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.unwrap();
    it.says(&spec.id, "ready").await;
    // Into the other nobody but root may look; it is the same program.
    let it_is_root = rustix::process::geteuid().is_root();
    for whose in ["helper", "init"].iter().filter(|whose| it_is_root || **whose == "helper") {
        let pid = pid(&home, &spec.id.to_string(), whose).as_raw_nonzero();
        // While it is run the kernel lets nobody write to it anyway, and this for as long as it is open.
        let mount = rustix::fs::statvfs(format!("/proc/{pid}/exe")).unwrap();
        assert!(mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY), "{whose}");
    }
    it.remove(&spec).await;
    it.leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_is_killed_takes_its_container_with_it() {
    let home = Home::default();
    let it = oci_in(&home);
    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.unwrap();
    it.says(&spec.id, "ready").await;
    let name = spec.id.to_string();
    let (helper, init) = (pid(&home, &name, "helper"), pid(&home, &name, "init"));
    let init = rustix::process::pidfd_open(init, rustix::process::PidfdFlags::empty()).unwrap();
    let mut hints = it.engine.changes(it.install);
    rustix::process::kill_process(helper, rustix::process::Signal::KILL).unwrap();
    assert_eq!(hints.next().await, Some(spec.id));

    // A handle on a process becomes readable when that has ended.
    let mut ended = [rustix::event::PollFd::new(&init, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut ended, Some(&patience)), Ok(1), "its first process lives");
    assert_eq!(it.engine.inspect(&spec.id).await, Ok(None), "how it ended nobody knows");
    assert!(it.engine.start(&spec).await.is_err(), "it is not run a second time");
    assert_ne!(groups(&name), NONE, "nobody has removed its groups yet");
    it.remove(&spec).await;
    assert_eq!(groups(&name), NONE);
    it.leaves_nothing().await;
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(home.path().to_str().unwrap()), "{mounts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_half_made_or_from_another_boot_is_removed() {
    let home = Home::default();
    let it = oci_in(&home);
    let (half, old) = (it.spec(&["exit", "0"]), it.endless(&["say", "ready"]));
    let containers = home.path().join("tmp/containers");
    fs::create_dir_all(containers.join(half.id.to_string())).unwrap();
    it.engine.start(&old).await.unwrap();
    it.says(&old.id, "ready").await;
    // A process of that number may be anybody's by now.
    let file = containers.join(old.id.to_string()).join("running.json");
    let mut running: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let init = pid(&home, &old.id.to_string(), "init");
    running["init"]["boot"] = "another".into();
    fs::write(&file, running.to_string()).unwrap();
    it.engine.signal(&old.id, Signal::Kill).await.unwrap();
    assert!(rustix::process::test_kill_process(init).is_ok(), "nothing was sent to a stranger");

    assert_eq!(it.engine.inspect(&half.id).await, Ok(None));
    assert_eq!(it.engine.list(it.install).await.unwrap().len(), 2);
    running["init"]["boot"] = running["helper"]["boot"].clone();
    fs::write(&file, running.to_string()).unwrap();
    it.remove(&half).await;
    it.remove(&old).await;
    it.leaves_nothing().await;
}
