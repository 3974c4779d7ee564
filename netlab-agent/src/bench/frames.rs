//! The frames that the generator makes and the sink expects, as the words that both programs are told. Pure.

use super::text::{self, mac};
use super::words::{HEADERS, MARK, expected, generator};

/// Destinations of what earth sends: a network for benchmarks (RFC 2544).
const OUTSIDE: [u8; 4] = [198, 18, 0, 0];
/// Sources of what the world sends: its other half.
const STRANGERS: [u8; 4] = [198, 19, 0, 0];
/// The first source port.
const FIRST_PORT: u64 = 10_000;
/// Ports an address: so few that no NAT runs out of them for one destination.
const PORTS: u64 = 50_000;
/// Flows without an end: each packet is a new one.
pub const ENDLESS: u64 = 1 << 32;

/// In which direction frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// From earth to the world.
    Out,
    /// From the world to a port of the host's.
    In {
        /// The port.
        port: u16,
    },
}

/// What the generator shall send.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// In which direction.
    pub course: Course,
    /// Length of the frame.
    pub bytes: u16,
    /// Flows.
    pub flows: u64,
    /// Hardware address of the next hop.
    pub next: [u8; 6],
}

/// A word of the program's in which numbers of 16 bits lie as the machine has them.
fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|pair| u64::from(u16::from_ne_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))).sum()
}

fn number(address: [u8; 4]) -> u64 {
    u32::from_be_bytes(address).into()
}

/// The headers, with zeroes in place of what changes from frame to frame.
fn headers(stream: &Stream) -> [u8; HEADERS] {
    let mut frame = [0u8; HEADERS];
    let (source, port) = match stream.course {
        Course::Out => (mac::EARTH, text::TARGET),
        Course::In { port } => (mac::WORLD, port),
    };
    let length = stream.bytes - 14;
    frame[..6].copy_from_slice(&stream.next);
    frame[6..12].copy_from_slice(&source);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[20] = 0x40; // not to be fragmented
    frame[22] = 64;
    frame[23] = 17;
    frame[36..38].copy_from_slice(&port.to_be_bytes());
    frame[38..40].copy_from_slice(&(length - 20).to_be_bytes());
    frame
}

/// The payload: the bench's mark, then bytes of all kinds.
fn payload(bytes: u16) -> Vec<u8> {
    let length = usize::from(bytes) - HEADERS;
    MARK.into_iter().chain((0u16..).map(|place| (place * 37) as u8)).take(length).collect()
}

impl Stream {
    /// A frame for the kernel to make pages of: the generator writes its headers.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = headers(self).to_vec();
        frame.extend(payload(self.bytes));
        frame
    }

    /// A frame with everything in it, as the generator makes that of this flow.
    pub fn whole(&self, flow: u16) -> Vec<u8> {
        let words = self.words(0);
        let mut frame = self.frame();
        let flow = u64::from(flow);
        let address =
            |first: usize, step: usize| ((words[first] + flow / PORTS * words[step]) as u32).to_be_bytes();
        frame[26..30].copy_from_slice(&address(generator::SOURCE, generator::SOURCE_STEP));
        frame[30..34].copy_from_slice(&address(generator::DESTINATION, generator::DESTINATION_STEP));
        frame[34..36].copy_from_slice(&((FIRST_PORT + flow % PORTS) as u16).to_be_bytes());
        let addresses = sum(&frame[26..34]);
        let header = !fold(words[generator::HEADER_SUM] + addresses);
        frame[24..26].copy_from_slice(&header.to_ne_bytes());
        let udp = !fold(words[generator::UDP_SUM] + addresses + sum(&frame[34..36]));
        frame[40..42].copy_from_slice(&if udp == 0 { [0xff; 2] } else { udp.to_ne_bytes() });
        frame
    }

    /// What the generator is told.
    pub fn words(&self, interface: u32) -> [u64; generator::WORDS] {
        let headers = headers(self);
        let mut words = [0; generator::WORDS];
        words[generator::FLOWS] = self.flows;
        words[generator::PORTS] = PORTS;
        words[generator::FIRST_PORT] = FIRST_PORT;
        let (source, destination, steps) = match self.course {
            Course::Out => (text::EARTH, OUTSIDE, (0, 1)),
            Course::In { .. } => (STRANGERS, text::HOST, (1, 0)),
        };
        words[generator::SOURCE] = number(source);
        words[generator::DESTINATION] = number(destination);
        (words[generator::SOURCE_STEP], words[generator::DESTINATION_STEP]) = steps;
        words[generator::HEADER_SUM] = sum(&headers[14..34]);
        let length = stream_length(self.bytes);
        let pseudo = sum(&[0, 17]) + sum(&length.to_be_bytes());
        words[generator::UDP_SUM] = pseudo + sum(&headers[34..]) + sum(&payload(self.bytes));
        words[generator::INTERFACE] = interface.into();
        let mut padded = [0u8; 48];
        padded[..HEADERS].copy_from_slice(&headers);
        for (word, bytes) in words[generator::TEMPLATE..].iter_mut().zip(padded.chunks(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        }
        words
    }

    /// What the sink is told, if the source is seen as `seen` in its place.
    pub fn expected(&self, seen: [u8; 4]) -> [u64; expected::WORDS] {
        let addresses = self.flows.div_ceil(PORTS).clamp(1, 1 << 17);
        let mut words = [0; expected::WORDS];
        words[expected::LENGTH] = self.bytes.into();
        words[expected::PAYLOAD_SUM] = sum(&payload(self.bytes));
        words[expected::DESTINATION_PORT] = text::TARGET.into();
        words[expected::SOURCE_PORT] = FIRST_PORT;
        words[expected::SOURCE_PORTS] = PORTS;
        match self.course {
            Course::Out => {
                (words[expected::SOURCE], words[expected::SOURCES]) = (number(seen), 1);
                words[expected::DESTINATION] = number(OUTSIDE);
                words[expected::DESTINATIONS] = addresses;
                if seen == text::HOST {
                    // A masquerade may give any port of its range.
                    (words[expected::SOURCE_PORT], words[expected::SOURCE_PORTS]) = (1_024, 64_512);
                }
            }
            Course::In { .. } => {
                (words[expected::SOURCE], words[expected::SOURCES]) = (number(STRANGERS), addresses);
                (words[expected::DESTINATION], words[expected::DESTINATIONS]) = (number(text::EARTH), 1);
            }
        }
        words
    }
}

/// A sum, folded to sixteen bits.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Length in the UDP header.
fn stream_length(bytes: u16) -> u16 {
    bytes - 34
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_make_right_checksums() {
        let stream = Stream { course: Course::Out, bytes: 64, flows: 10, next: mac::BRIDGE };
        let frame = stream.whole(3);
        assert_eq!(frame[34..36], 10_003u16.to_be_bytes());
        assert_eq!(fold(sum(&frame[14..34])), 0xffff);
        let addresses = sum(&frame[26..34]);
        let pseudo = sum(&[0, 17]) + sum(&30u16.to_be_bytes()) + addresses;
        assert_eq!(fold(pseudo + sum(&frame[34..])), 0xffff);
    }

    #[test]
    fn the_template_is_the_headers() {
        let stream = Stream { course: Course::In { port: 20_000 }, bytes: 64, flows: 1, next: mac::HOST };
        let words = stream.words(1);
        let bytes: Vec<u8> = words[generator::TEMPLATE..generator::TEMPLATE + 6]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        assert_eq!(bytes[..HEADERS], headers(&stream));
        assert_eq!(bytes[..6], mac::HOST);
    }

    #[test]
    fn a_source_that_is_not_translated_is_not_expected_at_the_hosts_ports() {
        let stream = Stream { course: Course::Out, bytes: 64, flows: 1_000_000, next: mac::BRIDGE };
        let plain = stream.expected(text::EARTH);
        assert_eq!((plain[expected::SOURCE_PORT], plain[expected::DESTINATIONS]), (10_000, 20));
        assert_eq!(stream.expected(text::HOST)[expected::SOURCE_PORT], 1_024);
    }
}
