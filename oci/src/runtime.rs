//! One container: what it is told, the helper process that runs it, and what is left to read of it.
//!
//! A container is a directory ([`Place`]) and a helper: this program started again as a process of
//! its own, with one thread, which makes the container by `libcontainer`, writes down what it says
//! and how it ended, and ends. The directory is all that helper and server share, so a server may
//! die and another go on where it was.
//!
//! | file | who writes it | what it says |
//! | --- | --- | --- |
//! | `request.json` | server | what to run; with it the container is created |
//! | `lock` | helper | held for as long as the helper lives |
//! | `begun` | helper | it has been started, once in its life |
//! | `cgroups.json` | helper | which control groups it is in |
//! | `running.json` | helper | who helper and init are |
//! | `log/N` | helper | what the program wrote |
//! | `refused.json` | helper | why it could not be started |
//! | `exit.json` | helper | how it ended |

mod cgroup;
mod filter;
pub mod helper;
mod identity;
mod init;
mod launch;
pub mod log;
mod place;
mod remove;
mod request;
mod rootfs;
mod spec;
mod targets;

pub use self::{
    cgroup::{Cgroups, hasten},
    filter::Filter,
    identity::Identity,
    launch::{Launched, Launcher, last_words},
    place::{Exit, Place, Refusal, Running, Status},
    remove::remove,
    request::{Bind, Limits, Network, Request, Tmpfs},
};
