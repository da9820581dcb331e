//! Pulls from a registry as others run them: one that asks for a password, with images that were pushed.
//! Where it is and who may: FILEYARD_TEST_REGISTRY, FILEYARD_TEST_REGISTRY_USER and _PASSWORD. Run by root.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{env, fs, io::Write, path::Path};

use fileyard_oci::image::{Fault, Image, PullOptions, Store};
use flate2::{Compression, write::GzEncoder};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    manifest::{IMAGE_LAYER_GZIP_MEDIA_TYPE, OciImageManifest},
    secrets::RegistryAuth,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// The registry, and a home for the images that are pulled from it.
struct Yard {
    registry: String,
    user: String,
    password: String,
    dir: TempDir,
    store: Store,
}

impl Yard {
    fn new() -> Self {
        let set = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let dir = TempDir::new().unwrap();
        Self {
            registry: set("FILEYARD_TEST_REGISTRY"),
            user: set("FILEYARD_TEST_REGISTRY_USER"),
            password: set("FILEYARD_TEST_REGISTRY_PASSWORD"),
            store: Store::open(&dir.path().join("images")).unwrap(),
            dir,
        }
    }

    /// What `docker login` would leave.
    fn logged_in(&self, password: &str) -> PullOptions {
        let path = self.dir.path().join("config.json");
        let who = json!({"username": self.user, "password": password});
        let auths = json!({"auths": {&self.registry: who}});
        fs::write(&path, auths.to_string()).unwrap();
        PullOptions { credentials: Some(path), again: 0, ..PullOptions::default() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry)
    }

    async fn pull(&self, name: &str) -> Image {
        let options = self.logged_in(&self.password);
        self.store.pull(&self.name(name), &options, &|_| {}).await.unwrap()
    }

    /// Pushes an image of these layers, lowest first.
    async fn push(&self, name: &str, architecture: &str, layers: &[Vec<u8>]) {
        let digest = |bytes: &[u8]| -> String {
            let hash = Sha256::digest(bytes);
            format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Cmd": ["/program"]},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|it| digest(it)).collect::<Vec<_>>()},
        });
        let config = Config::oci_v1(config.to_string().into_bytes(), None);
        let media_type = IMAGE_LAYER_GZIP_MEDIA_TYPE.to_owned();
        let layers: Vec<ImageLayer> = layers
            .iter()
            .map(|layer| ImageLayer::new(gzip(layer), media_type.clone(), None))
            .collect();
        let protocol = ClientProtocol::HttpsExcept(vec![self.registry.clone()]);
        let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
        let auth = RegistryAuth::Basic(self.user.clone(), self.password.clone());
        let reference: Reference = self.name(name).parse().unwrap();
        let manifest = OciImageManifest::build(&layers, &config, None);
        client.push(&reference, &layers, config, &auth, Some(manifest)).await.unwrap();
    }
}

fn here() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn left(dir: &Path) -> usize {
    fs::read_dir(dir.join("images/work")).unwrap().count()
}

#[tokio::test]
async fn what_was_pushed_is_pulled_by_its_tag_and_by_its_digest() {
    let yard = Yard::new();
    // Not all of it fits into one piece of what comes over the network.
    let large: Vec<u8> = (0..3_000_000u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    let layers = [
        layer(&[("program", b"1"), ("large", &large)]),
        layer(&[(".wh.large", b""), ("new", b"2")]),
    ];
    yard.push("tests/pulled:1", here(), &layers).await;
    let image = yard.pull("tests/pulled:1").await;
    assert_eq!(image.references, [yard.name("tests/pulled:1")]);
    assert_eq!(image.config.command, ["/program"]);
    assert_eq!(fs::read(image.layers[0].join("large")).unwrap(), large);
    assert_eq!(fs::read(image.layers[1].join("new")).unwrap(), b"2");
    let pinned = yard.pull(&format!("tests/pulled@{}", image.digest)).await;
    assert_eq!(pinned.digest, image.digest);
    // The tag means another image from now on, and what both have is here already.
    yard.push("tests/pulled:1", here(), &layers[..1]).await;
    let moved = yard.pull("tests/pulled:1").await;
    assert_eq!(moved.layers, image.layers[..1]);
    assert_ne!(moved.digest, image.digest);
    assert_eq!(yard.store.find(&yard.name("tests/pulled:1")).unwrap(), Some(moved));
    assert_eq!(left(yard.dir.path()), 0);
}

#[tokio::test]
async fn who_may_not_or_asks_for_what_is_not_there_is_told_so() {
    let yard = Yard::new();
    yard.push("tests/mine:1", here(), &[layer(&[("program", b"1")])]).await;
    yard.push("tests/foreign:1", "other", &[layer(&[("program", b"1")])]).await;
    let nobody = PullOptions { credentials: None, again: 0, ..PullOptions::default() };
    for (name, options, kind, words) in [
        ("tests/mine:1", &nobody, Fault::Image, "without credentials"),
        ("tests/mine:1", &yard.logged_in("wrong"), Fault::Image, "does not take the credentials"),
    ] {
        let refused = yard.store.pull(&yard.name(name), options, &|_| {}).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let right = yard.logged_in(&yard.password);
    for (name, kind, words) in [
        ("tests/mine:2", Fault::NotFound, "has no image of this name"),
        ("tests/nobodys:1", Fault::NotFound, "has no image of this name"),
        ("tests/foreign:1", Fault::Image, "it is for linux/other"),
    ] {
        let refused = yard.store.pull(&yard.name(name), &right, &|_| {}).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    assert_eq!(yard.store.list().unwrap(), []);
    assert_eq!(left(yard.dir.path()), 0);
}
