//! Whether a program can run in an image that has nothing else in it.

use std::{env::consts, fs::File, io, os::unix::fs::FileExt, path::Path};

use crate::image::ImageError;

const HEADER: usize = 64;
/// Program headers that are looked at; programs have about ten.
const MOST_SEGMENTS: u64 = 1024;
const LITTLE_ENDIAN: u8 = 1;
const SIXTY_FOUR_BITS: u8 = 2;
/// Kinds of files: a program, and one that can be anywhere in memory.
const EXECUTABLE: u64 = 2;
const SHARED: u64 = 3;
/// The segment that names a loader.
const INTERPRETER: u64 = 3;

/// Machines, by the number that ELF has for them and what they are called here.
const MACHINES: [(u64, &str); 6] = [
    (3, "x86"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (21, "powerpc64"),
];

/// That it is an ELF program for this machine, linked statically.
pub(super) fn check(path: &Path) -> Result<(), ImageError> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return refuse("it is no file");
    }
    let mut header = [0; HEADER];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return refuse(NO_PROGRAM),
        Err(error) => return Err(error.into()),
    }
    if !header.starts_with(b"\x7fELF") || !matches!(number(&header, 16, 2), EXECUTABLE | SHARED) {
        return refuse(NO_PROGRAM);
    }
    let machine = number(&header, 18, 2);
    let native = cfg!(target_endian = "little") && cfg!(target_pointer_width = "64");
    if !native || (header[4], header[5]) != (SIXTY_FOUR_BITS, LITTLE_ENDIAN) || here() != machine {
        let known = MACHINES.iter().find(|(number, _)| *number == machine);
        let its = known.map_or("another kind of machine", |(_, name)| name);
        let words = format!("it is a program for {its}, and this machine is {}", consts::ARCH);
        return refuse(&words);
    }
    if has_interpreter(&file, &header)? {
        return refuse(
            "it is linked dynamically, and the image would not have its libraries: link it statically \
             (Go: CGO_ENABLED=0; Rust: --target x86_64-unknown-linux-musl; C: -static), or import a \
             root file system that has them",
        );
    }
    Ok(())
}

const NO_PROGRAM: &str = "it is no program: a static one for this machine (ELF) is wanted, and a script needs more than \
     itself, so import a root file system that has its interpreter";

fn has_interpreter(file: &File, header: &[u8]) -> Result<bool, ImageError> {
    let (at, size, count) = (number(header, 32, 8), number(header, 54, 2), number(header, 56, 2));
    let mut kind = [0; 4];
    for n in 0..count.min(MOST_SEGMENTS) {
        let offset = n.checked_mul(size).and_then(|offset| at.checked_add(offset));
        let read = offset.map(|offset| file.read_exact_at(&mut kind, offset));
        match read {
            Some(Ok(())) => {}
            _ => return refuse(NO_PROGRAM).map(|()| false),
        }
        if number(&kind, 0, 4) == INTERPRETER {
            return Ok(true);
        }
    }
    Ok(false)
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn here() -> u64 {
    MACHINES.iter().find(|(_, name)| *name == consts::ARCH).map_or(0, |(number, _)| *number)
}

fn refuse(why: &str) -> Result<(), ImageError> {
    Err(ImageError::Image(why.to_owned()))
}
