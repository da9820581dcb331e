//! Images as they are shown. Names and the like come from strangers.

use fileyard_oci::image::{Image, Removed};
use serde::Serialize;

use crate::{
    command::show::{columns, plain},
    config::show_size,
};

/// What there is to tell.
pub(super) enum Told {
    /// Those that are here.
    List(Vec<Image>),
    /// Those that came.
    Images(Vec<Image>),
    /// What went.
    Removed(Vec<Removed>),
}

/// An image in JSON.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    digest: &'a str,
    references: &'a [String],
    size: u64,
    created: Option<&'a str>,
    entrypoint: &'a [String],
    command: &'a [String],
    env: &'a [String],
    working_dir: &'a str,
    volumes: &'a [String],
    user: &'a str,
}

#[derive(Serialize)]
struct Images<'a> {
    images: Vec<Shown<'a>>,
}

/// All that went, in JSON.
#[derive(Default, Serialize)]
struct Gone {
    references: Vec<String>,
    images: Vec<String>,
    layers: usize,
    bytes: u64,
    held: usize,
}

impl Told {
    pub(super) fn json(&self) -> String {
        let text = match self {
            Self::List(images) | Self::Images(images) => {
                serde_json::to_string(&Images { images: images.iter().map(Shown::of).collect() })
            }
            Self::Removed(removed) => serde_json::to_string(&Gone::of(removed)),
        };
        text.expect("it has no maps and no strange numbers")
    }

    pub(super) fn for_a_person(&self) -> String {
        match self {
            Self::List(images) => table(images),
            Self::Images(images) => {
                let rows = images.iter().flat_map(|image| {
                    names(image).into_iter().map(|name| [name, image.digest.clone()])
                });
                columns(&rows.collect::<Vec<_>>())
            }
            Self::Removed(removed) => Gone::of(removed).for_a_person(),
        }
    }
}

impl<'a> Shown<'a> {
    fn of(image: &'a Image) -> Self {
        let config = &image.config;
        Self {
            digest: &image.digest,
            references: &image.references,
            size: image.size,
            created: image.created.as_deref(),
            entrypoint: &config.entrypoint,
            command: &config.command,
            env: &config.env,
            working_dir: &config.working_dir,
            volumes: &config.volumes,
            user: &config.user,
        }
    }
}

impl Gone {
    fn of(removed: &[Removed]) -> Self {
        removed.iter().cloned().fold(Self::default(), |mut all, one| {
            all.references.extend(one.references);
            all.images.extend(one.images);
            all.layers += one.layers;
            all.bytes += one.bytes;
            // Those that stay are counted anew each time.
            all.held = all.held.max(one.held);
            all
        })
    }

    fn for_a_person(&self) -> String {
        let mut lines: Vec<String> = self
            .references
            .iter()
            .map(|name| format!("{}: no name any more", plain(name)))
            .collect();
        lines.extend(self.images.iter().map(|digest| format!("{digest}: removed")));
        let size = show_size(self.bytes);
        lines.push(format!("{} layers with {size} of files were removed", self.layers));
        if self.held > 0 {
            let held = self.held;
            lines.push(format!(
                "{held} layers stay as long as containers stand on them: prune later"
            ));
        }
        lines.join("\n")
    }
}

fn table(images: &[Image]) -> String {
    let heads = ["IMAGE", "DIGEST", "CREATED", "SIZE"].map(String::from);
    let rows = images.iter().flat_map(|image| {
        let created = image.created.as_deref().and_then(|at| at.get(..10)).unwrap_or("-");
        let digest = image.digest.get(..19).unwrap_or(&image.digest);
        names(image)
            .into_iter()
            .map(move |name| [name, digest.to_owned(), plain(created), show_size(image.size)])
    });
    columns(&std::iter::once(heads).chain(rows).collect::<Vec<_>>())
}

/// One at least.
fn names(image: &Image) -> Vec<String> {
    if image.references.is_empty() {
        return vec!["-".to_owned()];
    }
    image.references.iter().map(|name| plain(name)).collect()
}
