//! Fuzzes what is read of an image beside its layers: its config, its manifest, its index, and Docker's
//! list of images. One layer that is as it should be comes with them.
#![no_main]
#![allow(missing_docs)]

mod yard;

use fileyard_oci::image::Image;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

/// What a program can be started with, of variables.
const MOST_VARIABLE_BYTES: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let [what, text @ ..] = data else { return };
    let layer = tar([("etc/hostname".into(), b"fuzz\n".to_vec())]);
    let config = json!({
        "os": "linux",
        "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" },
        "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]},
    });
    let config = serde_json::to_vec(&config).expect("it is JSON");
    let text = &with_digest(text, &layer)[..];
    let saved = |manifest: Vec<u8>, config: Vec<u8>| {
        let files = [("manifest.json".into(), manifest), ("config.json".into(), config)];
        tar(files.into_iter().chain([("layer.tar".into(), layer.clone())]))
    };
    let listed =
        json!([{"Config": "config.json", "RepoTags": ["fuzz:1"], "Layers": ["layer.tar"]}]);
    let archive = match what % 4 {
        0 => saved(serde_json::to_vec(&listed).expect("it is JSON"), text.to_vec()),
        1 => saved(text.to_vec(), config),
        2 => layout(&layer, &config, Some(text)),
        _ => layout(&layer, text, None),
    };
    yard::yard().imports(&archive, None, looked_at);
});

/// What is written as `@LAYER@` becomes the layer's digest, which nobody would hit upon.
fn with_digest(text: &[u8], layer: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"@LAYER@";
    match text.windows(NAME.len()).position(|window| window == NAME) {
        Some(at) => [&text[..at], hex(layer).as_bytes(), &text[at + NAME.len()..]].concat(),
        None => text.to_vec(),
    }
}

/// An OCI layout, with this index or one that fits.
fn layout(layer: &[u8], config: &[u8], index: Option<&[u8]>) -> Vec<u8> {
    let described = |kind: &str, blob: &[u8]| {
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": kind, "size": blob.len(), "digest": format!("sha256:{}", hex(blob))})
    };
    let manifest = json!({
        "schemaVersion": 2,
        "config": described("config.v1+json", config),
        "layers": [described("layer.v1.tar", layer)],
    });
    let manifest = serde_json::to_vec(&manifest).expect("it is JSON");
    let fits = json!({"schemaVersion": 2, "manifests": [described("manifest.v1+json", &manifest)]});
    let fits = serde_json::to_vec(&fits).expect("it is JSON");
    let blob = |blob: &[u8]| (format!("blobs/sha256/{}", hex(blob)), blob.to_vec());
    tar([
        ("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".into(), index.unwrap_or(&fits).to_vec()),
        blob(&manifest),
        blob(config),
        blob(layer),
    ])
}

/// What is believed of it is bounded.
fn looked_at(image: &Image) {
    let config = &image.config;
    let bytes: usize = config.env.iter().map(|variable| variable.len() + 1).sum();
    assert!(bytes <= MOST_VARIABLE_BYTES, "{bytes} bytes of variables");
    assert!(config.volumes.is_sorted());
}

fn tar(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, &content[..]).expect("memory takes it");
    }
    tar.into_inner().expect("memory takes it")
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
