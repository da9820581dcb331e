//! Open files on their way from one process of ours to another, by a socket.

use std::{
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    cmsg_space,
    io::retry_on_intr,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};

/// As many as are ever sent at once: a user namespace and a network namespace.
const MOST: usize = 2;
/// The longest words that go along.
const MOST_WORDS: usize = 4096;

/// Two ends; what is sent at one is received at the other as it was sent, whole.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends handles and words. There must be some of the one or the other.
pub(crate) fn send(by: impl AsFd, handles: &[BorrowedFd<'_>], words: &str) -> io::Result<()> {
    let words = &words.as_bytes()[..words.len().min(MOST_WORDS)];
    // Nothing but handles would be no message.
    let words = if words.is_empty() { b"\n" } else { words };
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut sent = SendAncillaryBuffer::new(&mut space);
    if !handles.is_empty() && !sent.push(SendAncillaryMessage::ScmRights(handles)) {
        return Err(ErrorKind::InvalidInput.into());
    }
    let (by, words) = (by.as_fd(), [IoSlice::new(words)]);
    retry_on_intr(|| sendmsg(by, &words, &mut sent, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// What was sent at the other end; an error when that is closed.
pub(crate) fn receive(by: impl AsFd) -> io::Result<(Vec<OwnedFd>, String)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let mut words = vec![0; MOST_WORDS];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let read = loop {
        match recvmsg(by.as_fd(), &mut [IoSliceMut::new(&mut words)], &mut received, flags) {
            Err(rustix::io::Errno::INTR) => {}
            read => break read?.bytes,
        }
    };
    if read == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let handles = received.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(handles) => Some(handles),
        _ => None,
    });
    let handles = handles.flatten().collect();
    Ok((handles, String::from_utf8_lossy(&words[..read]).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Write},
    };

    use rustix::pipe::pipe;

    use super::*;

    #[test]
    fn handles_and_words_arrive_as_they_were_sent() {
        let (here, there) = pair().unwrap();
        let (out, into) = pipe().unwrap();
        send(&here, &[into.as_fd(), out.as_fd()], "").unwrap();
        send(&here, &[], "no more").unwrap();
        drop((here, into));
        let (mut handles, words) = receive(&there).unwrap();
        assert_eq!((handles.len(), words), (2, String::new()));
        File::from(handles.remove(0)).write_all(b"through").unwrap();
        drop(handles);
        let mut said = String::new();
        File::from(out).read_to_string(&mut said).unwrap();
        assert_eq!(said, "through");
        let (handles, words) = receive(&there).unwrap();
        assert!(handles.is_empty() && words == "no more", "{words}");
        assert_eq!(receive(&there).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
