//! A form as its handler reads it: one part after the other, from a body that arrives.

use bytes::Bytes;

use super::{Disposition, Malformed, Piece, Scanner, charset::Charset};
use crate::incoming::{BodyError, Incoming};

/// A field that is no file, in bytes.
const MAX_FIELD: usize = 64 * 1024;
/// All such fields together.
const MAX_FIELDS: usize = 1024 * 1024;
/// Parts of a form, beside its files.
const MAX_PARTS: usize = 1000;

/// Reads a form.
#[derive(Debug)]
pub(crate) struct Form<'a> {
    body: &'a mut Incoming,
    scanner: Scanner,
    /// A part's header that was met while its predecessor was read to its end.
    ahead: Option<Bytes>,
    /// Of the names and values, where they do not say another.
    charset: Charset,
    /// Of the current part's value.
    of_value: Charset,
    parts: usize,
    fields: usize,
}

/// Why a form can not be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    /// It is not a form.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its bytes do not arrive.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body ended before the form.
    #[error("the body ended before the form's last boundary")]
    Truncated,
    /// A part without a field's name.
    #[error("a part has no `Content-Disposition: form-data` that names its field")]
    NoName,
    /// Too many parts.
    #[error("the form has more than {0} parts")]
    TooManyParts(usize),
    /// A field is too large.
    #[error("the field {0:?} is larger than {MAX_FIELD} bytes, or all fields than {MAX_FIELDS}")]
    FieldTooLarge(String),
}

impl<'a> Form<'a> {
    /// A form in this body, with at most `files` files.
    #[must_use]
    pub(crate) fn new(body: &'a mut Incoming, boundary: &[u8], files: usize) -> Self {
        let parts = MAX_PARTS.saturating_add(files);
        let (scanner, charset) = (Scanner::new(boundary), Charset::default());
        Self { body, scanner, ahead: None, charset, of_value: charset, parts, fields: 0 }
    }

    /// The next part; what is left of the one before is dropped. `None` when the form and the body
    /// have both ended well. A field `_charset_` is the form's word about its own encoding, and
    /// is never given out.
    ///
    /// # Errors
    /// [`FormError`].
    pub(crate) async fn part(&mut self) -> Result<Option<Disposition>, FormError> {
        loop {
            match self.any_part().await? {
                Some(part) if part.name == "_charset_" && part.filename.is_none() => {
                    let label = self.value(&part.name).await?;
                    self.charset = Charset::named(label.as_bytes()).unwrap_or(self.charset);
                }
                part => return Ok(part),
            }
        }
    }

    async fn any_part(&mut self) -> Result<Option<Disposition>, FormError> {
        let header = loop {
            if let Some(header) = self.ahead.take() {
                break header;
            }
            match self.piece().await? {
                Some(Piece::Header(header)) => break header,
                Some(Piece::Data(_) | Piece::End) => {}
                None => return Ok(None),
            }
        };
        self.parts = self.parts.checked_sub(1).ok_or(FormError::TooManyParts(MAX_PARTS))?;
        let part = Disposition::parse(&header, self.charset).ok_or(FormError::NoName)?;
        self.of_value = part.charset.unwrap_or(self.charset);
        // Names are kept as values are, so they count as values do.
        self.fields += part.name.len();
        if self.fields > MAX_FIELDS {
            return Err(FormError::FieldTooLarge(part.name.chars().take(80).collect()));
        }
        Ok(Some(part))
    }

    /// More of the current part's content; `None` when it has ended.
    ///
    /// # Errors
    /// [`FormError`].
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>, FormError> {
        if self.ahead.is_some() {
            return Ok(None);
        }
        match self.piece().await? {
            Some(Piece::Data(bytes)) => Ok(Some(bytes)),
            Some(Piece::Header(header)) => {
                self.ahead = Some(header);
                Ok(None)
            }
            Some(Piece::End) | None => Ok(None),
        }
    }

    /// The current part as a field's value; what its encoding has no meaning for becomes U+FFFD.
    ///
    /// # Errors
    /// [`FormError`].
    pub(crate) async fn value(&mut self, name: &str) -> Result<String, FormError> {
        let mut value = Vec::new();
        while let Some(bytes) = self.data().await? {
            self.fields += bytes.len();
            if value.len() + bytes.len() > MAX_FIELD || self.fields > MAX_FIELDS {
                return Err(FormError::FieldTooLarge(name.chars().take(80).collect()));
            }
            value.extend_from_slice(&bytes);
        }
        Ok(self.of_value.text(&value).into_owned())
    }

    async fn piece(&mut self) -> Result<Option<Piece>, FormError> {
        loop {
            if let Some(piece) = self.scanner.next()? {
                return Ok(Some(piece));
            }
            match self.body.chunk().await? {
                Some(bytes) => self.scanner.push(&bytes),
                None if self.scanner.is_done() => return Ok(None),
                None => return Err(FormError::Truncated),
            }
        }
    }
}
