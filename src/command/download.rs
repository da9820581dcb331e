//! A job's outputs as files of a directory, and nowhere else.
//!
//! Names come from a container. Each becomes a path of plain parts below the directory, through no
//! symbolic link, and a file appears whole under its name or not at all.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::show::plain;
use crate::{
    client::{Client, File, Job},
    failure::Failure,
};

/// All outputs of a job, into `dir`; what each became is given to `told`.
pub(super) async fn outputs(
    client: &Client,
    job: &Job,
    dir: &Path,
    told: impl Fn(&Path),
) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| local(dir, &error))?;
    for output in &job.outputs {
        let path = below(dir, &output.name)?;
        output_to(client, &job.job_id, output, &path).await?;
        told(&path);
    }
    Ok(())
}

async fn output_to(client: &Client, job: &str, output: &File, path: &Path) -> Result<(), Failure> {
    let mut body = client.output(job, &output.name).await?;
    let parent = path.parent().expect("it is below a directory");
    let mut file = tempfile::Builder::new()
        .prefix(".fileyard-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(parent)
        .map_err(|error| local(parent, &error))?;
    let (mut digest, mut size) = (Sha256::new(), 0);
    while let Some(bytes) = body.chunk().await.map_err(|error| client.unreachable(error))? {
        file.write_all(&bytes).map_err(|error| local(path, &error))?;
        digest.update(&bytes);
        size += bytes.len() as u64;
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if (size, &digest) != (output.size, &output.sha256) {
        let name = plain(&output.name);
        return Err(Failure::Unreachable(format!(
            "{name}: what came is not what the job has: {size} bytes of {}, SHA-256 {digest}",
            output.size
        )));
    }
    file.persist(path).map_err(|error| local(path, &error.error))?;
    Ok(())
}

/// The path of an output below `dir`, whose directories are made.
fn below(dir: &Path, name: &str) -> Result<PathBuf, Failure> {
    let refused = |why: &str| {
        let (name, dir) = (plain(name), dir.display());
        Err(Failure::Usage(format!("the output {name:?} is not written below {dir}: {why}")))
    };
    let plain_parts = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let parts: Vec<_> = Path::new(name).components().collect();
    let normal = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    if !plain_parts || !normal || name.contains('\0') {
        return refused("its name would lead elsewhere");
    }
    let mut path = dir.to_owned();
    for (at, part) in parts.iter().enumerate() {
        path.push(part);
        if at + 1 == parts.len() {
            break;
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return refused(&format!("{} is not a directory", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&path).map_err(|error| local(&path, &error))?;
            }
            Err(error) => return Err(local(&path, &error)),
        }
    }
    Ok(path)
}

fn local(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    //! Names that want to be elsewhere.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_stays_below_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let good = below(dir.path(), "a/b/c d.txt").unwrap();
        assert_eq!(good, dir.path().join("a/b/c d.txt"));
        assert!(dir.path().join("a/b").is_dir());
        for wrong in
            ["", "/etc/passwd", "../x", "a/../../x", "a/..", ".", "a//b", "a/", "./a", "a\0"]
        {
            assert!(below(dir.path(), wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_symbolic_link_is_gone_through() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(other.path(), dir.path().join("out")).unwrap();
        assert!(below(dir.path(), "out/x").is_err());
        // As the last part it is replaced, not followed.
        assert!(below(dir.path(), "out").is_ok());
    }
}
