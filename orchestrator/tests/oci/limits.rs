//! What a container may use, read where the kernel keeps it.

use std::{fs, path::Path};

use crate::{Home, groups, oci_in};

/// Of the harness's own spec, by v2's files. Of swap there is none beside the memory.
const UNIFIED: [(&str, &str); 4] = [
    ("memory.max", "134217728"),
    ("memory.swap.max", "0"),
    ("pids.max", "64"),
    ("cpu.max", "100000 100000"),
];
/// By v1's, where swap is counted with the memory.
const SEPARATE: [(&str, &str); 4] = [
    ("memory.limit_in_bytes", "134217728"),
    ("memory.memsw.limit_in_bytes", "134217728"),
    ("pids.max", "64"),
    ("cpu.cfs_quota_us", "100000"),
];

#[tokio::test(flavor = "multi_thread")]
async fn its_limits_stand_in_its_control_groups() {
    let home = Home::default();
    let it = oci_in(&home);
    let spec = it.endless(&["say", "ready"]);
    it.engine.start(&spec).await.unwrap();
    it.says(&spec.id, "ready").await;
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let groups = groups(&spec.id.to_string());
    for (file, limit) in if unified { UNIFIED } else { SEPARATE } {
        let found = groups.iter().find_map(|group| fs::read_to_string(group.join(file)).ok());
        assert_eq!(found.as_deref().map(str::trim), Some(limit), "{file} of {groups:?}");
    }
    it.remove(&spec).await;
    it.leaves_nothing().await;
}
