//! Stories of the store, in a directory of their own. Whoever runs them owns everything in them, so
//! that they need no root; what needs it is in `tests/images.rs`.

mod archives;
mod build;
mod hostile;
mod pull;
mod random;
mod registry;
mod story;

use std::{collections::BTreeMap, fs, path::Path};

use flate2::{Compression, write::GzEncoder};
use rustix::process::{getgid, getuid};
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::{Image, ImageError, ImportOptions, Store, Tar, digest::Digest, limits::Limits};

/// A store, and a look at what is in it.
struct Home {
    dir: TempDir,
    store: Store,
}

impl Home {
    fn new() -> Self {
        Self::with(Limits { keep_free: 0, ..Limits::default() })
    }

    fn with(limits: Limits) -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::with_limits(&dir.path().join("images"), limits).unwrap();
        Self { dir, store }
    }

    /// As the next process does.
    fn reopen(&self) -> Store {
        Store::open(&self.dir.path().join("images")).unwrap()
    }

    fn import(&self, tar: &[u8], name: Option<&str>) -> Result<Vec<Image>, ImageError> {
        let options = ImportOptions { name: name.map(str::to_owned), ..ImportOptions::default() };
        self.store.import(Tar::Stream(&mut &tar[..]), &options)
    }

    /// A root file system, which is one layer.
    fn root(&self, tar: &[u8], name: &str) -> Image {
        let mut images = self.import(tar, Some(name)).unwrap();
        assert_eq!(images.len(), 1);
        images.remove(0)
    }

    /// Refused, with nothing left of it. What was said.
    fn refused(&self, tar: &[u8], name: Option<&str>) -> ImageError {
        let refused = self.import(tar, name).unwrap_err();
        self.assert_empty();
        refused
    }

    fn assert_empty(&self) {
        for dir in ["images", "layers", "work", "unpacking", "holders"] {
            assert_eq!(self.inside(dir), Vec::<String>::new(), "{dir}");
        }
    }

    fn inside(&self, dir: &str) -> Vec<String> {
        let all = fs::read_dir(self.dir.path().join("images").join(dir)).unwrap();
        let mut names: Vec<String> =
            all.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A tar that is written as it is told, right or wrong.
#[derive(Default)]
struct Maker(Vec<u8>);

impl Maker {
    fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, "", content)
    }

    fn directory(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, "", b"")
    }

    fn symlink(self, path: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, path, to, b"")
    }

    fn link(self, path: &str, to: &str) -> Self {
        self.entry(EntryType::Link, path, to, b"")
    }

    fn device(self, path: &str) -> Self {
        self.entry(EntryType::Char, path, "", b"")
    }

    /// Says something about the next entry.
    fn pax(self, key: &str, value: &[u8]) -> Self {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([(key, value)]).unwrap();
        let mut all = builder.into_inner().unwrap();
        all.truncate(all.len() - 1024);
        self.raw(&all)
    }

    fn entry(self, kind: EntryType, path: &str, to: &str, content: &[u8]) -> Self {
        self.sized(kind, path, to, content.len() as u64).raw(content).pad()
    }

    fn sized(self, kind: EntryType, path: &str, to: &str, size: u64) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..to.len()].copy_from_slice(to.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(getuid().as_raw().into());
        header.set_gid(getgid().as_raw().into());
        header.set_mtime(1_000_000_000);
        header.set_size(size);
        header.set_cksum();
        self.raw(header.as_bytes())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).0
    }
}

/// A tar of files.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    files.iter().fold(Maker::default(), |tar, (path, content)| tar.file(path, content)).end()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut gzip, bytes).unwrap();
    gzip.finish().unwrap()
}

/// A config for this machine of these layers.
fn config(layers: &[&[u8]], more: &serde_json::Value) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|it| Digest::of(it).to_string()).collect();
    config_of(&diff_ids, &super::config::architecture().to_string(), more)
}

fn config_of(diff_ids: &[String], architecture: &str, more: &serde_json::Value) -> Vec<u8> {
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux", "config": more,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    serde_json::to_vec(&config).unwrap()
}

/// What `docker save` would write.
fn docker_save(name: &str, config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let config_name = format!("{}.json", Digest::of(config).digits());
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let manifest = serde_json::json!(
        [{"Config": config_name, "RepoTags": [name], "Layers": names}]
    );
    let mut tar = Maker::default();
    for (name, layer) in names.iter().zip(layers) {
        tar = tar.file(name, layer);
    }
    tar.file(&config_name, config).file("manifest.json", manifest.to_string().as_bytes()).end()
}

/// An OCI layout of an image: its index, its blobs and its manifest.
fn layout(name: &str, config: &[u8], layers: &[&[u8]]) -> (Vec<u8>, Digest) {
    let mut blobs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut blob = |kind: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        blobs.insert(format!("blobs/sha256/{}", digest.digits()), bytes.to_vec());
        serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": digest, "size": bytes.len()})
    };
    let config = blob("config.v1+json", config);
    let layers: Vec<_> = layers.iter().map(|layer| blob("layer.v1.tar+gzip", layer)).collect();
    let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": layers});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut described = blob("manifest.v1+json", &manifest);
    described["annotations"] = serde_json::json!({"io.containerd.image.name": name});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [described]});
    let tar = blobs.iter().fold(Maker::default(), |tar, (path, blob)| tar.file(path, blob));
    let tar = tar.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    (tar.file("index.json", index.to_string().as_bytes()).end(), Digest::of(&manifest))
}

fn read(image: &Image, path: &str) -> String {
    fs::read_to_string(image.layers[0].join(path)).unwrap()
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
