//! The shortest scripts that show each difference between netlab and netfilter, as the search found and shrank
//! them. A script that once failed, because of a fault that was mended, is added here as well.

use super::place::End::*;
use super::place::Talk;
use super::step::Body::*;
use super::step::Place::*;
use super::step::Side::*;
use super::step::{Body, Flaw, PLAIN, Pieces, Quote, Shape, Side, Step};

const fn step(talk: Talk, side: Side, body: Body, shape: Shape) -> Step {
    Step { talk, side, body, shape }
}

/// Differences by name, each with a script.
pub const SHOWN: &[(&str, &[Step])] = &[
    (
        "unsolicited",
        &[step(WORLD_TCP_61000_62000, Opener, Tcp { flags: 18, seq: Next, ack: Next, len: 0 }, PLAIN)],
    ),
    ("forged_source", &[step(WORLD_UDP_61000_62000, Opener, Udp { len: 4, sealed: true }, PLAIN)]),
    ("alien_source", &[step(EARTH_UDP_61000_62000, Opener, Udp { len: 4, sealed: true }, PLAIN)]),
    ("invalid_leaks", &[step(MARS_ICMP_61000_0, Opener, Query { kind: 0, len: 1 }, PLAIN)]),
    (
        "tcp_state",
        &[step(
            MARS_TCP_53_53,
            Opener,
            Tcp { flags: 17, seq: Before(3000), ack: After(1073741824), len: 4 },
            PLAIN,
        )],
    ),
    (
        "wrong_checksum",
        &[step(
            MARS_TCP_53_53,
            Opener,
            Tcp { flags: 24, seq: Next, ack: Next, len: 4 },
            Shape { id: 4168, flaw: Flaw::TransportSum, ..PLAIN },
        )],
    ),
    (
        "wrong_length",
        &[step(
            WORLD_UDP_5201_5353,
            Answerer,
            Udp { len: 4, sealed: true },
            Shape { id: 4335, flaw: Flaw::UdpLen(4), ..PLAIN },
        )],
    ),
    (
        "only_netlab_has_it",
        &[
            step(MARS_TCP_53_53, Opener, Tcp { flags: 17, seq: Next, ack: Next, len: 0 }, PLAIN),
            step(MARS_TCP_53_53, Answerer, Tcp { flags: 16, seq: Next, ack: Next, len: 0 }, PLAIN),
        ],
    ),
    (
        "kernel_forgets",
        &[
            step(NEPTUNE_TCP_53_40000, Opener, Tcp { flags: 24, seq: Next, ack: Next, len: 4 }, PLAIN),
            step(
                NEPTUNE_TCP_53_40000,
                Answerer,
                Tcp { flags: 20, seq: After(1073741824), ack: Next, len: 4 },
                PLAIN,
            ),
            step(NEPTUNE_TCP_53_40000, Answerer, Tcp { flags: 24, seq: Next, ack: Next, len: 0 }, PLAIN),
        ],
    ),
    (
        "anothers_after_the_end",
        &[
            step(MARS_TCP_53_53, Opener, Tcp { flags: 24, seq: Next, ack: Next, len: 4 }, PLAIN),
            step(MARS_TCP_53_53, Opener, Tcp { flags: 3, seq: Before(1), ack: Before(3000), len: 0 }, PLAIN),
            step(MARS_TCP_53_53, Answerer, Tcp { flags: 41, seq: Next, ack: After(500), len: 4 }, PLAIN),
            step(
                MARS_TCP_53_53,
                Answerer,
                Tcp { flags: 18, seq: Before(3000), ack: Before(3000), len: 0 },
                PLAIN,
            ),
            step(
                MARS_TCP_53_53,
                Opener,
                Tcp { flags: 17, seq: Before(3000), ack: After(1073741824), len: 4 },
                PLAIN,
            ),
        ],
    ),
    (
        "answerer_opens_anew",
        &[
            step(MARS_TCP_5201_5201, Opener, Tcp { flags: 16, seq: Next, ack: Next, len: 0 }, PLAIN),
            step(MARS_TCP_5201_5201, Opener, Tcp { flags: 17, seq: Next, ack: Next, len: 0 }, PLAIN),
            step(MARS_TCP_5201_5201, Opener, Tcp { flags: 17, seq: Next, ack: Next, len: 0 }, PLAIN),
            step(MARS_TCP_5201_5201, Answerer, Tcp { flags: 24, seq: Next, ack: Next, len: 4 }, PLAIN),
            step(
                MARS_TCP_5201_5201,
                Answerer,
                Tcp { flags: 2, seq: Before(1), ack: Before(1), len: 0 },
                PLAIN,
            ),
        ],
    ),
    (
        "port_is_not_kept",
        &[
            step(MARS_UDP_5000_40000, Answerer, Udp { len: 4, sealed: true }, PLAIN),
            step(MARS_UDP_5000_40000, Opener, Udp { len: 1, sealed: false }, PLAIN),
        ],
    ),
    (
        "port_is_anothers",
        &[
            step(EARTH_UDP_1024_53, Answerer, Udp { len: 4, sealed: true }, PLAIN),
            step(MARS_UDP_1024_53, Opener, Udp { len: 0, sealed: true }, PLAIN),
            step(MARS_UDP_1024_53_2, Opener, Udp { len: 4, sealed: true }, PLAIN),
            step(EARTH_UDP_1024_53_2, Opener, Udp { len: 4, sealed: true }, PLAIN),
        ],
    ),
    (
        "port_follows_source",
        &[
            step(EARTH_UDP_1024_53, Answerer, Udp { len: 4, sealed: true }, PLAIN),
            step(MARS_UDP_1024_53, Opener, Udp { len: 0, sealed: true }, PLAIN),
            step(MARS_UDP_1024_53_2, Opener, Udp { len: 4, sealed: true }, PLAIN),
        ],
    ),
    (
        "error_in_anothers_name",
        &[
            step(WORLD_TCP_1024_7000, Answerer, Tcp { flags: 24, seq: Next, ack: Next, len: 4 }, PLAIN),
            step(WORLD_TCP_1024_7000, Opener, Tcp { flags: 24, seq: Next, ack: Next, len: 0 }, PLAIN),
            step(
                WORLD_TCP_1024_7000,
                Answerer,
                Tcp { flags: 24, seq: Next, ack: Next, len: 0 },
                Shape { ttl: 1, id: 4204, ..PLAIN },
            ),
        ],
    ),
    (
        "router_in_clients_name",
        &[
            step(NEPTUNE_UDP_1024_5454, Answerer, Udp { len: 4, sealed: true }, PLAIN),
            step(NEPTUNE_UDP_1024_5454, Opener, Udp { len: 4, sealed: true }, PLAIN),
            step(
                NEPTUNE_UDP_1024_5454,
                Opener,
                Complaint { kind: 3, code: 3, router: true, quote: Quote::Eight },
                PLAIN,
            ),
        ],
    ),
    (
        "tuple_is_anothers",
        &[
            step(EARTH_GRE, Opener, Other { len: 4 }, PLAIN),
            step(NEPTUNE_GRE, Opener, Other { len: 4 }, PLAIN),
        ],
    ),
    ("odd_gre", &[step(NEPTUNE_GRE, Opener, Other { len: 0 }, PLAIN)]),
    ("dccp", &[step(EARTH_DCCP_53_53, Opener, Other { len: 1 }, PLAIN)]),
    ("udp_lite", &[step(EARTH_UDP_LITE_1024_80, Opener, Other { len: 4 }, PLAIN)]),
    (
        "redirect_to_a_neighbour",
        &[
            step(NEPTUNE_UDP_1024_5454, Opener, Udp { len: 4, sealed: true }, PLAIN),
            step(
                NEPTUNE_UDP_1024_5454,
                Answerer,
                Complaint { kind: 5, code: 1, router: true, quote: Quote::Eight },
                PLAIN,
            ),
        ],
    ),
    (
        "dead_on_arrival",
        &[
            step(
                WORLD_UDP_65535_5353,
                Opener,
                Udp { len: 4, sealed: true },
                Shape { ttl: 1, id: 4304, ..PLAIN },
            ),
            step(WORLD_UDP_65535_5353, Answerer, Udp { len: 4, sealed: true }, PLAIN),
        ],
    ),
    (
        "pieces_overlap",
        &[step(
            MARS_UDP_53_40000,
            Opener,
            Udp { len: 1201, sealed: true },
            Shape { df: false, id: 4191, pieces: Pieces::Overlapping, ..PLAIN },
        )],
    ),
    (
        "piece_is_missing",
        &[step(
            MARS_UDP_53_40000,
            Opener,
            Udp { len: 1201, sealed: true },
            Shape { df: false, id: 4191, pieces: Pieces::Tailless, ..PLAIN },
        )],
    ),
    (
        "answers_the_unsolicited",
        &[
            step(WORLD_GRE, Opener, Other { len: 4 }, PLAIN),
            step(WORLD_GRE, Answerer, Other { len: 4 }, PLAIN),
        ],
    ),
    (
        "error_is_a_hop_further",
        &[
            step(EARTH_UDP_80_5454, Opener, Udp { len: 4, sealed: true }, PLAIN),
            step(
                EARTH_UDP_80_5454,
                Answerer,
                Udp { len: 4, sealed: true },
                Shape { ttl: 1, id: 4305, ..PLAIN },
            ),
        ],
    ),
    (
        "error_about_another_query",
        &[
            step(MARS_ICMP_1024_0, Opener, Query { kind: 13, len: 12 }, PLAIN),
            step(
                MARS_ICMP_1024_0,
                Opener,
                Complaint { kind: 3, code: 3, router: true, quote: Quote::Whole },
                PLAIN,
            ),
        ],
    ),
    (
        "answers_like_questions",
        &[
            step(MARS_UDP_5201_5201, Opener, Udp { len: 4, sealed: true }, PLAIN),
            step(MARS_UDP_5201_5201, Answerer, Udp { len: 4, sealed: true }, PLAIN),
        ],
    ),
    (
        "kernel_moves_a_port",
        &[
            step(MARS_UDP_5201_5454, Opener, Udp { len: 4, sealed: false }, PLAIN),
            step(EARTH_UDP_53_5201, Answerer, Udp { len: 0, sealed: true }, PLAIN),
        ],
    ),
    (
        "straight_by_the_same_ports",
        &[
            step(EARTH_UDP_5201_5353, Answerer, Udp { len: 1, sealed: true }, PLAIN),
            step(MARS_UDP_5201_5353, Answerer, Udp { len: 1380, sealed: false }, Shape { id: 4321, ..PLAIN }),
        ],
    ),
];

const NEPTUNE_UDP_1024_5454: Talk =
    Talk { at: Neptune, from: [10, 10, 0, 20], to: [10, 10, 0, 1], protocol: 17, ports: (1024, 5454) };

const WORLD_TCP_61000_62000: Talk =
    Talk { at: World, from: [8, 8, 8, 8], to: [10, 10, 0, 10], protocol: 6, ports: (61000, 62000) };
const WORLD_UDP_61000_62000: Talk =
    Talk { at: World, from: [10, 10, 0, 10], to: [192, 168, 0, 108], protocol: 17, ports: (61000, 62000) };
const EARTH_UDP_61000_62000: Talk =
    Talk { at: Earth, from: [1, 2, 3, 4], to: [198, 51, 100, 7], protocol: 17, ports: (61000, 62000) };
const MARS_ICMP_61000_0: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [192, 168, 0, 1], protocol: 1, ports: (61000, 0) };
const MARS_TCP_53_53: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [198, 51, 100, 7], protocol: 6, ports: (53, 53) };
const WORLD_UDP_5201_5353: Talk =
    Talk { at: World, from: [192, 168, 0, 1], to: [192, 168, 0, 108], protocol: 17, ports: (5201, 5353) };
const NEPTUNE_TCP_53_40000: Talk =
    Talk { at: Neptune, from: [10, 10, 0, 20], to: [8, 8, 8, 8], protocol: 6, ports: (53, 40000) };
const MARS_TCP_5201_5201: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [10, 20, 0, 1], protocol: 6, ports: (5201, 5201) };
const MARS_UDP_5000_40000: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [198, 51, 100, 7], protocol: 17, ports: (5000, 40000) };
const EARTH_UDP_1024_53: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [192, 168, 0, 1], protocol: 17, ports: (1024, 53) };
const MARS_UDP_1024_53: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [192, 168, 0, 1], protocol: 17, ports: (1024, 53) };
const MARS_UDP_1024_53_2: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [198, 51, 100, 7], protocol: 17, ports: (1024, 53) };
const EARTH_UDP_1024_53_2: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [198, 51, 100, 7], protocol: 17, ports: (1024, 53) };
const WORLD_TCP_1024_7000: Talk =
    Talk { at: World, from: [203, 0, 113, 5], to: [192, 168, 0, 108], protocol: 6, ports: (1024, 7000) };
const EARTH_GRE: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [8, 8, 8, 8], protocol: 47, ports: (0, 0) };
const NEPTUNE_GRE: Talk =
    Talk { at: Neptune, from: [10, 10, 0, 20], to: [8, 8, 8, 8], protocol: 47, ports: (0, 0) };
const WORLD_GRE: Talk =
    Talk { at: World, from: [8, 8, 8, 8], to: [10, 10, 0, 10], protocol: 47, ports: (0, 0) };
const EARTH_DCCP_53_53: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [192, 168, 0, 1], protocol: 33, ports: (53, 53) };
const EARTH_UDP_LITE_1024_80: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [198, 51, 100, 7], protocol: 136, ports: (1024, 80) };
const WORLD_UDP_65535_5353: Talk =
    Talk { at: World, from: [203, 0, 113, 5], to: [192, 168, 0, 108], protocol: 17, ports: (65535, 5353) };
const MARS_UDP_53_40000: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [8, 8, 8, 8], protocol: 17, ports: (53, 40000) };
const EARTH_UDP_80_5454: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [10, 10, 0, 1], protocol: 17, ports: (80, 5454) };
const MARS_ICMP_1024_0: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [198, 51, 100, 7], protocol: 1, ports: (1024, 0) };
const MARS_UDP_5201_5201: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [192, 168, 0, 108], protocol: 17, ports: (5201, 5201) };
const MARS_UDP_5201_5454: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [192, 168, 0, 108], protocol: 17, ports: (5201, 5454) };
const EARTH_UDP_5201_5353: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [192, 168, 0, 108], protocol: 17, ports: (5201, 5353) };
const MARS_UDP_5201_5353: Talk =
    Talk { at: Mars, from: [10, 20, 0, 30], to: [192, 168, 0, 108], protocol: 17, ports: (5201, 5353) };
const EARTH_UDP_53_5201: Talk =
    Talk { at: Earth, from: [10, 10, 0, 10], to: [10, 10, 0, 1], protocol: 17, ports: (53, 5201) };
