//! Where our files are for the daemon, when fileyard itself runs in one of its containers.
//!
//! A bind names a path on the daemon's machine. In a container our own paths are others, so each is
//! looked up among the mounts of that container: a volume's or a directory's place is the daemon's
//! to say. Nothing is guessed: a path on no mount has no place there.

use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, MountPoint};

use super::client::{Failure, QUICK, call};

/// A container's id, as Docker writes it out.
const ID: usize = 64;

/// The container that fileyard is in, and what is mounted there; or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ourselves(Option<Container>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Container {
    id: String,
    mounts: Vec<Mounted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mounted {
    /// In the container.
    here: PathBuf,
    /// On the daemon's machine.
    there: PathBuf,
}

impl Ourselves {
    /// Asks the daemon about the container we are in. One that it does not know is another
    /// daemon's, and then paths are as they are: the check finds whether they are the same there.
    pub(super) async fn find(docker: &bollard::Docker) -> Result<Self, Failure> {
        let table = tokio::fs::read_to_string("/proc/self/mountinfo").await.unwrap_or_default();
        let Some(id) = own_id(&table) else { return Ok(Self(None)) };
        match call(QUICK, docker.inspect_container(id, None)).await {
            Ok(found) => {
                let mounts = found.mounts.iter().flatten().filter_map(mounted).collect();
                Ok(Self(Some(Container { id: id.to_owned(), mounts })))
            }
            Err(Failure::Answer(404, _)) => Ok(Self(None)),
            Err(failure) => Err(failure),
        }
    }

    /// Makes paths of the daemon's out of ours, in every mount that is asked for.
    ///
    /// # Errors
    /// Words for whoever runs this: that a path is in our container alone.
    pub(super) fn translate(&self, body: &mut ContainerCreateBody) -> Result<(), String> {
        if self.0.is_none() {
            return Ok(());
        }
        for mount in body.host_config.iter_mut().flat_map(|host| host.mounts.iter_mut().flatten()) {
            if let Some(source) = &mut mount.source {
                *source = self.there(Path::new(source))?.to_string_lossy().into_owned();
            }
            // A volume is below the daemon's own root, and of there it binds nothing as private.
            // Asked for nothing, it takes what it allows.
            if let Some(options) = &mut mount.bind_options {
                options.propagation = None;
            }
        }
        Ok(())
    }

    fn there(&self, path: &Path) -> Result<PathBuf, String> {
        let Some(container) = &self.0 else { return Ok(path.to_owned()) };
        // Through links first: one may lead from a mount out of it, or the other way.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        container.there(&path).ok_or_else(|| {
            format!(
                "fileyard runs in the container {}, and {} is on no volume or directory that is \
                 mounted there, so no other container can be given it: mount one at the data \
                 directory",
                container.short(),
                path.display()
            )
        })
    }

    /// In words, for the check.
    pub(super) fn fact(&self) -> Option<String> {
        self.0.as_ref().map(|it| format!("fileyard is in its container {}", it.short()))
    }
}

impl Container {
    fn there(&self, path: &Path) -> Option<PathBuf> {
        // The innermost mount is the one that is seen.
        let below = self.mounts.iter().filter(|it| path.starts_with(&it.here));
        let mounted = below.max_by_key(|it| it.here.components().count())?;
        let rest = path.strip_prefix(&mounted.here).ok()?;
        // Joining nothing would put a slash at the end.
        Some(if rest == Path::new("") { mounted.there.clone() } else { mounted.there.join(rest) })
    }

    fn short(&self) -> &str {
        &self.id[..12]
    }
}

/// What is in memory has no source, and so no place on the daemon's machine.
fn mounted(point: &MountPoint) -> Option<Mounted> {
    let place = |field: &Option<String>| {
        field.as_deref().filter(|path| path.starts_with('/')).map(PathBuf::from)
    };
    Some(Mounted { here: place(&point.destination)?, there: place(&point.source)? })
}

/// The container we are in, by the files that Docker mounts into each from a directory named after
/// it. On the host these are mounted nowhere.
fn own_id(table: &str) -> Option<&str> {
    table.lines().find_map(|line| {
        // 36 35 98:0 /root /mount/point options...
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        matches!(point, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf").then_some(())?;
        let is_id =
            |part: &&str| part.len() == ID && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        root.split('/').find(is_id)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const OURS: &str = "4f5e6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091";

    fn ourselves(mounts: &[(&str, &str)]) -> Ourselves {
        let mounts = mounts.iter().map(|(here, there)| MountPoint {
            destination: Some((*here).to_owned()),
            source: Some((*there).to_owned()),
            ..MountPoint::default()
        });
        let mounts = mounts.filter_map(|it| mounted(&it)).collect();
        Ourselves(Some(Container { id: OURS.into(), mounts }))
    }

    #[test]
    fn outside_of_a_container_a_path_is_what_it_is() {
        let path = Path::new("relative/or/not");
        assert_eq!(Ourselves::default().there(path).unwrap(), path);
    }

    #[test]
    fn a_path_is_found_on_the_innermost_mount() {
        let ourselves = ourselves(&[
            ("/data", "/var/lib/docker/volumes/yard/_data"),
            ("/data/tmp", "/srv/fast"),
            ("/database", "/srv/wrong"),
            ("/run", ""),
        ]);
        for (here, there) in [
            ("/data", "/var/lib/docker/volumes/yard/_data"),
            ("/data/blobs/in/x", "/var/lib/docker/volumes/yard/_data/blobs/in/x"),
            ("/data/tmp/attempts/y/out", "/srv/fast/attempts/y/out"),
        ] {
            assert_eq!(ourselves.there(Path::new(here)).unwrap(), Path::new(there));
        }
        for alone in ["/dat/x", "/var/lib/fileyard", "/run/x"] {
            let words = ourselves.there(Path::new(alone)).unwrap_err();
            assert!(words.contains(alone) && words.contains("4f5e6a7b8c9d,"), "{words}");
        }
    }

    #[test]
    fn what_is_asked_for_names_the_daemons_paths_and_leaves_their_propagation_to_it() {
        use bollard::models::{
            HostConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum as Propagation,
        };
        let private = MountBindOptions {
            propagation: Some(Propagation::RPRIVATE),
            ..MountBindOptions::default()
        };
        let mount = Mount {
            source: Some("/data/x".into()),
            bind_options: Some(private),
            ..Mount::default()
        };
        let asked = ContainerCreateBody {
            host_config: Some(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let mut outside = asked.clone();
        Ourselves::default().translate(&mut outside).unwrap();
        assert_eq!(outside, asked);

        let mut inside = asked;
        let volume = "/var/lib/docker/volumes/yard/_data";
        ourselves(&[("/data", volume)]).translate(&mut inside).unwrap();
        let mount = inside.host_config.unwrap().mounts.unwrap().remove(0);
        assert_eq!(mount.source.unwrap(), format!("{volume}/x"));
        assert_eq!(mount.bind_options.unwrap().propagation, None);
    }

    #[test]
    fn a_link_is_followed_before_it_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let ourselves = ourselves(&[(real.to_str().unwrap(), "/srv/real")]);
        assert_eq!(ourselves.there(&link).unwrap(), Path::new("/srv/real"));
    }

    #[test]
    fn a_container_is_known_by_what_is_mounted_into_it_and_a_host_has_none() {
        let inside = format!(
            "700 650 0:99 / / rw - overlay overlay rw\n\
             712 700 254:0 /lib/docker/volumes/yard/_data /data rw - ext4 /dev/vda rw\n\
             713 700 254:0 /lib/docker/containers/{OURS}/resolv.conf /etc/resolv.conf rw - ext4 x\n"
        );
        assert_eq!(own_id(&inside), Some(OURS));
        // As it is seen on the host of running containers.
        let outside = format!(
            "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
             99 22 0:50 / /var/lib/docker/containers/{OURS}/mounts/shm rw - tmpfs shm rw\n\
             98 22 254:0 /etc/hosts.real /etc/hosts rw - ext4 /dev/vda rw\n"
        );
        assert_eq!(own_id(&outside), None);
    }
}
