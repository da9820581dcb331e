//! Where the program is that the stories drive: `FILEYARD_TEST_BIN`, or built on first use.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The program, built with the feature `failpoints`.
///
/// After a plain `cargo test` nobody has built it with that feature, so the first story that asks
/// has Cargo do so, in the profile and the target directory that this test program came from.
///
/// # Panics
/// When it can not be built.
#[must_use]
pub fn fileyard() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var_os("FILEYARD_TEST_BIN").map_or_else(build, PathBuf::from))
}

/// The repository's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in the repository")
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a program knows its path");
    // target/debug/deps/stories-0123 -> target
    let target = test.ancestors().nth(3).expect("Cargo's own directories");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "fileyard", "--features", "failpoints"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(root())
        .status()
        .expect("cargo is there");
    assert!(built.success(), "cargo could not build fileyard for the stories");
    target.join("debug/fileyard")
}
