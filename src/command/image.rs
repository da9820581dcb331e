//! `fileyard image`: the images of the embedded engine, in the data directory.
//!
//! It works on the store itself, beside a running server too, and needs none.

mod shown;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use anyhow::anyhow;
use fileyard_oci::image::{
    BuildRequest, Fault, ImageError, ImportOptions, PullOptions, Store, Tar,
};

use tokio::runtime::Runtime;

use self::shown::Told;
use super::{ConfigArgs, say, show::plain};
use crate::{config::Config, failure::Failure};

/// How long what was interrupted may take to clean up.
const GRACE: Duration = Duration::from_secs(10);

/// What is to happen.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    /// Fetches an image from its registry
    Pull(Pull),
    /// Takes images from a tar: docker save's, an OCI layout, or a root file system
    Import(Import),
    /// Makes an image of one static program
    Build(Build),
    /// Lists the images that are here
    List(List),
    /// Removes an image, or one of its names
    Rm(Remove),
    /// Removes images without a name, and what no image has a use for
    Prune(List),
}

/// Shared by all of them.
#[derive(Debug, Clone, clap::Args)]
struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// JSON on standard output, and for errors on standard error
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, clap::Args)]
struct Pull {
    /// The image: alpine, alpine:3.20, registry.example/team/tool@sha256:...
    image: String,
    /// Nothing on standard error while it is fetched
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    shared: List,
}

#[derive(Debug, Clone, clap::Args)]
struct Import {
    /// The tar, compressed or not; - is standard input
    tar: PathBuf,
    /// The image's name, in place of those in the tar; a root file system has none of its own
    #[arg(short = 't', long = "tag", value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    shared: List,
}

#[derive(Debug, Clone, clap::Args)]
struct Build {
    /// The image's name
    #[arg(short = 't', long = "tag", value_name = "NAME")]
    name: String,
    /// The program: static, and for this machine
    binary: PathBuf,
    /// A file, and where it is in the image; may be repeated
    #[arg(long = "file", value_name = "FROM:TO", value_parser = from_to)]
    files: Vec<(PathBuf, PathBuf)>,
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    shared: List,
}

/// What a container of an image runs.
#[derive(Debug, Clone, clap::Args)]
struct Program {
    /// The program in the image, and its first arguments, one each time
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// A variable of its environment; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The directory that it starts in
    #[arg(long, value_name = "DIRECTORY", default_value = "")]
    workdir: String,
    /// Its other arguments
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct Remove {
    /// A name, or the first digits of a digest: sha256:0123456789ab
    #[arg(required = true)]
    images: Vec<String>,
    #[command(flatten)]
    shared: List,
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        self.command.shared().json
    }
}

/// Does it.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let shared = args.command.shared();
    let config = Config::load(&shared.config.sources(None))?;
    let store = Store::open(&config.data.join("images")).map_err(local)?;
    let told = match &args.command {
        Command::Pull(pull) => return fetch(&store, pull, config.engine.mirrors),
        Command::Import(import) => Told::Images(imported(&store, import).map_err(local)?),
        Command::Build(build) => Told::Images(vec![store.build(&build.request()).map_err(local)?]),
        Command::List(_) => Told::List(store.list().map_err(local)?),
        Command::Rm(remove) => {
            let removed = remove.images.iter().map(|image| store.remove(image));
            Told::Removed(removed.collect::<Result<_, _>>().map_err(local)?)
        }
        Command::Prune(_) => Told::Removed(vec![store.prune().map_err(local)?]),
    };
    tell(told, shared.json)
}

/// The first Ctrl-C ends it and leaves nothing of it; the runtime waits for what it is at.
fn fetch(store: &Store, pull: &Pull, mirrors: BTreeMap<String, String>) -> Result<(), Failure> {
    let progress = |line: String| {
        if !pull.quiet {
            eprintln!("{}", plain(&line));
        }
    };
    let options = PullOptions { mirrors, ..PullOptions::default() };
    let runtime = Runtime::new().map_err(|error| Failure::Service(error.into()))?;
    let pulled = runtime.block_on(async {
        tokio::select! {
            // Listened for before anything is begun.
            biased;
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted: nothing of it is here")),
            pulled = store.pull(&pull.image, &options, &progress) => Ok(pulled),
        }
    });
    runtime.shutdown_timeout(GRACE);
    let image = pulled.map_err(Failure::Service)?.map_err(|error| match error.kind() {
        Fault::Passing => Failure::Unreachable(error.to_string()),
        _ => local(error),
    })?;
    tell(Told::Images(vec![image]), pull.shared.json)
}

fn imported(store: &Store, import: &Import) -> Result<Vec<fileyard_oci::image::Image>, ImageError> {
    let program = import.program.clone();
    let options = ImportOptions {
        name: import.name.clone(),
        entrypoint: program.entrypoint,
        command: program.command,
        env: program.env,
        working_dir: program.workdir,
    };
    if import.tar.as_os_str() != "-" {
        return store.import(Tar::File(&import.tar), &options);
    }
    if io::stdin().is_terminal() {
        let words = "a tar is expected on standard input: fileyard image import - < image.tar";
        return Err(ImageError::Image(words.into()));
    }
    store.import(Tar::Stream(&mut io::stdin().lock()), &options)
}

fn tell(told: Told, json: bool) -> Result<(), Failure> {
    match (json, told) {
        (true, told) => say(&told.json()),
        (false, Told::List(images)) if images.is_empty() => {
            eprintln!("There is no image yet: fileyard image pull, import or build make one.");
            Ok(())
        }
        (false, told) => say(&told.for_a_person()),
    }
}

impl Command {
    fn shared(&self) -> &List {
        match self {
            Self::Pull(Pull { shared, .. })
            | Self::Import(Import { shared, .. })
            | Self::Build(Build { shared, .. })
            | Self::Rm(Remove { shared, .. })
            | Self::List(shared)
            | Self::Prune(shared) => shared,
        }
    }
}

impl Build {
    fn request(&self) -> BuildRequest {
        let program = self.program.clone();
        BuildRequest {
            name: self.name.clone(),
            binary: self.binary.clone(),
            files: self.files.clone(),
            entrypoint: program.entrypoint,
            command: program.command,
            env: program.env,
            working_dir: program.workdir,
        }
    }
}

/// The last colon parts them: there may be some in the name of a file here.
fn from_to(text: &str) -> Result<(PathBuf, PathBuf), String> {
    match text.rsplit_once(':') {
        Some((from, to)) if !from.is_empty() && to.starts_with('/') => Ok((from.into(), to.into())),
        _ => Err("write it like ./tool.conf:/etc/tool.conf".into()),
    }
}

/// Whatever it is, it is here: an image, a name, the disk.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn local(error: ImageError) -> Failure {
    Failure::Usage(error.to_string())
}
