//! `multipart/form-data` (RFC 7578), read as it arrives.
//!
//! The scanner is our own, and the only one: the usual parsers keep preambles and headers without
//! bound, and refuse file names that are not UTF-8 or hold a NUL, which here are data.

mod charset;
mod disposition;
mod form;
mod scanner;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    disposition::{Disposition, boundary, display_name},
    form::{Form, FormError},
    scanner::{Malformed, Piece, Scanner},
};
