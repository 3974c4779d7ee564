//! What the bench's programs and `netlab bench` tell each other: arrays of 64-bit words, and which word means what.
//! The agent includes this very file, so that there is one list.

/// What the generator is told, and what it counts. One entry.
pub mod generator {
    /// Name of the map.
    pub const MAP: &str = "GENERATOR";
    /// Words of its entry.
    pub const WORDS: usize = 24;
    /// Flows: after so many the first comes again.
    pub const FLOWS: usize = 0;
    /// Ports: after so many the next address comes, with the first port.
    pub const PORTS: usize = 1;
    /// The first source port.
    pub const FIRST_PORT: usize = 2;
    /// The first source address, as a number.
    pub const SOURCE: usize = 3;
    /// The first destination address, as a number.
    pub const DESTINATION: usize = 4;
    /// 1 if the source address changes from flow to flow, otherwise 0.
    pub const SOURCE_STEP: usize = 5;
    /// The same of the destination address.
    pub const DESTINATION_STEP: usize = 6;
    /// Sum of the IP header without its addresses and its checksum, in network order's words as the machine reads them.
    pub const HEADER_SUM: usize = 7;
    /// Sum of the pseudo header, the UDP header and the payload, without addresses, source port and checksum.
    pub const UDP_SUM: usize = 8;
    /// Interface to which the frames go.
    pub const INTERFACE: usize = 9;
    /// The frame's first 42 bytes, in six words; what changes from frame to frame is zero.
    pub const TEMPLATE: usize = 10;
    /// Counted: frames made.
    pub const MADE: usize = 16;
    /// The next flow's number within the round of flows.
    pub const FLOW: usize = 17;
    /// The next flow's number within its address.
    pub const PORT: usize = 18;
    /// The next flow's address, from the first.
    pub const ADDRESS: usize = 19;
    /// When the first frame was made, in nanoseconds.
    pub const FIRST_TIME: usize = 20;
    /// When the last sixty-fourth frame was made.
    pub const LAST_TIME: usize = 21;
    /// How many frames had been made then.
    pub const LAST_MADE: usize = 22;
}

/// What the sink expects. One entry.
pub mod expected {
    /// Name of the map.
    pub const MAP: &str = "EXPECTED";
    /// Words of its entry.
    pub const WORDS: usize = 10;
    /// The first source address that is right, as a number.
    pub const SOURCE: usize = 0;
    /// How many of them.
    pub const SOURCES: usize = 1;
    /// The first destination address that is right.
    pub const DESTINATION: usize = 2;
    /// How many of them.
    pub const DESTINATIONS: usize = 3;
    /// The first source port that is right.
    pub const SOURCE_PORT: usize = 4;
    /// How many of them.
    pub const SOURCE_PORTS: usize = 5;
    /// The destination port.
    pub const DESTINATION_PORT: usize = 6;
    /// Length of the frame.
    pub const LENGTH: usize = 7;
    /// Sum of the payload as it was sent.
    pub const PAYLOAD_SUM: usize = 8;
}

/// What the sink counts, by CPU. One entry.
pub mod counted {
    /// Name of the map.
    pub const MAP: &str = "COUNTED";
    /// Words of its entry.
    pub const WORDS: usize = 8;
    /// Packets that are as they must be.
    pub const GOOD: usize = 0;
    /// Of another length.
    pub const BAD_LENGTH: usize = 1;
    /// From another address.
    pub const BAD_SOURCE: usize = 2;
    /// To another address.
    pub const BAD_DESTINATION: usize = 3;
    /// Of another port.
    pub const BAD_PORT: usize = 4;
    /// With a wrong IP checksum.
    pub const BAD_HEADER_SUM: usize = 5;
    /// With a wrong UDP checksum.
    pub const BAD_UDP_SUM: usize = 6;
    /// Packets seen, right or wrong.
    pub const SEEN: usize = 7;
}

/// Where the programs that only redirect send frames. One entry.
pub mod floor {
    /// Name of the map.
    pub const MAP: &str = "FLOOR";
    /// Words of its entry.
    pub const WORDS: usize = 4;
    /// The interface.
    pub const INTERFACE: usize = 0;
    /// Both hardware addresses, twelve bytes.
    pub const ADDRESSES: usize = 1;
}

/// The first four bytes of each payload, by which the sink knows a frame of the bench.
pub const MARK: [u8; 4] = *b"nlB1";

/// Bytes of the headers: Ethernet, IPv4 without options, UDP.
pub const HEADERS: usize = 42;

/// Frames up to this length have their whole payload summed each time, longer ones once in sixty-four.
pub const SHORT: u64 = 128;
