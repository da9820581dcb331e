//! A MinIO of a story's own, which it may kill, and into whose disk it may look.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{LONG, server::files_below, until, variable};

const USER: &str = "fileyard";
const SECRET: &str = "fileyard-secret";
const BUCKET: &str = "stories";
const PREFIX: &str = "a/prefix";

/// A running MinIO with one bucket; killed when it is dropped.
#[derive(Debug)]
pub struct MinIo {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl MinIo {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("fileyard-minio").tempdir().unwrap();
        // A bucket is a directory on its disk.
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut minio = Self { dir, port, child: None };
        minio.revive().await;
        minio
    }

    /// Kills it, as a crash or a pulled plug would.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("MinIO runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it on the same disk and port, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn revive(&mut self) {
        let log = std::fs::File::create(self.dir.path().with_extension("log")).unwrap();
        let child = Command::new(variable("FILEYARD_TEST_MINIO"))
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{}", self.port)])
            .arg(self.dir.path())
            .env("MINIO_ROOT_USER", USER)
            .env("MINIO_ROOT_PASSWORD", SECRET)
            .env("MINIO_BROWSER", "off")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("MinIO starts");
        self.child = Some(child);
        // Its own word for being ready comes before its objects are there, and so do 503s. Whoever
        // asks without a key is refused once they are.
        let bucket = format!("{}/{BUCKET}", self.endpoint());
        until("MinIO has its objects", LONG, async || {
            let answer = reqwest::get(&bucket).await.ok()?;
            (answer.status() == reqwest::StatusCode::FORBIDDEN).then_some(())
        })
        .await;
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The lines of the section `[store]`.
    #[must_use]
    pub fn config(&self) -> String {
        format!(
            "url = \"s3://{BUCKET}/{PREFIX}\"\nendpoint = \"{}\"\naccess_key_id = \"{USER}\"\n\
             secret_access_key = \"{SECRET}\"\npart_size = \"5MiB\"",
            self.endpoint()
        )
    }

    /// Where its objects are on its disk, a directory an object.
    #[must_use]
    pub fn prefix(&self) -> PathBuf {
        self.dir.path().join(BUCKET).join(PREFIX)
    }

    /// The keys of all objects below the prefix, as they are on its disk.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        let mut keys: Vec<_> = files_below(&self.prefix())
            .iter()
            .filter_map(|file| file.strip_suffix("/xl.meta").map(str::to_owned))
            .collect();
        keys.sort();
        keys
    }

    /// Every file of an unfinished upload, its parts with it, on its disk.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        files_below(&self.dir.path().join(".minio.sys/multipart"))
    }

    /// Every file that just comes in. What a client leaves here that was killed while it sent a
    /// part is MinIO's own to remove, and it does so after a day: no request reaches it.
    #[must_use]
    pub fn incoming(&self) -> Vec<String> {
        // A file of MinIO's own, and what it has removed already, lie beside it.
        let mut files = files_below(&self.dir.path().join(".minio.sys/tmp"));
        files.retain(|file| file.contains('/') && !file.starts_with(".trash/"));
        files
    }
}

impl Drop for MinIo {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        let _ = std::fs::remove_file(self.dir.path().with_extension("log"));
    }
}
