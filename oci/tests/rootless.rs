//! What a user who is not root has done for a container: layers, namespaces, and a program that nobody
//! can write to.
//!
//! It needs root, to be somebody else, user namespaces for everybody, and a built fileyard
//! (FILEYARD_TEST_BIN) to send on errands. Each story runs in a process of its own, this very program
//! once more, as a user with no right at all.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    env, fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use fileyard_oci::{
    errand::Errands,
    image::{Image, ImportOptions, Store, Tar},
    runtime::Launcher,
};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// Nobody in particular.
const USER: u32 = 65_534;
/// Where a story of the other process finds its directory.
const HOME: &str = "FILEYARD_TEST_HOME";

/// Runs this story in a process of that user's; there, says where its directory is.
fn elsewhere(story: &str) -> Option<PathBuf> {
    if let Some(home) = env::var_os(HOME) {
        assert_eq!(rustix::process::geteuid().as_raw(), USER);
        return Some(home.into());
    }
    let home = TempDir::new().unwrap();
    chown(home.path(), Some(USER), Some(USER)).unwrap();
    // Where programs are built may be closed to others.
    let fileyard = env::var_os("FILEYARD_TEST_BIN").expect("FILEYARD_TEST_BIN names a fileyard");
    let ourselves = home.path().join("story");
    for (from, to) in [(env::current_exe().unwrap(), "story"), (fileyard.into(), "fileyard")] {
        let to = home.path().join(to);
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).unwrap();
    }
    let ran = Command::new(ourselves)
        .args(["--exact", story, "--nocapture"])
        .env(HOME, home.path())
        .current_dir("/")
        .uid(USER)
        .gid(USER)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    None
}

fn errands(home: &Path) -> Errands {
    Errands::new(home.join("fileyard"))
}

#[test]
fn a_network_namespace_is_made_and_listened_in_and_nobody_else_reaches_it() {
    let story = "a_network_namespace_is_made_and_listened_in_and_nobody_else_reaches_it";
    let Some(home) = elsewhere(story) else { return };
    let errands = errands(&home);
    let (one, two) = (errands.network().unwrap(), errands.network().unwrap());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listening = errands.listen(&one, any).unwrap();
    let at = listening.local_addr().unwrap();
    assert_eq!(errands.listen(&one, at).unwrap_err().kind(), ErrorKind::AddrInUse);
    // The same address is another's there, and nobody's here.
    drop(errands.listen(&two, at).unwrap());
    assert_eq!(TcpStream::connect(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let elsewhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 80));
    let nowhere = errands.listen(&one, elsewhere).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::AddrNotAvailable, "{nowhere}");
}

#[test]
fn an_errand_that_can_not_be_done_says_why() {
    let Some(home) = elsewhere("an_errand_that_can_not_be_done_says_why") else { return };
    let gone = Errands::new(home.join("gone")).network().unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    // A program that does no errands.
    let mute = Errands::new("/bin/true".into()).network().unwrap_err();
    assert!(mute.to_string().contains("did not come back"), "{mute}");
}

#[test]
fn nobody_writes_to_the_sealed_program_not_even_its_owner() {
    let story = "nobody_writes_to_the_sealed_program_not_even_its_owner";
    let Some(home) = elsewhere(story) else { return };
    // One that is the user's own, as a program in his home is.
    let program = home.join("owned");
    fs::copy(home.join("fileyard"), &program).unwrap();
    let launcher = Launcher::new(program.clone());
    let sealed = format!("/proc/self/fd/{}", launcher.sealed().unwrap().as_raw_fd());
    let write = |path: &Path| fs::OpenOptions::new().write(true).open(path).map(drop);
    write(&program).unwrap();
    assert_eq!(write(sealed.as_ref()).unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    // Whatever is in its place by now, it is the one that was sealed.
    fs::write(home.join("other"), "another").unwrap();
    fs::rename(home.join("other"), &program).unwrap();
    let again = format!("/proc/self/fd/{}", launcher.sealed().unwrap().as_raw_fd());
    let said = Command::new(again).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("fileyard "), "{said:?}");
}

/// Of entries that say another owner than is to be had.
fn layer(store: &Store, name: &str, entries: &[(EntryType, &str, u32, &[u8])]) -> Image {
    let mut tar = Builder::new(Vec::new());
    for (kind, path, mode, content) in entries {
        if *path == "cap" {
            let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let attributes: [(&str, &[u8]); 2] =
                [("SCHILY.xattr.security.capability", &capability), ("SCHILY.xattr.user.a", b"b")];
            tar.append_pax_extensions(attributes).unwrap();
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(7);
        header.set_gid(8);
        if *kind == EntryType::Symlink {
            tar.append_link(&mut header, path, "somewhere").unwrap();
            continue;
        }
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let options = ImportOptions { name: Some(name.into()), ..ImportOptions::default() };
    store.import(Tar::Stream(&mut &tar[..]), &options).unwrap().remove(0)
}

#[test]
fn a_layer_is_its_user_s_who_can_read_and_remove_all_of_it() {
    let story = "a_layer_is_its_user_s_who_can_read_and_remove_all_of_it";
    let Some(home) = elsewhere(story) else { return };
    let store = Store::open(&home.join("images")).unwrap();
    let image = layer(
        &store,
        "locked",
        &[
            (EntryType::Directory, "locked", 0, b""),
            (EntryType::Regular, "locked/inside", 0, b"here"),
            (EntryType::Directory, "read-only", 0o555, b""),
            (EntryType::Regular, "read-only/su", 0o4511, b"x"),
            (EntryType::Regular, "cap", 0o444, b"x"),
            (EntryType::Symlink, "link", 0o777, b""),
            (EntryType::Fifo, "fifo", 0o644, b""),
        ],
    );
    let root = &image.layers[0];
    let is = |path: &str| {
        let it = fs::symlink_metadata(root.join(path)).unwrap();
        assert_eq!((it.uid(), it.gid()), (USER, USER), "{path}");
        it.permissions().mode() & 0o7777
    };
    let modes = ["locked", "locked/inside", "read-only", "read-only/su", "cap"].map(is);
    assert_eq!(modes, [0o700, 0o400, 0o755, 0o4511, 0o444]);
    assert!(is("fifo") > 0 && is("link") > 0);
    assert_eq!(fs::read(root.join("locked/inside")).unwrap(), b"here");
    let mut value = [0; 8];
    let read = rustix::fs::getxattr(root.join("cap"), "user.a", &mut value).unwrap();
    assert_eq!(&value[..read], b"b");
    store.remove("locked").unwrap();
    assert_eq!(fs::read_dir(home.join("images/layers")).unwrap().count(), 0);
}

#[test]
fn what_an_upper_layer_hides_is_not_seen_through_it() {
    let Some(home) = elsewhere("what_an_upper_layer_hides_is_not_seen_through_it") else { return };
    let store = Store::open(&home.join("images")).unwrap();
    let file = |path| (EntryType::Regular, path, 0o644, &b""[..]);
    let names = ["gone", "dir/gone", "dir/stays", "closed/old"];
    let below = layer(&store, "below", &names.map(file));
    let names = [".wh.gone", "dir/.wh.gone", "closed/.wh..wh..opq", "closed/new"];
    let above = layer(&store, "above", &names.map(file));
    let mark = fs::symlink_metadata(above.layers[0].join("gone")).unwrap();
    assert!(mark.file_type().is_char_device() && mark.rdev() == 0);
    let merged = home.join("merged");
    fs::create_dir(&merged).unwrap();
    let (above, below) = (above.layers[0].display(), below.layers[0].display());
    let options = format!("userxattr,lowerdir={above}:{below}");
    let look = "mount -t overlay -o \"$1\" overlay \"$2\" && cd \"$2\" && find . -type f | sort";
    let looked = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", look, "sh", &options])
        .arg(&merged)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&looked.stderr);
    assert_eq!(String::from_utf8_lossy(&looked.stdout), "./closed/new\n./dir/stays\n", "{said}");
}
