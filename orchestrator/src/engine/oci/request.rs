//! A container's spec, and its image's own words, as the helper is told.
//!
//! Pure: the same spec of the same image is the same request.

use std::{path::PathBuf, sync::LazyLock};

use fileyard_oci::{
    image::Image,
    runtime::{Bind, Filter, Limits, Network, Request, Tmpfs},
};

use crate::engine::{ContainerSpec, EngineError, HostDirs, network::RESOLVERS, seccomp, volumes};

/// Where programs are looked for, where neither image nor processor says. As Docker has it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The one profile, compiled by whoever asks first.
static FILTER: LazyLock<Result<Filter, String>> = LazyLock::new(|| {
    Filter::compile(&seccomp::RULES)
        .map_err(|error| format!("the profile of system calls does not compile: {error}"))
});

/// Which system calls a container may make.
pub(super) fn filter() -> Result<Filter, EngineError> {
    FILTER.clone().map_err(EngineError::Trouble)
}

/// All that the helper is told.
pub(super) fn of(
    spec: &ContainerSpec,
    dirs: &HostDirs,
    image: &Image,
) -> Result<Request, EngineError> {
    let user = dirs.user(spec.user);
    let limits = spec.limits;
    let volumes = volumes::in_memory(spec, &image.config.volumes);
    let internet = spec.reach.internet;
    Ok(Request {
        name: spec.id.to_string(),
        layers: image.layers.clone(),
        args: args(spec, image)?,
        env: env(spec, image),
        working_dir: working_dir(image),
        user: (user.uid, user.gid),
        binds: binds(spec, dirs),
        tmpfs: volumes
            .into_iter()
            .map(|path| Tmpfs { target: path.into(), size: limits.tmp })
            .collect(),
        limits: Limits {
            memory: limits.memory,
            cpus: limits.cpus,
            pids: limits.pids,
            file_size: limits.file_size,
            open_files: limits.open_files,
        },
        filter: filter()?,
        network: if spec.reach.is_nothing() { Network::Loopback } else { Network::Given },
        resolvers: RESOLVERS.iter().filter(|_| internet).map(ToString::to_string).collect(),
    })
}

/// An entrypoint that replaces the image's leaves its command without meaning.
fn args(spec: &ContainerSpec, image: &Image) -> Result<Vec<String>, EngineError> {
    let own = &image.config;
    let (entrypoint, command) = match (spec.entrypoint.is_empty(), spec.command.is_empty()) {
        (true, true) => (&own.entrypoint, &own.command),
        (true, false) => (&own.entrypoint, &spec.command),
        (false, _) => (&spec.entrypoint, &spec.command),
    };
    let args: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    if args.is_empty() {
        return Err(EngineError::Rejected(format!(
            "the image {} says no program to run (no ENTRYPOINT, no CMD): set the processor's \
             `entrypoint` or `command`",
            image.references.first().unwrap_or(&spec.image)
        )));
    }
    Ok(args)
}

/// The image's, and over it the spec's.
fn env(spec: &ContainerSpec, image: &Image) -> Vec<String> {
    let name = |variable: &str| variable.split_once('=').map(|(name, _)| name.to_owned());
    let own = image.config.env.iter();
    let own = own.filter(|variable| name(variable).is_some_and(|it| !spec.env.contains_key(&it)));
    let mut env: Vec<String> = own.cloned().collect();
    env.extend(spec.env.iter().map(|(name, value)| format!("{name}={value}")));
    // What Docker gives to whoever brings none of it.
    for (name, value) in [("PATH", PATH), ("HOME", "/"), ("HOSTNAME", "fileyard")] {
        if !env.iter().any(|variable| variable.split('=').next() == Some(name)) {
            env.push(format!("{name}={value}"));
        }
    }
    env
}

fn working_dir(image: &Image) -> PathBuf {
    match image.config.working_dir.as_str() {
        dir if dir.starts_with('/') => dir.into(),
        dir => PathBuf::from("/").join(dir),
    }
}

fn binds(spec: &ContainerSpec, dirs: &HostDirs) -> Vec<Bind> {
    let Some(input) = &spec.input else { return Vec::new() };
    vec![
        Bind {
            source: dirs.input(&spec.id, input),
            target: PathBuf::from("/in").join(&input.name),
            read_only: true,
        },
        Bind { source: dirs.out(&spec.id), target: "/out".into(), read_only: false },
    ]
}

#[cfg(test)]
mod tests {
    use fileyard_storage::blob::Digest;

    use super::*;
    use crate::contract::tests::{job, processor, spec_of};

    #[test]
    fn the_profile_compiles() {
        assert!(filter().is_ok());
    }

    #[test]
    fn an_image_that_says_no_program_is_named_as_people_name_it() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let mut spec = spec_of(&job("a", b"", Digest([0; 32])), &processor());
        spec.image.clone_from(&digest);
        let mut image = Image::default();
        let words = |image: &Image| args(&spec, image).expect_err("nothing to run").to_string();
        assert!(words(&image).starts_with(&format!("the image {digest} says no program")));
        image.references.push("tool:1".into());
        assert!(words(&image).starts_with("the image tool:1 says no program"), "{}", words(&image));
    }
}
