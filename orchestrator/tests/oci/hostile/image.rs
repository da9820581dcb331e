//! Images that were made to lead an engine astray.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fileyard_oci::image::{ImportOptions, Store, Tar};
use fileyard_orchestrator::engine::conformance::Harness;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{Home, images, oci_in};

/// The drill's program, as `script/sample` built it.
pub(crate) fn drill() -> PathBuf {
    let built = fs::read_dir(images()).unwrap().flatten().map(|dir| dir.path().join("drill"));
    built.into_iter().find(|file| file.is_file()).expect("script/sample packs it")
}

/// An image of the drill at `/drill`, and of what else is put in.
#[derive(Default)]
pub(crate) struct Hostile {
    links: Vec<(String, PathBuf)>,
    programs: Vec<String>,
    config: Value,
}

impl Hostile {
    /// A link at this path.
    pub(crate) fn link(mut self, path: &str, target: impl AsRef<Path>) -> Self {
        self.links.push((path.trim_start_matches('/').to_owned(), target.as_ref().to_owned()));
        self
    }

    /// The drill at this path as well.
    pub(crate) fn drill_at(mut self, path: &str) -> Self {
        self.programs.push(path.trim_start_matches('/').to_owned());
        self
    }

    /// What it says of itself.
    pub(crate) fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// An engine on this directory that has it.
    pub(crate) fn on(&self, home: &Home) -> Harness {
        let mut it = oci_in(home);
        let store = Store::open(&home.path().join("images")).unwrap();
        let saved = self.saved();
        store.import(Tar::Stream(&mut &saved[..]), &ImportOptions::default()).unwrap();
        it.image = "hostile:1".into();
        it
    }

    /// As `docker save` would write it.
    fn saved(&self) -> Vec<u8> {
        let layer = self.layer();
        let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let digits: String = Sha256::digest(&layer).iter().map(|it| format!("{it:02x}")).collect();
        let config = json!({
            "os": "linux", "architecture": arch, "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digits}")]},
        });
        let listed = json!([{"Config": "c.json", "RepoTags": ["hostile:1"], "Layers": ["l.tar"]}]);
        let mut saved = Builder::new(Vec::new());
        file(&mut saved, "manifest.json", listed.to_string().as_bytes());
        file(&mut saved, "c.json", config.to_string().as_bytes());
        file(&mut saved, "l.tar", &layer);
        saved.into_inner().unwrap()
    }

    fn layer(&self) -> Vec<u8> {
        let mut layer = Builder::new(Vec::new());
        for (path, target) in &self.links {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            layer.append_link(&mut header, path, target).unwrap();
        }
        let program = fs::read(drill()).unwrap();
        file(&mut layer, "drill", &program);
        for path in &self.programs {
            file(&mut layer, path, &program);
        }
        layer.into_inner().unwrap()
    }
}

fn file(tar: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).unwrap();
}
