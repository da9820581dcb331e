//! The least a server can do with a file: its bytes from the socket into a file, or nowhere. No
//! digest, no row, no sync: what fileyard's speed is compared to.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, ensure};

use crate::{data::CHUNK, http};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    listen: SocketAddr,
    /// Where files go; without it they are dropped
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Until it is ended from outside.
pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let listener =
        TcpListener::bind(args.listen).with_context(|| format!("listening on {}", args.listen))?;
    loop {
        let (stream, _) = listener.accept()?;
        let dir = args.dir.clone();
        thread::spawn(move || {
            if let Err(error) = serve(stream, dir.as_deref()) {
                let _ = writeln!(io::stderr(), "{error:#}");
            }
        });
    }
}

fn serve(stream: TcpStream, dir: Option<&Path>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut answer = stream.try_clone()?;
    let mut stream = BufReader::new(stream);
    let mut buffer = vec![0; CHUNK];
    while let Some(head) = http::head(&mut stream)? {
        let name = head.line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        ensure!(name.chars().all(safe) && !name.contains(".."), "no name of a file: {name}");
        match dir {
            Some(dir) if !name.is_empty() => {
                take(&mut stream, head.length, &mut buffer, &mut File::create(dir.join(name))?)?;
            }
            _ => take(&mut stream, head.length, &mut buffer, &mut io::sink())?,
        }
        answer.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}

fn take(
    from: &mut impl Read,
    length: u64,
    buffer: &mut [u8],
    to: &mut impl Write,
) -> anyhow::Result<()> {
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = from.read(&mut buffer[..most])?;
        ensure!(n > 0, "the connection ended {left} bytes before the file's end");
        to.write_all(&buffer[..n])?;
        left -= n as u64;
    }
    Ok(())
}
