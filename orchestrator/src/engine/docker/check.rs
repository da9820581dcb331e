//! What a daemon can and cannot do for us, found once, before the first job.

use std::path::Path;

use bollard::{
    models::{ContainerCreateBody, HostConfig, Mount, MountType, SystemInfo},
    query_parameters::CreateContainerOptions,
};
use uuid::Uuid;

use super::{
    DockerEngine,
    client::{Connected, Failure, QUICK, call},
};
use crate::engine::{EngineError, EngineReport};

impl DockerEngine {
    /// Who the daemon is, which limits it cannot set, and what keeps jobs from running there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn check(&self) -> Result<EngineReport, EngineError> {
        let daemon = self.client.connected().await?;
        let info = &daemon.info;
        let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "unknown".into());
        let mut report = EngineReport {
            engine: "docker",
            version: text(&info.server_version),
            facts: vec![
                format!("API {}", daemon.docker.client_version()),
                format!("{}/{}", text(&info.os_type), text(&info.architecture)),
                format!("storage {} in {}", text(&info.driver), text(&info.docker_root_dir)),
            ],
            ..EngineReport::default()
        };
        report.facts.extend(daemon.ourselves.fact());
        limits(info, &mut report);
        security(info, &mut report);
        if let Some(refusal) = self.sees_our_files(&daemon).await? {
            report.refusals.push(refusal);
        }
        if self.networks_wanted {
            self.check_networks(&mut report).await?;
        }
        Ok(report)
    }

    /// Whether the daemon sees this file of ours, also where it is on something that we have mounted.
    ///
    /// # Errors
    /// Why not, for a person.
    pub async fn sees(&self, file: &Path) -> Result<(), String> {
        let daemon = self.client.connected().await.map_err(EngineError::from);
        let asked = match daemon {
            Ok(daemon) => self.unseen(&daemon, file).await,
            Err(error) => Err(error),
        };
        asked.map_err(|error| error.to_string())?.map_or(Ok(()), Err)
    }

    async fn sees_our_files(&self, daemon: &Connected) -> Result<Option<String>, EngineError> {
        let root = self.dirs.root();
        let probe = root.join(format!(".probe-{}", Uuid::new_v4()));
        let written = tokio::fs::create_dir_all(root).await;
        if let Err(error) = written.and(tokio::fs::write(&probe, "").await) {
            return Ok(Some(format!("cannot write below {}: {error}", root.display())));
        }
        let unseen = self.unseen(daemon, &probe).await;
        let _ = tokio::fs::remove_file(&probe).await;
        unseen
    }

    /// Asks for a container of an image that cannot be there, with one of our files in it. A
    /// daemon looks for the file first, and says which of the two is missing: so nothing is made. Returns why it can not see the file.
    async fn unseen(&self, daemon: &Connected, file: &Path) -> Result<Option<String>, EngineError> {
        let mount = Mount {
            typ: Some(MountType::BIND),
            source: Some(file.to_string_lossy().into_owned()),
            target: Some("/probe".into()),
            ..Mount::default()
        };
        let mut body = ContainerCreateBody {
            image: Some(format!("fileyard/{}", Uuid::new_v4().simple())),
            cmd: Some(vec!["probe".into()]),
            host_config: Some(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        if let Err(alone) = daemon.ourselves.translate(&mut body) {
            return Ok(Some(alone));
        }
        // Without a platform newer daemons look for the image first.
        let options = CreateContainerOptions {
            platform: "linux".into(),
            ..CreateContainerOptions::default()
        };
        match call(QUICK, daemon.docker.create_container(Some(options), body)).await {
            Err(Failure::Answer(404, _)) => Ok(None),
            Err(Failure::Answer(400, words)) if words.contains("bind source path") => {
                Ok(Some(format!(
                    "the daemon does not see fileyard's files in {}: it is on another machine, or \
                     one of the two is in a container without that directory at the same path, or \
                     has other mounts",
                    file.parent().unwrap_or(file).display()
                )))
            }
            Err(failure) => Err(failure.into()),
            Ok(_) => Err(EngineError::Unavailable(
                "Docker made a container of an image that cannot be there".into(),
            )),
        }
    }
}

/// A limit that the kernel does not offer is dropped with a warning, or refused.
fn limits(info: &SystemInfo, report: &mut EngineReport) {
    let missing = |there: Option<bool>| there == Some(false);
    if missing(info.memory_limit) {
        report.refusals.push("it cannot limit memory: the kernel's memory cgroup is off".into());
    }
    if missing(info.pids_limit) {
        report.refusals.push("it cannot limit processes: the kernel's pids cgroup is off".into());
    }
    if missing(info.swap_limit) {
        let swap = "it cannot limit swap: a container may swap beyond its memory \
                    (boot with swapaccount=1, or without swap)";
        report.warnings.push(swap.into());
    }
    if missing(info.cpu_cfs_quota) {
        report.warnings.push("it cannot limit processor time: `cpus` has no effect".into());
    }
}

fn security(info: &SystemInfo, report: &mut EngineReport) {
    let options = info.security_options.as_deref().unwrap_or_default();
    let has = |name: &str| {
        let key = format!("name={name}");
        options.iter().any(|option| option.split(',').any(|part| part == key))
    };
    if !has("seccomp") {
        report.refusals.push("it cannot filter system calls: it was built without seccomp".into());
    }
    if has("rootless") {
        report.refusals.push(
            "it is rootless: files that a container's user leaves in /out would not be ours. \
             Use a daemon that runs as root"
                .into(),
        );
    } else if has("userns") {
        report.refusals.push(
            "it remaps users (userns-remap): a container's user could not write to /out. \
             Use a daemon without it"
                .into(),
        );
    }
    if info.os_type.as_deref().is_some_and(|os| os != "linux") {
        report.refusals.push("its containers are not Linux containers".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_job_cannot_do_without_refuses() {
        let mut report = EngineReport::default();
        let able = SystemInfo {
            memory_limit: Some(true),
            pids_limit: Some(true),
            swap_limit: Some(false),
            cpu_cfs_quota: Some(false),
            security_options: Some(vec!["name=seccomp,profile=default".into()]),
            ..SystemInfo::default()
        };
        limits(&able, &mut report);
        security(&able, &mut report);
        assert_eq!((report.warnings.len(), report.refusals.len()), (2, 0), "{report:?}");

        let unable = SystemInfo {
            memory_limit: Some(false),
            pids_limit: Some(false),
            security_options: Some(vec!["name=rootless".into(), "name=userns".into()]),
            ..SystemInfo::default()
        };
        let mut report = EngineReport::default();
        limits(&unable, &mut report);
        security(&unable, &mut report);
        let said = report.refusals.join("\n");
        assert_eq!(report.refusals.len(), 4, "{said}");
        assert!(said.contains("rootless") && said.contains("seccomp"), "{said}");
    }
}
