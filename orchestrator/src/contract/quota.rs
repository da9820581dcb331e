//! An attempt's `/out` as a file system of its own, so that what a container writes there has an end.
//!
//! A look at `/out` ([`super::measure`]) comes once a second, and whoever is to stop has time for it: this
//! is what holds meanwhile, against bytes and against names. It is larger than what outputs may be
//! together, so that who writes too much is found out by those looks, and told so.
//!
//! A sparse file is the disk, ext4 is on it. What makes and mounts it are e2fsprogs and util-linux,
//! by whose rules any root's machine can mount such files. Like the directory that is below, the mount
//! outlives this process; a container sees it by its bind.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    fs::{AtFlags, fstat, statat, statvfs, syncfs},
    io::Errno,
    mount::UnmountFlags,
    process::geteuid,
};

use super::{blocking, collect::SPARE_DIRECTORIES};
use crate::processor::Processor;

/// Beside `out` in the attempt's directory.
const DISK: &str = "out.ext4";
const BLOCK: u64 = 4096;
const INODE: u64 = 256;
const LARGEST: u64 = 15 << 40;
/// No journal: after a power loss nobody takes outputs from here. The rest is what every kernel and every
/// mke2fs of the last ten years knows.
const FEATURES: &str = "none,filetype,extent,sparse_super,large_file,huge_file,dir_nlink,\
                        extra_isize,flex_bg,64bit,dir_index,uninit_bg";
/// Without barriers the file is not synced to the host's own disk; what is deleted is room there again.
const OPTIONS: &str = "loop,nosuid,nodev,noatime,discard,barrier=0,noinit_itable";
/// Less than this is no room. Whoever keeps to what outputs may be does not come so near to the end.
const NOTHING: u64 = 1 << 20;

/// How much there can be in an `/out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    bytes: u64,
    inodes: u64,
}

impl Quota {
    /// Enough for all that a processor's containers may leave, and for being found to have left more.
    #[must_use]
    pub fn of(processor: &Processor) -> Self {
        let files = u64::try_from(processor.max_outputs).unwrap_or(u64::MAX);
        Self::for_outputs(files, processor.max_output_size)
    }

    fn for_outputs(files: u64, bytes: u64) -> Self {
        let inodes = files.saturating_add(SPARE_DIRECTORIES as u64).saturating_mul(2);
        let inodes = inodes.min(u64::from(u32::MAX));
        let bytes = bytes
            .saturating_add(bytes / 8 + (16 << 20))
            // The smallest file takes a block.
            .saturating_add(inodes * (BLOCK + INODE));
        Self { bytes, inodes }
    }

    /// As much of it as there can be in so many bytes. Each inode takes its place in a table, whether
    /// there is a file for it or not: more than files have room for would leave them none.
    fn within(self, most: u64) -> Self {
        let bytes = self.bytes.min(most);
        Self { bytes, inodes: self.inodes.min(bytes / (BLOCK + INODE)) }
    }
}

/// Mounts a file system over `out`, as far as that was not done before.
///
/// # Errors
/// In the words of what could not do it.
pub(super) fn mount(out: &Path, quota: Quota) -> io::Result<()> {
    if !disk(out).exists() {
        format(out, quota)?;
    }
    mount_again(out)?;
    match fs::remove_dir(out.join("lost+found")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::set_permissions(out, Permissions::from_mode(0o700))
}

/// It has its name once it is whole.
fn format(out: &Path, quota: Quota) -> io::Result<()> {
    let part = out.with_extension("part");
    // Nobody can write more than the whole disk, nor ext4 have a larger file.
    let host = statvfs(out)?;
    let most = host.f_blocks.saturating_mul(host.f_frsize).min(LARGEST);
    let quota = quota.within(most);
    File::create(&part)?.set_len(quota.bytes)?;
    let inodes = quota.inodes.to_string();
    let mut mkfs = tool("mkfs.ext4");
    mkfs.args(["-q", "-F", "-m", "0", "-b", "4096", "-I", "256", "-N", &inodes, "-O", FEATURES]);
    run(mkfs.args(["-E", "nodiscard,lazy_itable_init=1"]).arg(&part))?;
    fs::rename(part, disk(out))
}

/// Mounts what was mounted there, where it is not seen: by a server that systemd gives mounts of its own, at each
/// start new ones. Others may have it mounted still, by the same device.
fn mount_again(out: &Path) -> io::Result<()> {
    let disk = disk(out);
    if is_mounted(out)? || !disk.exists() {
        return Ok(());
    }
    run(tool("mount").args(["-n", "-t", "ext4", "-o", OPTIONS]).arg(disk).arg(out))
}

fn disk(out: &Path) -> PathBuf {
    out.with_file_name(DISK)
}

/// Whatever was mounted there before, nothing is from now on.
pub(super) fn take_away(out: &Path) -> io::Result<()> {
    unmount(out)?;
    match fs::remove_file(disk(out)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Here it is gone at once. Copies in other mount namespaces, as helpers of other containers have, the kernel
/// takes away with the directory that they are on, and files that are still open keep it until then.
pub(super) fn unmount(out: &Path) -> io::Result<()> {
    while is_mounted(out)? {
        rustix::mount::unmount(out, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    }
    Ok(())
}

/// Whether a container had no room left in its `/out`, in words.
#[must_use]
pub fn used_up(out: &Path) -> Option<&'static str> {
    let disk = statvfs(out).ok().filter(|_| is_mounted(out).unwrap_or_default())?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < NOTHING {
        return Some(
            "it filled /out, which is a little larger than its outputs may be (max_output_size)",
        );
    }
    (disk.f_ffree == 0).then_some("it has made more files in /out than there can be (max_outputs)")
}

/// What the disk of an `/out` takes of the host's: files that have no name any more are in it.
pub(super) fn taken(out: &Path) -> u64 {
    fs::metadata(disk(out)).map_or(0, |disk| disk.blocks().saturating_mul(512))
}

/// Whether this `out` is what was mounted there, if anything was.
pub(super) fn is_covered(attempt: &OwnedFd, out: &OwnedFd) -> io::Result<bool> {
    let has_disk = match statat(attempt, DISK, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => false,
        found => found.map(|_| true)?,
    };
    Ok(!has_disk || fstat(attempt)?.st_dev != fstat(out)?.st_dev)
}

/// Sees to it that what is seen in `/out` is what a container writes there.
///
/// # Errors
/// When it can not be mounted again.
pub async fn seen(out: PathBuf) -> io::Result<()> {
    blocking(move || mount_again(&out)).await
}

/// Sees to it that what was written to `/out` is there. The disk below it may have been full, which a program that
/// does not sync is not told.
///
/// # Errors
/// When some of it was lost. That is said once.
pub async fn written(out: PathBuf) -> io::Result<()> {
    let synced = move || match is_mounted(&out)? {
        true => Ok(syncfs(File::open(&out)?)?),
        false => Ok(()),
    };
    blocking(synced).await
}

/// One of these file systems, made to see whether that can be had here.
#[derive(Debug)]
pub struct Trial(PathBuf);

impl Trial {
    /// Makes it below `scratch`, on the disk that is meant.
    ///
    /// # Errors
    /// Why not, for a person.
    pub async fn begin(scratch: &Path) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("it takes root, to mount a file system".into());
        }
        let trial = Self(scratch.join("fileyard-quota-trial"));
        let out = trial.0.join("out");
        trial.leave_nothing().await?;
        let mounted = blocking(move || {
            tells_what_is_lost()?;
            fs::create_dir_all(&out)?;
            mount(&out, Quota::for_outputs(1, 0))?;
            File::create(out.join("file"))?;
            if is_mounted(&out)? { Ok(()) } else { Err(io::Error::other("no mount is seen")) }
        });
        match mounted.await.map_err(|error| error.to_string()) {
            Ok(()) => Ok(trial),
            Err(why) => trial.end().await.and(Err(why)),
        }
    }

    /// A file on it.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.0.join("out/file")
    }

    /// Removes it.
    ///
    /// # Errors
    /// What is in the way, for a person.
    pub async fn end(self) -> Result<(), String> {
        self.leave_nothing().await
    }

    /// A process before this one may have ended in the middle.
    async fn leave_nothing(&self) -> Result<(), String> {
        let attempt = self.0.clone();
        let removed = blocking(move || {
            unmount(&attempt.join("out"))?;
            match fs::remove_dir_all(attempt) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        });
        removed.await.map_err(|error| error.to_string())
    }
}

/// Before Linux 5.8 `syncfs` said nothing of what could not be written.
fn tells_what_is_lost() -> io::Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|it| it.parse().unwrap_or(0));
    match (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) {
        old if old < (5, 8) => Err(io::Error::other("it takes Linux 5.8")),
        _ => Ok(()),
    }
}

fn is_mounted(out: &Path) -> io::Result<bool> {
    let device = |path: &Path| fs::symlink_metadata(path).map(|it| it.dev());
    match (device(out), out.parent().map(device)) {
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        (own, Some(above)) => Ok(own? != above?),
        (own, None) => own.map(|_| false),
    }
}

/// Where root has its tools, before whatever else this process was started with.
fn tool(name: &str) -> Command {
    let mut path = "/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    if let Some(more) = std::env::var("PATH").ok().filter(|more| !more.is_empty()) {
        path = format!("{path}:{more}");
    }
    let mut command = Command::new(name);
    command.env("PATH", path).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> io::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), format!("there is no {name} here")),
        _ => error,
    })?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.trim().lines().next().unwrap_or("it did not say why");
    Err(io::Error::other(format!("{name}: {said}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn there_is_room_for_all_outputs_and_for_too_many() {
        let quota = Quota::for_outputs(1000, 64 << 20);
        assert!(quota.bytes > (64 << 20) + 1000 * BLOCK && quota.bytes < 200 << 20, "{quota:?}");
        assert!(quota.inodes > 2000 + SPARE_DIRECTORIES as u64, "{quota:?}");
        // Of inodes there can be 32,768 in a group, which is 128 MiB.
        let many = Quota::for_outputs(1_000_000, 1 << 20);
        assert!(many.inodes <= (many.bytes >> 27 << 15), "{many:?}");
        let _ = Quota::for_outputs(u64::MAX, u64::MAX);
    }

    #[test]
    fn on_a_small_disk_inodes_leave_room_for_files() {
        let many = Quota::for_outputs(5_000_000, 1 << 20);
        let small = many.within(2 << 30);
        assert_eq!(small.bytes, 2 << 30);
        assert!(small.inodes * INODE < small.bytes / 10, "{small:?}");
        assert_eq!(many.within(LARGEST), many);
        let largest = Quota::for_outputs(u64::MAX, u64::MAX).within(LARGEST);
        assert!(largest.inodes <= largest.bytes >> 27 << 15, "{largest:?}");
    }

    #[test]
    fn a_directory_as_any_other_is_no_mount_and_has_no_end() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_mounted(dir.path()).unwrap());
        assert!(!is_mounted(&dir.path().join("nothing")).unwrap());
        assert_eq!(used_up(dir.path()), None);
        unmount(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn what_can_not_be_made_is_said_and_leaves_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = Trial::begin(file.path()).await.unwrap_err();
        assert!(said.contains("Not a directory"), "{said}");
    }
}
