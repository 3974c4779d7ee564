//! The flow table as `conntrack -L` of conntrack-tools prints it, one line a flow, for scripts that read that.

use std::io::{self, Write};

use netlab_common::abi::flow::Kind;
use netlab_common::net::protocol;

use super::protocol_name;
use crate::conntrack::{TupleView, View};

/// Type of an ICMP echo request.
const ECHO_REQUEST: u8 = 8;
/// Type of an ICMP echo reply.
const ECHO_REPLY: u8 = 0;

/// Writes the flows, and gives their number.
///
/// # Errors
/// What the writer says.
pub fn write_conntrack(out: &mut impl Write, flows: impl Iterator<Item = View>) -> io::Result<u64> {
    let mut count = 0;
    // conntrack knows no mappings, only the flows that use them.
    for flow in flows.filter(|flow| flow.kind != Kind::Mapping) {
        line(out, &flow)?;
        count += 1;
    }
    Ok(count)
}

fn line(out: &mut impl Write, flow: &View) -> io::Result<()> {
    write!(out, "{:<8} {} {} ", protocol_name(flow.protocol), flow.protocol, flow.expires_s)?;
    // Only TCP has states there; of the others, the words in brackets say all.
    if flow.protocol == protocol::TCP {
        write!(out, "{} ", flow.state)?;
    }
    side(out, flow, &flow.original, 0)?;
    if !flow.replied {
        out.write_all(b"[UNREPLIED] ")?;
    }
    side(out, flow, &flow.reply, 1)?;
    // There the word stays with a connection that is closed.
    if flow.proven {
        out.write_all(b"[ASSURED] ")?;
    }
    // No flow here has a mark, nor more users than the table.
    out.write_all(b"mark=0 use=1\n")
}

fn side(out: &mut impl Write, flow: &View, tuple: &TupleView, direction: usize) -> io::Result<()> {
    let TupleView { src, dst, sport, dport } = tuple;
    write!(out, "src={src} dst={dst} ")?;
    if flow.protocol == protocol::ICMP {
        let number = [ECHO_REQUEST, ECHO_REPLY][direction];
        write!(out, "type={number} code=0 id={} ", sport.max(dport))?;
    } else {
        write!(out, "sport={sport} dport={dport} ")?;
    }
    write!(out, "packets={} bytes={} ", flow.packets[direction], flow.bytes[direction])
}

#[cfg(test)]
mod tests {
    use netlab_common::conntrack::state;

    use super::write_conntrack;
    use crate::conntrack::samples::{icmp, seen, tcp, udp};

    #[test]
    fn lines_are_those_of_conntrack_tools() {
        let established = state::REPLIED | state::SYN_ANSWERED | state::ESTABLISHED;
        let mut long = seen(tcp(), established);
        long.expires_s = 431_999;
        let flows = [
            long,
            seen(tcp(), 0),
            seen(tcp(), established | state::FINS),
            seen(udp(), state::REPLIED),
            seen(udp(), 0),
            seen(icmp(), 0),
            seen(icmp(), state::REPLIED),
        ];
        let mut text = Vec::new();
        assert_eq!(write_conntrack(&mut text, flows.into_iter()).unwrap(), 7);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\
tcp      6 431999 ESTABLISHED src=10.10.0.10 dst=8.8.8.8 sport=5555 dport=80 packets=3 bytes=180 src=8.8.8.8 dst=192.168.0.108 sport=80 dport=5555 packets=2 bytes=120 [ASSURED] mark=0 use=1
tcp      6 240 SYN_SENT src=10.10.0.10 dst=8.8.8.8 sport=5555 dport=80 packets=3 bytes=180 [UNREPLIED] src=8.8.8.8 dst=192.168.0.108 sport=80 dport=5555 packets=2 bytes=120 mark=0 use=1
tcp      6 120 TIME_WAIT src=10.10.0.10 dst=8.8.8.8 sport=5555 dport=80 packets=3 bytes=180 src=8.8.8.8 dst=192.168.0.108 sport=80 dport=5555 packets=2 bytes=120 [ASSURED] mark=0 use=1
udp      17 300 src=10.10.0.10 dst=8.8.8.8 sport=5353 dport=53 packets=3 bytes=180 src=8.8.8.8 dst=192.168.0.108 sport=53 dport=1024 packets=2 bytes=120 [ASSURED] mark=0 use=1
udp      17 120 src=10.10.0.10 dst=8.8.8.8 sport=5353 dport=53 packets=3 bytes=180 [UNREPLIED] src=8.8.8.8 dst=192.168.0.108 sport=53 dport=1024 packets=2 bytes=120 mark=0 use=1
icmp     1 60 src=10.10.0.10 dst=8.8.8.8 type=8 code=0 id=77 packets=3 bytes=180 [UNREPLIED] src=8.8.8.8 dst=192.168.0.108 type=0 code=0 id=77 packets=2 bytes=120 mark=0 use=1
icmp     1 60 src=10.10.0.10 dst=8.8.8.8 type=8 code=0 id=77 packets=3 bytes=180 src=8.8.8.8 dst=192.168.0.108 type=0 code=0 id=77 packets=2 bytes=120 [ASSURED] mark=0 use=1
"
        );
    }
}
