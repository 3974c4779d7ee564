//! Traffic-control filters of one interface, and the qdisc that they hang on: a socket bound to the namespace it
//! was opened in. It waits for each answer, because it is asked where nothing else can go on meanwhile.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption};

/// All protocols, in network order, as the lower half of a filter's `info`.
const ALL_PROTOCOLS: u32 = (libc::ETH_P_ALL as u16).to_be() as u32;

/// Which of an interface's two ways a filter sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What arrives.
    Ingress,
    /// What leaves.
    Egress,
}

impl Side {
    fn parent(self) -> TcHandle {
        let minor = match self {
            Side::Ingress => TcHandle::MIN_INGRESS,
            Side::Egress => TcHandle::MIN_EGRESS,
        };
        TcHandle { major: u16::MAX, minor }
    }
}

/// A filter that is a BPF program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Its priority.
    pub priority: u16,
    /// Its handle, which is its own among those of its priority.
    pub handle: u32,
    /// Its name: the program's, unless somebody chose another.
    pub name: String,
    /// The program's number.
    pub program: u32,
}

/// A socket that asks for filters and takes them away.
#[derive(Debug)]
pub struct FilterSocket(OwnedFd);

impl FilterSocket {
    /// Opens the socket in the namespace that the thread is in.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        Ok(FilterSocket(socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?))
    }

    /// How many filters there are on one side of an interface, and those of them that are BPF programs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn filters(&self, index: u32, side: Side) -> io::Result<(usize, Vec<Filter>)> {
        let message = RouteNetlinkMessage::GetTrafficFilter(about(index, TcHandle::UNSPEC, side.parent()));
        let (mut all, mut programs) = (0, Vec::new());
        self.exchange(message, NLM_F_DUMP, |answer| match answer {
            Some(RouteNetlinkMessage::NewTrafficFilter(found)) => {
                // Each priority also has an entry of its own, without a filter's handle.
                all += usize::from(found.header.handle != TcHandle::UNSPEC);
                programs.extend(program(&found));
            }
            // One of a kind that the reader stumbles over is a filter all the same.
            None => all += 1,
            Some(_) => {}
        })?;
        Ok((all, programs))
    }

    /// The kind of qdisc that stands where filters of both ways hang: `clsact`, `ingress`, or nothing.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn hook(&self, index: u32) -> io::Result<Option<String>> {
        let everything = about(index, TcHandle::UNSPEC, TcHandle::UNSPEC);
        let mut kind = None;
        self.exchange(RouteNetlinkMessage::GetQueueDiscipline(everything), NLM_F_DUMP, |answer| {
            // The kernel lists those of all interfaces.
            if let Some(RouteNetlinkMessage::NewQueueDiscipline(found)) = answer
                && found.header.index == index as i32
                && found.header.parent == TcHandle::CLSACT
            {
                kind = found.attributes.iter().find_map(|one| match one {
                    TcAttribute::Kind(kind) => Some(kind.clone()),
                    _ => None,
                });
            }
        })?;
        Ok(kind)
    }

    /// Takes a filter away. That it is gone already is fine.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn delete(&self, index: u32, side: Side, filter: &Filter) -> io::Result<()> {
        let mut which = about(index, TcHandle::from(filter.handle), side.parent());
        which.header.info = u32::from(filter.priority) << 16 | ALL_PROTOCOLS;
        self.change(RouteNetlinkMessage::DelTrafficFilter(which))
    }

    /// Takes the clsact qdisc of an interface away, with all filters on it. That it is gone already is fine.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn delete_clsact(&self, index: u32) -> io::Result<()> {
        let handle = TcHandle { major: u16::MAX, minor: 0 };
        let mut which = about(index, handle, TcHandle::CLSACT);
        which.attributes.push(TcAttribute::Kind("clsact".to_owned()));
        self.change(RouteNetlinkMessage::DelQueueDiscipline(which))
    }

    fn change(&self, message: RouteNetlinkMessage) -> io::Result<()> {
        match self.exchange(message, NLM_F_ACK, drop) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
            done => done,
        }
    }

    /// Sends a request, and hands on each answer up to the last; `None` for one that cannot be read.
    fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(Option<RouteNetlinkMessage>),
    ) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if read_answers(&buffer[..length], &mut each)? {
                return Ok(());
            }
        }
    }
}

/// Reads one datagram of answers; true when the last one is among them.
fn read_answers(mut bytes: &[u8], each: &mut impl FnMut(Option<RouteNetlinkMessage>)) -> io::Result<bool> {
    while let Some(length) = bytes.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
        let Some(one) = bytes.get(..length).filter(|one| one.len() >= 16) else { return Err(truncated()) };
        match NetlinkMessage::<RouteNetlinkMessage>::deserialize(one).map(|message| message.payload) {
            Ok(NetlinkPayload::Done(_)) => return Ok(true),
            Ok(NetlinkPayload::Error(error)) => match error.code {
                Some(code) => return Err(io::Error::from_raw_os_error(code.get().saturating_neg())),
                None => return Ok(true),
            },
            Ok(NetlinkPayload::InnerMessage(message)) => each(Some(message)),
            Ok(_) => {}
            Err(_) => each(None),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel's list of filters ends in the middle")
}

fn about(index: u32, handle: TcHandle, parent: TcHandle) -> TcMessage {
    let header = TcHeader { index: index as i32, handle, parent, ..TcHeader::default() };
    TcMessage::from_parts(header, Vec::new())
}

/// The BPF program of a filter, if it is one.
fn program(message: &TcMessage) -> Option<Filter> {
    let options = message.attributes.iter().find_map(|one| match one {
        TcAttribute::Options(options) => Some(options),
        _ => None,
    })?;
    let (mut name, mut program) = (String::new(), None);
    for option in options {
        match option {
            TcOption::Bpf(TcFilterBpfOption::ProgName(found)) => name.clone_from(found),
            TcOption::Bpf(TcFilterBpfOption::ProgId(found)) => program = Some(*found),
            _ => {}
        }
    }
    let priority = (message.header.info >> 16) as u16;
    Some(Filter { priority, handle: u32::from(message.header.handle), name, program: program? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_without_filters_is_told_so() {
        let socket = FilterSocket::open().unwrap();
        // The loopback interface is the first of every namespace.
        assert!(socket.hook(1).unwrap().is_none_or(|kind| !kind.is_empty()));
        assert!(socket.filters(u32::MAX >> 1, Side::Ingress).is_ok_and(|(all, _)| all == 0));
    }

    #[test]
    fn a_truncated_answer_is_an_error_and_not_an_endless_loop() {
        let mut bytes = [0u8; 32];
        bytes[..4].copy_from_slice(&400u32.to_ne_bytes());
        assert!(read_answers(&bytes, &mut drop).is_err());
        bytes[..4].copy_from_slice(&4u32.to_ne_bytes());
        assert!(read_answers(&bytes, &mut drop).is_err());
    }
}
