//! What a program has given back by the `urls` contract, as its attempt's row knows it.
//!
//! An output has its place here before the first of its bytes is stored, and its size and digest
//! after the last. Nothing here says what becomes of it: outputs and result exist only once their
//! job has succeeded.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    blob::Digest,
    id::Fence,
    job::{Output, Place, Refusal},
};

/// How a container is given its work, and how it gives back what it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// By directories: `/in` and `/out`.
    #[default]
    Files,
    /// By addresses in its environment.
    Urls,
}

impl Contract {
    /// As it stands in the config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Urls => "urls",
        }
    }
}

/// Outputs and result that came by addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// How many outputs were ever begun: the next one's index.
    pub begun: u32,
    /// Those that are being stored or stored, in the order in which they were begun. Of one name at
    /// most one is stored: the last to begin of those that were stored.
    pub outputs: Vec<GivenOutput>,
    /// The last result that was sent.
    pub result: Option<GivenResult>,
    /// What was over its limit, for a person: the job will fail by it.
    pub over: Option<String>,
}

/// One output, from before its first byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenOutput {
    /// Where it is stored, or being stored.
    pub place: Place,
    /// As its program named it.
    pub name: String,
    /// What it is, once all of it is stored.
    pub stored: Option<Stored>,
}

/// What is stored at an output's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Sniffed, else by extension.
    pub content_type: String,
    /// In bytes.
    pub size: u64,
    /// Of the whole content.
    pub sha256: Digest,
}

/// The last result that a program sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum GivenResult {
    /// JSON within its bounds.
    Valid {
        /// It.
        value: Value,
    },
    /// Something else, which its program was told.
    Invalid {
        /// What was wrong.
        words: String,
    },
}

/// What a program does to its outputs and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gift {
    /// Begins an output, whose index is then [`Given::begun`] less one.
    Begin {
        /// Its name.
        name: String,
    },
    /// All of it is stored. Of its name the last to begin stays, in whichever order two of them
    /// are stored: so whoever removes the other needs to know nothing but both places.
    Store {
        /// Which.
        index: u32,
        /// What is stored.
        stored: Stored,
    },
    /// It broke off.
    Drop {
        /// Which.
        index: u32,
    },
    /// Sends a result, which takes the place of the one before.
    Result {
        /// It.
        result: GivenResult,
    },
    /// Sent more than it may. The first words stay.
    Over {
        /// What, for a person.
        words: String,
    },
}

impl Given {
    /// The outputs that are stored, by name, as a job lists them.
    #[must_use]
    pub fn manifest(&self) -> Vec<Output> {
        let stored = |it: &GivenOutput| {
            let Stored { content_type, size, sha256 } = it.stored.clone()?;
            Some(Output {
                name: it.name.clone(),
                content_type,
                size,
                sha256,
                place: Some(it.place),
            })
        };
        let mut manifest: Vec<_> = self.outputs.iter().filter_map(stored).collect();
        manifest.sort_by(|a, b| a.name.cmp(&b.name));
        manifest
    }

    /// Whether something is stored at this place.
    #[must_use]
    pub fn has(&self, place: Place) -> bool {
        self.outputs.iter().any(|output| output.place == place && output.stored.is_some())
    }

    pub(super) fn take(&mut self, gift: &Gift, fence: Fence) -> Result<(), Refusal> {
        match gift {
            Gift::Begin { name } => {
                let place = Place { fence, index: self.begun };
                self.begun += 1;
                self.outputs.push(GivenOutput { place, name: name.clone(), stored: None });
            }
            Gift::Store { index, stored } => {
                let place = Place { fence, index: *index };
                let pending = |it: &&mut GivenOutput| it.place == place && it.stored.is_none();
                let Some(output) = self.outputs.iter_mut().find(pending) else {
                    return Err(Refusal::NoSuchEdge {
                        noun: "output",
                        from: "not begun",
                        event: "be stored",
                    });
                };
                output.stored = Some(stored.clone());
                let name = output.name.clone();
                let of_it = |it: &GivenOutput| it.name == name && it.stored.is_some();
                let last = self.outputs.iter().rposition(of_it);
                let mut at = 0..;
                self.outputs.retain(|it| at.next() == last || !of_it(it));
            }
            Gift::Drop { index } => {
                self.outputs.retain(|it| it.place.index != *index || it.stored.is_some());
            }
            Gift::Result { result } => self.result = Some(result.clone()),
            Gift::Over { words } => {
                self.over.get_or_insert_with(|| words.clone());
            }
        }
        Ok(())
    }

    /// What was on its way to an owner that is gone went with it.
    pub(super) fn cut(&mut self) {
        self.outputs.retain(|output| output.stored.is_some());
    }
}
