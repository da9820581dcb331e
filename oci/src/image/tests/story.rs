//! Names, holders, and what is left when.

use std::sync::Barrier;

use super::*;
use crate::image::Fault;

#[test]
fn an_image_goes_with_its_last_name_and_its_layers_with_their_last_use() {
    let home = Home::new();
    let tar = tar_of(&[("a", b"12345")]);
    let image = home.root(&tar, "one");
    home.root(&tar, "two:2");
    assert_eq!(home.store.list().unwrap().len(), 1);
    let gone = home.store.remove("one").unwrap();
    assert_eq!(
        (gone.references, gone.images.len(), gone.layers),
        (vec!["one:latest".into()], 0, 0)
    );
    assert_eq!(home.store.find("one").unwrap(), None);

    home.store.hold(&image, "job-1").unwrap();
    home.store.hold(&image, "job-1").unwrap();
    let store = home.reopen();
    assert_eq!(store.holders().unwrap(), ["job-1"]);
    let gone = store.remove("two:2").unwrap();
    assert_eq!((gone.images, gone.layers, gone.held), (vec![image.digest.clone()], 0, 1));
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.prune().unwrap().held, 1);
    assert_eq!(read(&image, "a"), "12345");

    store.release("job-1").unwrap();
    store.release("job-1").unwrap();
    let gone = store.prune().unwrap();
    assert_eq!((gone.layers, gone.bytes, gone.held), (1, 5, 0));
    home.assert_empty();
    let late = store.hold(&image, "job-2").unwrap_err();
    assert_eq!(late.kind(), Fault::NotFound);
    assert_eq!(store.remove("two:2").unwrap_err().kind(), Fault::NotFound);
    for wrong in ["", ".", "..", "a/b", ".hidden", "a b"] {
        assert!(store.hold(&image, wrong).is_err() && store.release(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_name_means_the_image_that_came_last_and_the_other_waits_for_a_prune() {
    let home = Home::new();
    let (old, new) = (tar_of(&[("a", b"old")]), tar_of(&[("a", b"new")]));
    let old = home.root(&old, "tool");
    let new = home.root(&new, "tool");
    assert_eq!(home.store.find("docker.io/library/tool:latest").unwrap().as_ref(), Some(&new));
    let nameless = home.store.find(&old.digest).unwrap().unwrap();
    assert_eq!(nameless.references, Vec::<String>::new());
    let gone = home.store.prune().unwrap();
    assert_eq!((gone.images, gone.layers), (vec![old.digest], 1));
    // By its digest it goes with all of its names.
    home.import(&tar_of(&[("a", b"new")]), Some("another")).unwrap();
    let gone = home.store.remove(&new.digest[..19]).unwrap();
    assert_eq!(gone.references, ["another:latest", "tool:latest"]);
    home.assert_empty();
}

#[test]
fn what_a_crash_leaves_is_swept_by_who_opens_next() {
    let home = Home::new();
    let images = home.dir.path().join("images");
    let image = home.root(&tar_of(&[("a", b"1")]), "tool");
    // A process died in the middle of a download, a layer, and an image.
    let half = images.join("work/99-0/layer-0/root");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("b"), "half").unwrap();
    fs::write(images.join("work/99-0/layers"), "").unwrap();
    fs::write(images.join("unpacking").join("0".repeat(64)), "").unwrap();
    fs::write(images.join("names.json.new"), "{").unwrap();
    // And one before its image was named.
    let orphan = images.join("layers").join("1".repeat(64));
    fs::create_dir_all(orphan.join("root")).unwrap();
    fs::write(orphan.join("layer.json"), r#"{"size":7,"entries":1,"opaque":false,"tar_size":9}"#)
        .unwrap();
    // One that is at work goes on.
    let alive = home.store.0.work().unwrap();
    let store = home.reopen();
    assert_eq!(home.inside("work").len(), 1);
    assert!(alive.at("").is_dir());
    drop(alive);
    assert_eq!(store.find("tool").unwrap().as_ref(), Some(&image));
    let gone = store.prune().unwrap();
    assert_eq!((gone.images.len(), gone.layers, gone.bytes), (0, 1, 7));
    for dir in ["work", "unpacking"] {
        assert_eq!(home.inside(dir), Vec::<String>::new());
    }
    assert_eq!(store.find("tool").unwrap(), Some(image));
}

#[test]
fn a_layer_that_work_counts_on_is_not_pruned() {
    let home = Home::new();
    let image = home.root(&tar_of(&[("a", b"1")]), "tool");
    let place = &home.store.0;
    let work = place.work().unwrap();
    assert!(place.count_on(&work, &image.diff_ids()[0]).unwrap().is_some());
    assert_eq!(home.reopen().remove("tool").unwrap().layers, 0);
    assert_eq!(home.inside("layers").len(), 1);
    drop(work);
    assert_eq!(home.store.prune().unwrap().layers, 1);
}

#[test]
fn an_image_that_lost_a_layer_is_as_good_as_absent_and_can_come_again() {
    let home = Home::new();
    let tar = tar_of(&[("a", b"1")]);
    let image = home.root(&tar, "tool");
    fs::remove_dir_all(image.layers[0].parent().unwrap()).unwrap();
    assert_eq!(home.store.find("tool").unwrap(), None);
    assert_eq!(home.root(&tar, "tool"), image);
}

#[test]
fn an_image_that_can_not_be_read_keeps_nobody_from_cleaning_up() {
    let home = Home::new();
    let image = home.root(&tar_of(&[("a", b"1")]), "broken");
    home.root(&tar_of(&[("b", b"2")]), "tool");
    let digits = image.digest.strip_prefix("sha256:").unwrap();
    fs::write(home.dir.path().join("images/images").join(digits).join("config.json"), "").unwrap();
    let said = home.store.list().unwrap_err().to_string();
    assert!(said.contains(&image.digest), "{said}");
    assert_eq!(home.store.remove(&image.digest).unwrap().images, [image.digest]);
    assert_eq!(home.store.prune().unwrap().layers, 1);
    assert_eq!(home.store.list().unwrap().len(), 1);
}

#[test]
fn of_many_who_unpack_the_same_layer_one_does() {
    let home = Home::new();
    let layer = tar_of(&[("a", &[7; 1 << 20])]);
    let saved = docker_save("tool", &config(&[&layer], &serde_json::json!({})), &[&layer]);
    let (everybody, stores) = (Barrier::new(8), [(); 8].map(|()| home.reopen()));
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(|| {
                everybody.wait();
                let options = ImportOptions::default();
                store.import(Tar::Stream(&mut &saved[..]), &options).unwrap();
            });
        }
    });
    assert_eq!(home.store.list().unwrap().len(), 1);
    assert_eq!((home.inside("layers").len(), home.inside("unpacking").len()), (1, 0));
    assert_eq!(home.inside("work").len(), 0);
}
