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
    /// EtherType of a VLAN tag (IEEE 802.1Q).
    pub const VLAN: [u8; 2] = [0x81, 0x00];
    /// EtherType of a service provider's VLAN tag (IEEE 802.1ad).
    pub const SERVICE_VLAN: [u8; 2] = [0x88, 0xa8];
    /// Bytes of a tag.
    pub const TAG_LEN: usize = 4;
}

/// IPv4, RFC 791.
pub mod ipv4 {
    /// Bytes of a header without options.
    pub const MIN_LEN: usize = 20;
    /// Offset of the total length.
    pub const TOTAL_LEN: usize = 2;
    /// Offset of the identification, which all fragments of a datagram share.
    pub const IDENTIFICATION: usize = 4;
    /// Offset of flags and fragment offset.
    pub const FRAGMENT: usize = 6;
    /// In the first byte of those: the packet must not be fragmented.
    pub const DONT_FRAGMENT: u8 = 0x40;
    /// More-fragments flag and fragment offset: not zero in every piece of a fragmented datagram.
    pub const FRAGMENT_MASK: u16 = 0x3fff;
    /// The fragment offset alone, in units of eight bytes: not zero in every fragment but the first.
    pub const OFFSET_MASK: u16 = 0x1fff;
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
    /// The option after which there are none.
    pub const OPTION_END: u8 = 0;
    /// The option that fills a byte.
    pub const OPTION_NONE: u8 = 1;
    /// The option that names routers to pass, among others.
    pub const OPTION_LOOSE_ROUTE: u8 = 0x83;
    /// The option that names all routers to pass.
    pub const OPTION_STRICT_ROUTE: u8 = 0x89;
}

/// IP protocol numbers.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// DCCP.
    pub const DCCP: u8 = 33;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite.
    pub const UDPLITE: u8 = 136;
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

/// SCTP, RFC 9260.
pub mod sctp {
    /// Offset of the checksum, of 4 bytes.
    pub const CHECKSUM: usize = 8;
    /// Bytes of the common header.
    pub const LEN: usize = 12;
}

/// ICMP, RFC 792.
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
    /// Type of a query for the time.
    pub const TIMESTAMP: u8 = 13;
    /// Type of its answer.
    pub const TIMESTAMP_REPLY: u8 = 14;
    /// Type of a query for the sender's network.
    pub const INFORMATION: u8 = 15;
    /// Type of its answer.
    pub const INFORMATION_REPLY: u8 = 16;
    /// Type of a query for the network's mask (RFC 950).
    pub const MASK: u8 = 17;
    /// Type of its answer.
    pub const MASK_REPLY: u8 = 18;
    /// Type of an error: the destination cannot be reached.
    pub const UNREACHABLE: u8 = 3;
    /// Type of an error: send less. Nobody should, any more (RFC 6633); those that come are for the receiver to
    /// ignore.
    pub const QUENCH: u8 = 4;
    /// Type of an error: the time to live, or to put fragments together, is over.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Type of an error: the header makes no sense.
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Code of such an error: communication administratively prohibited (RFC 1812).
    pub const PROHIBITED: u8 = 13;
}
