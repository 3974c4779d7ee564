//! Netlink in plain bytes, for kinds of messages that no crate here knows: one question, and all its answers. The
//! socket is bound to the namespace it was opened in, and waits, because it is asked where nothing else can go on.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLM_F_DUMP_INTR`: set on answers of a list that changed while it was read.
const INTERRUPTED: u16 = 0x10;
/// So often a list is read that changes meanwhile. What is missing at last will be seen at the next look.
const TRIES: usize = 4;
/// Flags on an attribute's kind: nested, and in network order.
const KIND_FLAGS: u16 = 0xc000;

/// A socket of one netlink family.
#[derive(Debug)]
pub(super) struct RawSocket(OwnedFd);

/// The kind of a message, and what follows its header.
pub(super) type Answer = (u16, Vec<u8>);

impl From<OwnedFd> for RawSocket {
    fn from(socket: OwnedFd) -> Self {
        RawSocket(socket)
    }
}

impl RawSocket {
    /// Opens the socket in the namespace that the thread is in.
    pub(super) fn open(family: SockProtocol) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        Ok(RawSocket(socket(AddressFamily::Netlink, SockType::Raw, flags, family)?))
    }

    /// All objects of a list.
    pub(super) fn list(&self, kind: u16, body: &[u8]) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for _ in 0..TRIES {
            answers.clear();
            if !self.exchange(kind, libc::NLM_F_DUMP, body, &mut answers)? {
                break;
            }
        }
        Ok(answers)
    }

    /// The answers to a question that is acknowledged.
    pub(super) fn ask(&self, kind: u16, body: &[u8]) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        self.exchange(kind, libc::NLM_F_ACK, body, &mut answers)?;
        Ok(answers)
    }

    /// Sends a question and reads up to the last answer; true if they may not belong together.
    fn exchange(&self, kind: u16, flags: i32, body: &[u8], answers: &mut Vec<Answer>) -> io::Result<bool> {
        let mut request = Vec::with_capacity(HEADER + body.len());
        request.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend(((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        request.extend([0; 8]);
        request.extend(body);
        send(self.0.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut buffer = vec![0; 64 * 1024];
        let mut interrupted = false;
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if read_answers(&buffer[..length], answers, &mut interrupted)? {
                return Ok(interrupted);
            }
        }
    }
}

/// Reads one datagram of answers; true when the last one is among them.
fn read_answers(mut bytes: &[u8], answers: &mut Vec<Answer>, interrupted: &mut bool) -> io::Result<bool> {
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let [a, b, c, d, e, f, g, h, ..] = *header;
        let length = u32::from_ne_bytes([a, b, c, d]) as usize;
        let kind = u16::from_ne_bytes([e, f]);
        *interrupted |= u16::from_ne_bytes([g, h]) & INTERRUPTED != 0;
        let Some(body) = bytes.get(HEADER..length) else { return Err(truncated()) };
        match i32::from(kind) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => {
                let code = i32::from_ne_bytes(*body.first_chunk::<4>().ok_or_else(truncated)?);
                return if code == 0 { Ok(true) } else { Err(io::Error::from_raw_os_error(-code)) };
            }
            _ => answers.push((kind, body.to_vec())),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel's answer ends in the middle")
}

/// The attributes in some bytes: kind and value. It ends at the first one that is not whole.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d] = *bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & !KIND_FLAGS, value))
    })
}

/// The attribute of this kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A number in the machine's order.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// A number in network order.
pub(super) fn number_be(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// A text, up to the zero that ends it.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// An attribute as bytes.
pub(super) fn written(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend((length as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written_and_a_broken_one_ends_them() {
        let mut bytes = [written(3, b"eth0\0"), written(4 | 0x8000, &7u32.to_ne_bytes())].concat();
        assert_eq!(attribute(&bytes, 3).map(text).as_deref(), Some("eth0"));
        assert_eq!(attribute(&bytes, 4).and_then(number), Some(7));
        bytes.extend([9, 0, 5, 0]);
        assert_eq!(attributes(&bytes).count(), 2);
        assert_eq!(attributes(&[1, 0, 0, 0]).count(), 0);
    }

    #[test]
    fn a_truncated_answer_is_an_error_and_not_an_endless_loop() {
        let mut bytes = [0u8; 32];
        for length in [400u32, 4] {
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(read_answers(&bytes, &mut Vec::new(), &mut false).is_err());
        }
    }
}
