//! What others write, read.

use serde_json::json;

use super::*;
use crate::image::Fault;

#[test]
fn what_docker_saved_is_there_by_its_name() {
    let home = Home::new();
    let (base, top) = (tar_of(&[("a", b"below"), ("b", b"b")]), tar_of(&[("a", b"above")]));
    let said = json!({"Entrypoint": ["/run"], "Cmd": ["-v"], "Env": ["A=1"], "User": "7",
        "WorkingDir": "/srv", "Volumes": {"/z": {}, "/y": {}}, "ExposedPorts": null});
    let saved = docker_save("fileyard/tool:1", &config(&[&base, &top], &said), &[&base, &top]);
    let image = home.import(&saved, None).unwrap().remove(0);
    assert_eq!(image.references, ["fileyard/tool:1"]);
    assert_eq!(image.config.entrypoint, ["/run"]);
    assert_eq!(image.config.command, ["-v"]);
    assert_eq!(image.config.env, ["A=1"]);
    assert_eq!(image.config.volumes, ["/y", "/z"]);
    assert_eq!((&image.config.user[..], &image.config.working_dir[..]), ("7", "/srv"));
    let read = |n: usize, path| fs::read_to_string(image.layers[n].join(path)).unwrap();
    assert_eq!(
        (image.layers.len(), read(0, "a"), read(1, "a")),
        (2, "below".into(), "above".into())
    );
    assert_eq!(image.size, 11);
    // The same again, compressed and under another name, is the same image.
    let again = home.import(&gzip(&saved), Some("other")).unwrap().remove(0);
    assert_eq!(again.digest, image.digest);
    assert_eq!(again.references, ["fileyard/tool:1", "other:latest"]);
    assert_eq!(home.inside("layers").len(), 2);
    assert_eq!(home.inside("work").len(), 0);
}

#[test]
fn a_layer_that_is_not_what_its_config_says_is_refused() {
    let (said, given) = (tar_of(&[("a", b"1")]), tar_of(&[("a", b"2")]));
    let saved = docker_save("a", &config(&[&said], &json!({})), &[&given]);
    let refused = Home::new().refused(&saved, None);
    assert!(refused.to_string().contains("layer 1 of 1: it is not what"), "{refused}");
    let saved = docker_save("a", &config(&[&said], &json!({})), &[]);
    let refused = Home::new().refused(&saved, None);
    assert!(refused.to_string().contains("it has 0 layers"), "{refused}");
}

#[test]
fn an_oci_layout_keeps_the_digest_of_its_manifest() {
    let home = Home::new();
    let layer = tar_of(&[("a", b"1")]);
    let packed = zstd::encode_all(&layer[..], 3).unwrap();
    let config = config(&[&layer, &layer], &json!({"Cmd": ["/a"]}));
    let (tar, digest) = layout("docker.io/library/tool:2", &config, &[&packed, &gzip(&layer)]);
    let image = home.import(&tar, None).unwrap().remove(0);
    assert_eq!(image.digest, digest.to_string());
    assert_eq!(image.references, ["tool:2"]);
    assert_eq!(image.layers.len(), 1);
    assert_eq!((image.size, home.inside("layers").len()), (1, 1));
    for text in [
        "tool:2".to_owned(),
        format!("tool@{digest}"),
        format!("elsewhere.example/x@{digest}"),
        digest.to_string(),
        digest.to_string()[..19].to_owned(),
    ] {
        assert_eq!(home.store.find(&text).unwrap().as_ref(), Some(&image), "{text}");
    }
    assert_eq!(home.store.find("tool").unwrap(), None);
}

#[test]
fn a_damaged_blob_of_a_layout_is_found_before_it_is_unpacked() {
    let layer = tar_of(&[("a", b"1")]);
    let (mut tar, _) = layout("a", &config(&[&layer], &json!({})), &[&layer]);
    let at = tar.windows(layer.len()).position(|it| it == layer).unwrap();
    tar[at + 512] ^= 1;
    let refused = Home::new().refused(&tar, None);
    assert!(refused.to_string().contains("in it is something else"), "{refused}");
}

#[test]
fn a_root_file_system_needs_a_name_and_may_say_more() {
    let home = Home::new();
    let tar = tar_of(&[("bin/tool", b"#!")]);
    let refused = home.refused(&tar, None);
    assert!(refused.to_string().contains("give the image a name with -t"), "{refused}");
    let path = home.dir.path().join("root.tar");
    fs::write(&path, &tar).unwrap();
    let options = ImportOptions {
        name: Some("tool".into()),
        entrypoint: vec!["/bin/tool".into()],
        env: vec!["A=b=c".into()],
        ..ImportOptions::default()
    };
    let image = home.store.import(Tar::File(&path), &options).unwrap().remove(0);
    assert_eq!(image.config.entrypoint, ["/bin/tool"]);
    assert_eq!(image.config.env, ["A=b=c"]);
    assert_eq!(read(&image, "bin/tool"), "#!");
    let wrong = ImportOptions { env: vec!["A".into()], ..options.clone() };
    let refused = home.store.import(Tar::File(&path), &wrong).unwrap_err();
    assert!(refused.to_string().contains("write NAME=value"), "{refused}");
    let refused = home.store.import(Tar::File(Path::new("/nowhere")), &options).unwrap_err();
    assert_eq!(refused.kind(), Fault::NotFound);
    let saved = docker_save("a", &config(&[], &json!({})), &[]);
    let refused = home.store.import(Tar::Stream(&mut &saved[..]), &options).unwrap_err();
    assert!(refused.to_string().contains("itself"), "{refused}");
}
