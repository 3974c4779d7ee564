//! Header layouts: where each field stands, in bytes from the start of its header, and the numbers of the
//! wire. Only what the pipeline reads.

pub mod checksum;
pub mod hash;

/// Ethernet II.
pub mod eth {
    /// Bytes of the header.
    pub const LEN: usize = 14;
    /// Offset of the EtherType.
    pub const TYPE: usize = 12;
    /// EtherType of IPv4.
    pub const IPV4: [u8; 2] = [0x08, 0x00];
}

/// IPv4, RFC 791.
pub mod ipv4 {
    /// Bytes of a header without options.
    pub const MIN_LEN: usize = 20;
    /// Offset of the total length.
    pub const TOTAL_LEN: usize = 2;
    /// Offset of flags and fragment offset.
    pub const FRAGMENT: usize = 6;
    /// More-fragments flag and fragment offset: not zero in every piece of a fragmented datagram.
    pub const FRAGMENT_MASK: u16 = 0x3fff;
    /// Offset of the time to live.
    pub const TTL: usize = 8;
    /// Offset of the protocol number.
    pub const PROTOCOL: usize = 9;
    /// Offset of the header checksum.
    pub const CHECKSUM: usize = 10;
    /// Offset of the source address.
    pub const SRC: usize = 12;
    /// Offset of the destination address.
    pub const DST: usize = 16;
}

/// IP protocol numbers.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
}

/// Source and destination port stand in the same place in TCP and UDP.
pub mod ports {
    /// Offset of the source port.
    pub const SRC: usize = 0;
    /// Offset of the destination port.
    pub const DST: usize = 2;
}

/// TCP, RFC 9293.
pub mod tcp {
    /// Offset of the sequence number.
    pub const SEQUENCE: usize = 4;
    /// Offset of the acknowledgement number.
    pub const ACKNOWLEDGEMENT: usize = 8;
    /// Offset of the header length, in its upper four bits, in units of four bytes.
    pub const DATA_OFFSET: usize = 12;
    /// Offset of the flag byte.
    pub const FLAGS: usize = 13;
    /// Offset of the checksum.
    pub const CHECKSUM: usize = 16;
    /// Bytes of a header without options.
    pub const MIN_LEN: usize = 20;
    /// The sender has no more data.
    pub const FIN: u8 = 0x01;
    /// Opens a connection.
    pub const SYN: u8 = 0x02;
    /// Ends a connection at once.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// UDP, RFC 768.
pub mod udp {
    /// Offset of the checksum; zero there means that the sender made none.
    pub const CHECKSUM: usize = 6;
    /// Bytes of the header.
    pub const LEN: usize = 8;
}

/// ICMP echo, RFC 792.
pub mod icmp {
    /// Offset of the checksum.
    pub const CHECKSUM: usize = 2;
    /// Offset of the echo identifier.
    pub const IDENTIFIER: usize = 4;
    /// Bytes of an echo header, and of an error's before what it quotes.
    pub const LEN: usize = 8;
    /// Type of an echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Type of an echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Type of an error: the destination cannot be reached.
    pub const UNREACHABLE: u8 = 3;
    /// Code of such an error: communication administratively prohibited (RFC 1812).
    pub const PROHIBITED: u8 = 13;
}
