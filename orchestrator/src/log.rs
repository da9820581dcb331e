//! An attempt's log: both streams in one order, each piece with its time and its number.
//!
//! While the container runs the log is a directory of segment files, which an owner appends to and
//! anybody may read at once; then it is one blob of the same records. Both are bounded: of a long
//! log the first and the last part are kept, and a reader is told how much is missing in between.
//!
//! A **record** is one line of text:
//!
//! ```text
//! 2026-01-02T03:04:05.678901234Z 17 o the text itself
//! ```
//!
//! time, number of the chunk, stream (`o` standard output, `e` standard error), text. A record
//! stands for its text and a newline; `o-` says that no newline belongs to it, `o+` that the chunk
//! goes on in the next record, `o-+` both. A gap is a record `x` whose text is how many bytes are
//! missing, or `?`. The **bare text** is what the records stand for, one after the other.

mod live;
mod read;
mod record;
mod render;
mod segment;
mod store;
mod write;

pub use self::{
    read::{LogError, LogText, Logs, ReadOptions},
    record::{LogRecord, Text},
    store::store,
    write::AttemptLog,
};
