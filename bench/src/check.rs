//! What was stored is what was sent: every file of the size below a directory, hashed and counted.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use crate::data;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files of other sizes in it are not looked at
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    size: u64,
    #[arg(long)]
    count: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let wanted = data::digest(&data::block(), args.size);
    let files = below(&args.dir, args.size)?;
    ensure!(files.len() == args.count, "{} files where {} were sent", files.len(), args.count);
    for file in &files {
        let found = digest(file).with_context(|| file.display().to_string())?;
        ensure!(found == wanted, "{} has {found}, and {wanted} was sent", file.display());
    }
    Ok("right".into())
}

fn below(dir: &Path, size: u64) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let (path, meta) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if meta.is_dir() {
            found.extend(below(&path, size)?);
        } else if meta.len() == size {
            found.push(path);
        }
    }
    Ok(found)
}

fn digest(path: &Path) -> anyhow::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; data::CHUNK];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(data::hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_too_few_or_one_wrong_byte_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let args = Args { dir: dir.path().to_owned(), size: 3000, count: 2 };
        let right = &data::block()[..3000];
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/a"), right).unwrap();
        std::fs::write(dir.path().join("other"), "of another size").unwrap();
        assert!(run(&args).unwrap_err().to_string().contains("1 files where 2"));
        std::fs::write(dir.path().join("b"), right).unwrap();
        assert_eq!(run(&args).unwrap(), "right");
        let mut wrong = right.to_vec();
        wrong[2999] ^= 1;
        std::fs::write(dir.path().join("b"), wrong).unwrap();
        assert!(run(&args).unwrap_err().to_string().contains("was sent"));
    }
}
