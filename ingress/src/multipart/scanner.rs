//! The byte scanner: finds the parts of a form, and holds no more than a part's header, whatever a
//! client sends and however it is cut into pieces.
//!
//! It knows no body and no runtime: `fuzz/` takes this file as it is.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// A part's header, from its boundary to its empty line.
pub(crate) const MAX_HEADER: usize = 16 * 1024;
/// What stands before the first boundary, or after the last one; nobody reads it.
pub(crate) const MAX_AROUND: usize = 16 * 1024;

/// What the scanner finds, in order: `Header`, any number of `Data`, the next `Header`, `End`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A part begins; its header's lines, without the empty one.
    Header(Bytes),
    /// A piece of the part's content.
    Data(Bytes),
    /// The last part has ended. What follows is not part of the form.
    End,
}

/// Why bytes are not a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The boundary is not where it should be.
    #[error("more than {MAX_AROUND} bytes stand before the form's first boundary")]
    Preamble,
    /// More follows than anybody needs.
    #[error("more than {MAX_AROUND} bytes stand after the form's last boundary")]
    Epilogue,
    /// A part's header does not end.
    #[error("a part's header is longer than {MAX_HEADER} bytes")]
    Header,
    /// A boundary's line goes on.
    #[error("something else stands behind a boundary")]
    Boundary,
}

/// Reads pushed bytes, gives back pieces.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// `\r\n--boundary`: what ends a part's content.
    delimiter: memmem::Finder<'static>,
    /// What is not given out yet.
    buffer: BytesMut,
    /// And what follows it, of a part's content: as it was pushed, so that a file's bytes are not
    /// copied here.
    pushed: Bytes,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary; so many bytes of it are gone.
    Preamble(usize),
    /// Right behind a boundary.
    Boundary,
    /// In a part's header; its line break is still in the buffer.
    Header,
    /// In a part's content.
    Content,
    /// Behind the last boundary; so many bytes were ignored. Whether `End` was given.
    Epilogue(usize, bool),
}

impl Scanner {
    /// A scanner for this boundary, which is neither empty nor longer than 70 bytes.
    #[must_use]
    pub(crate) fn new(boundary: &[u8]) -> Self {
        let delimiter = [b"\r\n--", boundary].concat();
        Self {
            delimiter: memmem::Finder::new(&delimiter).into_owned(),
            // The first boundary may stand at the very start: as if a line had ended there.
            buffer: BytesMut::from(&b"\r\n"[..]),
            pushed: Bytes::new(),
            state: State::Preamble(0),
        }
    }

    /// Takes what arrived. Call [`Scanner::next`] until it wants more before pushing again: then
    /// no more than a header's length is ever held beside the pushed piece.
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        self.take_in();
        match self.state {
            State::Content => self.pushed = bytes.clone(),
            _ => self.buffer.extend_from_slice(bytes),
        }
    }

    /// What is held between two pushes, in bytes: for tests.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub(crate) fn held(&self) -> usize {
        self.buffer.len() + self.pushed.len()
    }

    /// Whether the form is complete.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Epilogue(..))
    }

    /// The next piece; `None` when more bytes are needed for it.
    ///
    /// # Errors
    /// [`Malformed`]; the scanner is of no use then.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Malformed> {
        loop {
            let step = match self.state {
                State::Preamble(gone) => self.preamble(gone)?,
                State::Boundary => self.boundary()?,
                State::Header => self.header()?,
                State::Content => self.content(),
                State::Epilogue(ignored, given) => return self.epilogue(ignored, given),
            };
            match step {
                Step::Next => {}
                Step::More => return Ok(None),
                Step::Piece(piece) => return Ok(Some(piece)),
            }
        }
    }

    fn preamble(&mut self, gone: usize) -> Result<Step, Malformed> {
        let (skipped, found) = self.skip_to_delimiter();
        let gone = gone + skipped;
        if gone > MAX_AROUND {
            return Err(Malformed::Preamble);
        }
        self.state = if found { State::Boundary } else { State::Preamble(gone) };
        Ok(if found { Step::Next } else { Step::More })
    }

    /// `--` ends the form; else spaces, then a line break, begin a part.
    fn boundary(&mut self) -> Result<Step, Malformed> {
        if self.buffer.starts_with(b"--") {
            self.buffer.advance(2);
            self.state = State::Epilogue(0, false);
            return Ok(Step::Next);
        }
        let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if padding > MAX_AROUND {
            return Err(Malformed::Boundary);
        }
        match &self.buffer[padding..] {
            [b'\r', b'\n', ..] => {
                self.buffer.advance(padding);
                self.state = State::Header;
                Ok(Step::Next)
            }
            [] | [b'\r'] => Ok(Step::More),
            [b'-'] if padding == 0 => Ok(Step::More),
            _ => Err(Malformed::Boundary),
        }
    }

    /// The buffer begins with the boundary's line break, so that an empty header ends like others.
    fn header(&mut self) -> Result<Step, Malformed> {
        let within = &self.buffer[..self.buffer.len().min(2 + MAX_HEADER + 4)];
        match memmem::find(within, b"\r\n\r\n") {
            Some(end) => {
                let mut header = self.buffer.split_to(end + 4).freeze();
                header.truncate(end);
                header.advance(end.min(2));
                self.state = State::Content;
                Ok(Step::Piece(Piece::Header(header)))
            }
            None if self.buffer.len() >= 2 + MAX_HEADER + 4 => Err(Malformed::Header),
            None => Ok(Step::More),
        }
    }

    fn content(&mut self) -> Step {
        if self.pushed.is_empty() {
            return match self.delimiter.find(&self.buffer) {
                Some(0) => {
                    self.buffer.advance(self.delimiter.needle().len());
                    self.state = State::Boundary;
                    Step::Next
                }
                Some(end) => Step::Piece(Piece::Data(self.buffer.split_to(end).freeze())),
                None => match self.sure(&self.buffer) {
                    0 => Step::More,
                    sure => Step::Piece(Piece::Data(self.buffer.split_to(sure).freeze())),
                },
            };
        }
        if self.buffer.is_empty() {
            let end = self.delimiter.find(&self.pushed).unwrap_or_else(|| self.sure(&self.pushed));
            if end > 0 {
                return Step::Piece(Piece::Data(self.pushed.split_to(end)));
            }
        } else if self.held_is_content() {
            return Step::Piece(Piece::Data(self.buffer.split().freeze()));
        }
        self.take_in();
        Step::Next
    }

    /// Whether no delimiter begins in the few bytes that are held and ends in what was pushed; also
    /// no when too little was pushed to tell.
    fn held_is_content(&mut self) -> bool {
        let (held, rest) = (self.buffer.len(), self.delimiter.needle().len() - 1);
        let Some(first) = self.pushed.get(..rest) else { return false };
        self.buffer.extend_from_slice(first);
        let found = self.delimiter.find(&self.buffer).is_some();
        self.buffer.truncate(held);
        !found
    }

    fn epilogue(&mut self, ignored: usize, given: bool) -> Result<Option<Piece>, Malformed> {
        let ignored = ignored + self.buffer.len();
        self.buffer.clear();
        self.state = State::Epilogue(ignored, true);
        match (ignored > MAX_AROUND, given) {
            (true, _) => Err(Malformed::Epilogue),
            (false, false) => Ok(Some(Piece::End)),
            (false, true) => Ok(None),
        }
    }

    /// Drops what is before the delimiter, and the delimiter if it is there: how much was dropped
    /// before it, and whether it was there.
    fn skip_to_delimiter(&mut self) -> (usize, bool) {
        match self.delimiter.find(&self.buffer) {
            Some(at) => {
                self.buffer.advance(at + self.delimiter.needle().len());
                (at, true)
            }
            None => {
                let sure = self.sure(&self.buffer);
                self.buffer.advance(sure);
                (sure, false)
            }
        }
    }

    /// Copies what was pushed behind what is held.
    fn take_in(&mut self) {
        let pushed = std::mem::take(&mut self.pushed);
        if self.buffer.is_empty() {
            // Not behind a piece that was given out, whose memory would be kept for this.
            self.buffer = BytesMut::from(&pushed[..]);
        } else {
            self.buffer.extend_from_slice(&pushed);
        }
    }

    /// How much of `bytes`, in which no delimiter is, lies before what may be the beginning of one.
    fn sure(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.delimiter.needle().len() - 1);
        memchr::memchr(b'\r', &bytes[from..]).map_or(bytes.len(), |at| from + at)
    }
}

enum Step {
    /// The state has changed.
    Next,
    /// More bytes are needed.
    More,
    /// Found something.
    Piece(Piece),
}
