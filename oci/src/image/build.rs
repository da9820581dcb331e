//! An image of one static program.
//!
//! Nothing of the time or the machine is in it, so the same program gives the same digest.

mod elf;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufReader, BufWriter, Read},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use oci_spec::image::ConfigBuilder;
use tar::{EntryType, Header};

use super::{
    Image, ImageError, Place, error::Context, import::variables, limits::Limits, name,
    unpack::keep_free,
};

/// Who runs the program where nobody says it: nobody who owns anything.
const USER: &str = "65532:65532";

/// What an image is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildRequest {
    /// What it is called.
    pub name: String,
    /// The program, static and for this machine. It becomes `/NAME`, by its file name.
    pub binary: PathBuf,
    /// Files, and where they are in the image.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The program and its first arguments; empty for the program alone.
    pub entrypoint: Vec<String>,
    /// Its other arguments.
    pub command: Vec<String>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// Empty for the root.
    pub working_dir: String,
}

impl Place {
    pub(super) fn build(&self, request: &BuildRequest) -> Result<Image, ImageError> {
        let name = name::kept(&name::parse(&request.name)?);
        let program = request.binary.display().to_string();
        elf::check(&request.binary).context(|| &program)?;
        let own = request.binary.file_name().map(PathBuf::from);
        let own = own.ok_or_else(|| ImageError::Image(format!("{program} is no file")))?;
        let mut files = BTreeMap::from([(own.clone(), request.binary.clone())]);
        for (from, to) in &request.files {
            let to = inside(to)?;
            if files.insert(to.clone(), from.clone()).is_some() {
                let words =
                    format!("/{} is there twice: give one of them another path", to.display());
                return Err(ImageError::Image(words));
            }
        }
        let entrypoint = if request.entrypoint.is_empty() {
            vec![Path::new("/").join(&own).display().to_string()]
        } else {
            request.entrypoint.clone()
        };
        check_entrypoint(&entrypoint[0], &files)?;
        let config = ConfigBuilder::default()
            .user(USER)
            .entrypoint(entrypoint)
            .cmd(request.command.clone())
            .env(variables(&request.env)?)
            .working_dir(request.working_dir.clone());
        let config = config.build().expect("nothing of it is required");
        let work = self.work()?;
        let tar = work.at("layer.tar");
        pack(&tar, &own, &files, &self.limits)?;
        let (diff_id, layer) = self.add_unknown(&work, BufReader::new(File::open(&tar)?))?;
        self.add_made(&work, &diff_id, &layer, config, &name)
    }
}

/// A path in the image, without its first slash.
fn inside(path: &Path) -> Result<PathBuf, ImageError> {
    let wrong = || {
        let words =
            format!("{} is no path in an image: write it like /etc/tool.conf", path.display());
        ImageError::Image(words)
    };
    let within = path.strip_prefix("/").map_err(|_| wrong())?;
    let plain = within.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && within.file_name().is_some() { Ok(within.to_owned()) } else { Err(wrong()) }
}

/// A program that is named by its path has to be there.
fn check_entrypoint(program: &str, files: &BTreeMap<PathBuf, PathBuf>) -> Result<(), ImageError> {
    let path = Path::new(program).strip_prefix("/");
    if path.is_ok_and(|path| files.contains_key(path)) {
        return Ok(());
    }
    let known: Vec<String> = files.keys().map(|path| format!("/{}", path.display())).collect();
    let known = known.join(", ");
    Err(ImageError::Image(format!(
        "the entry point {program:?} is not in the image, which has {known}"
    )))
}

/// Directories first, and all of it in one order.
fn pack(
    to: &Path,
    program: &Path,
    files: &BTreeMap<PathBuf, PathBuf>,
    limits: &Limits,
) -> Result<(), ImageError> {
    let out = File::create(to).context(|| to.display().to_string())?;
    keep_free(&out, limits.keep_free)?;
    let mut tar = tar::Builder::new(BufWriter::new(out));
    let directories: BTreeSet<&Path> = files
        .keys()
        .flat_map(|path| path.ancestors().skip(1))
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    for directory in directories {
        if files.contains_key(directory) {
            let words = format!("/{} is a file and a directory", directory.display());
            return Err(ImageError::Image(words));
        }
        tar.append_data(&mut header(EntryType::Directory, 0o755, 0), directory, std::io::empty())?;
    }
    for (path, from) in files {
        let file = File::open(from).and_then(|file| Ok((file.metadata()?, file)));
        let (of, file) = file.map_err(ImageError::from).context(|| from.display().to_string())?;
        if !of.is_file() {
            let words =
                format!("{} is no file: pack a directory with tar and import it", from.display());
            return Err(ImageError::Image(words));
        }
        let runs = path == program || of.permissions().mode() & 0o111 != 0;
        let mode = if runs { 0o755 } else { 0o644 };
        let mut header = header(EntryType::Regular, mode, of.len());
        let packed = tar.append_data(&mut header, path, (&file).take(of.len()));
        packed.context(|| from.display().to_string())?;
        let now = file.metadata()?;
        if (now.len(), now.modified()?) != (of.len(), of.modified()?) {
            let words = format!("{} changed while it was packed: try again", from.display());
            return Err(ImageError::Passing(words));
        }
    }
    let out = tar.into_inner()?.into_inner();
    out.map(drop).map_err(|error| error.into_error().into())
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
