//! What the targets of images share: a store that is filled and emptied again, and something beside
//! it that must stay as it is.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use fileyard_oci::image::{Image, ImageError, ImportOptions, Store, Tar};

/// A store, and its neighbour.
pub struct Yard {
    home: PathBuf,
    store: Store,
}

/// The process's own; `script/fuzz` removes it.
pub fn yard() -> &'static Yard {
    static YARD: OnceLock<Yard> = OnceLock::new();
    YARD.get_or_init(|| {
        let home = std::env::temp_dir().join(format!("fileyard-fuzz-{}", std::process::id()));
        fs::create_dir_all(home.join("neighbour")).expect("a directory");
        fs::write(home.join("neighbour/file"), "untouched").expect("a file");
        let store = Store::open(&home.join("store")).expect("a store");
        Yard { home, store }
    })
}

impl Yard {
    /// Imports a tar, shows what came of it, and removes it. Then nothing of it is there, and nothing
    /// beside the store has changed.
    pub fn imports(&self, tar: &[u8], name: Option<&str>, shown: impl Fn(&Image)) {
        let options = ImportOptions { name: name.map(Into::into), ..ImportOptions::default() };
        let imported: Result<Vec<Image>, ImageError> =
            self.store.import(Tar::Stream(&mut &tar[..]), &options);
        match imported {
            Ok(images) => images.iter().for_each(shown),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        for image in self.store.list().expect("a list") {
            self.store.remove(&image.digest).expect("it is there");
        }
        self.store.prune().expect("what has no name goes");
        for within in ["images", "layers", "work", "unpacking", "holders"] {
            assert_eq!(names(&self.home.join("store").join(within)), [""; 0], "in {within}/");
        }
        assert_eq!(names(&self.home), ["neighbour", "store"]);
        assert_eq!(names(&self.home.join("neighbour")), ["file"]);
        assert_eq!(fs::read(self.home.join("neighbour/file")).expect("a file"), b"untouched");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(dir).expect("it is a directory").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> =
        entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
