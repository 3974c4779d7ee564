//! Timeouts: a flow lives exactly as long as the timeout of its state says, and may be swept exactly a quarantine
//! later, wherever the clock stands and whatever the timeouts are.

use netlab_common::abi::clock;
use netlab_common::abi::config::{Config, Timeout};
use netlab_common::abi::hook::Hook::{self, UplinkIn, UplinkOut};
use netlab_common::abi::verdict::{Disposition, Verdict};
use netlab_common::fake::MemTables;
use netlab_common::net::tcp::{ACK, FIN, RST, SYN};
use proptest::prelude::*;
use proptest::sample::select;

use crate::kit::checks::at_rest;
use crate::kit::config;
use crate::kit::frames::{End, Says, answer, frame, ping, segment, tcp, udp};
use crate::kit::lab::{Chance, EARTH, HOST, SERVER, flows, hiding, masquerade, play, sweep};

const NODE: End = (EARTH, 5_000);
const OUTSIDE: End = (HOST, 5_000);

type Story = Vec<(Hook, Vec<u8>)>;

/// What brings a flow to the state that a timeout is for.
fn story(of: Timeout) -> Story {
    let syn = (UplinkOut, tcp(NODE, SERVER, SYN));
    let open = || {
        vec![syn.clone(), (UplinkIn, tcp(SERVER, OUTSIDE, SYN | ACK)), (UplinkOut, tcp(NODE, SERVER, ACK))]
    };
    let with = |more: Story| [open(), more].concat();
    let node_fin = (UplinkOut, tcp(NODE, SERVER, FIN | ACK));
    match of {
        Timeout::TcpTransitory => open()[..2].to_vec(),
        Timeout::TcpEstablished => with(vec![node_fin]),
        Timeout::TcpClosed => with(vec![node_fin, (UplinkIn, tcp(SERVER, OUTSIDE, FIN | ACK))]),
        Timeout::TcpReset => {
            with(vec![(UplinkIn, segment(SERVER, OUTSIDE, Says { sequence: 2, ..Says::flags(RST) }))])
        }
        Timeout::Udp => vec![(UplinkOut, udp(NODE, SERVER)), (UplinkIn, udp(SERVER, OUTSIDE))],
        Timeout::UdpUnreplied => vec![(UplinkOut, udp(NODE, SERVER))],
        Timeout::Other => vec![(UplinkOut, frame(NODE.0, SERVER.0, 47, &[0; 8]))],
        Timeout::Icmp => {
            let ask = ping(NODE, SERVER.0);
            let back = answer(&ping(OUTSIDE, SERVER.0), 0);
            vec![(UplinkOut, ask), (UplinkIn, back)]
        }
    }
}

const TIMEOUTS: [Timeout; 8] = [
    Timeout::TcpEstablished,
    Timeout::TcpTransitory,
    Timeout::TcpClosed,
    Timeout::TcpReset,
    Timeout::Udp,
    Timeout::UdpUnreplied,
    Timeout::Icmp,
    Timeout::Other,
];

/// Timeouts of one second to thirty days, all different, so that one is never taken for another.
fn seconds() -> impl Strategy<Value = [u32; 8]> {
    let some = prop_oneof![Just(1u32), 1u32..600, 3_600u32..30 * 86_400];
    (some, 1u32..50).prop_map(|(least, step)| core::array::from_fn(|index| least + index as u32 * step))
}

/// A lab whose clock stands at a tick, by the machine's time and the lab's offset together.
fn lab(seconds: [u32; 8], quarantine: u32, uptime: u32, tick: u32) -> (MemTables, Chance) {
    let tables = hiding(4, masquerade(40_000, 40_003));
    tables.configure(|config| {
        *config = Config {
            timeouts: seconds.map(clock::from_seconds),
            quarantine,
            clock_offset: tick.wrapping_sub(uptime),
            ..*config
        };
    });
    // An agent that has just swept.
    tables.pulse.set(netlab_common::abi::port::Pulse { swept: tick, answered: 0 });
    (tables, Chance::new(uptime, 3))
}

/// Ticks anywhere, and where the clock is about to wrap or has just done so.
fn tick() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        (u32::MAX - 40_000)..=u32::MAX,
        0u32..1_000,
        (1u32 << 31) - 500..(1 << 31) + 500
    ]
}

fn at(env: &Chance, uptime: u32, later: u32) {
    env.now.set(uptime + later);
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn a_flow_lives_as_long_as_its_states_timeout_and_goes_a_quarantine_later(
        of in select(&TIMEOUTS[..]),
        seconds in seconds(),
        quarantine in 2u32..100,
        uptime in 1u32..1_000_000,
        tick in tick(),
    ) {
        let (tables, env) = lab(seconds, quarantine, uptime, tick);
        for (hook, frame) in story(of) {
            let verdict = play(&tables, &env, hook, &frame).verdict;
            prop_assert_eq!(verdict.disposition(), Disposition::Forwarded, "{:?}", verdict);
        }
        let ticks = clock::from_seconds(seconds[of as usize]);
        prop_assert_eq!(tables.config.get().timeouts[of as usize], ticks);

        // A packet that changes no state, of the answering side where there is one; it may come at the last tick, and not later.
        let story = story(of);
        let (hook, frame) = match of {
            Timeout::UdpUnreplied | Timeout::Other => story[0].clone(),
            Timeout::Icmp | Timeout::Udp => story[1].clone(),
            _ => (UplinkIn, tcp(SERVER, OUTSIDE, ACK)),
        };
        let known = |later: u32| {
            let scratch = tables.clone();
            at(&env, uptime, later);
            play(&scratch, &env, hook, &frame).verdict == Verdict::Established
        };
        prop_assert!(known(ticks - 1), "it is over a tick too soon");
        prop_assert!(!known(ticks), "it lives a tick too long");

        at(&env, uptime, ticks + quarantine - 1);
        prop_assert_eq!(sweep(&tables, &env), 0, "it is swept a tick too soon");
        at_rest(&tables).map_err(TestCaseError::fail)?;
        at(&env, uptime, ticks + quarantine);
        prop_assert_eq!(sweep(&tables, &env), 1, "it is swept a tick too late");
        at_rest(&tables).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn each_packet_begins_the_timeout_again(
        seconds in seconds(),
        uptime in 1u32..1_000_000,
        tick in tick(),
        waits in prop::collection::vec(0.0f64..1.0, 1..20),
    ) {
        let (tables, env) = lab(seconds, 30, uptime, tick);
        let ticks = clock::from_seconds(seconds[Timeout::UdpUnreplied as usize]);
        play(&tables, &env, UplinkOut, &udp(NODE, SERVER));
        let mut later = 0;
        for wait in waits {
            later += (f64::from(ticks - 1) * wait) as u32;
            at(&env, uptime, later);
            prop_assert_eq!(play(&tables, &env, UplinkOut, &udp(NODE, SERVER)).verdict, Verdict::Established);
            prop_assert_eq!(sweep(&tables, &env), 0);
        }
        prop_assert_eq!(flows(&tables).len(), 1);
    }

    #[test]
    fn an_expired_flow_keeps_its_port_for_its_quarantine_and_not_longer(
        seconds in seconds(),
        quarantine in 2u32..100,
        uptime in 1u32..1_000_000,
        tick in tick(),
    ) {
        let (tables, env) = lab(seconds, quarantine, uptime, tick);
        let ticks = clock::from_seconds(seconds[Timeout::UdpUnreplied as usize]);
        play(&tables, &env, UplinkOut, &udp(NODE, SERVER));
        // Nobody sweeps: who wants the port takes it from the dead himself.
        for (later, kept) in [(ticks + quarantine - 1, false), (ticks + quarantine, true)] {
            let scratch = tables.clone();
            at(&env, uptime, later);
            scratch.pulse.set(netlab_common::abi::port::Pulse { swept: tick.wrapping_add(later), answered: 0 });
            let outcome = play(&scratch, &env, UplinkOut, &udp(([10, 0, 0, 2], 5_000), SERVER));
            prop_assert_eq!(outcome.verdict, Verdict::Created);
            let sport = u16::from_be_bytes(crate::kit::frames::tuple(&outcome.frame).sport);
            prop_assert_eq!(sport == 5_000, kept, "{}", sport);
        }
    }

    #[test]
    fn an_expired_flow_begins_anew_as_itself(
        seconds in seconds(),
        over in 0u32..1_000,
        uptime in 1u32..1_000_000,
        tick in tick(),
    ) {
        let (tables, env) = lab(seconds, 30, uptime, tick);
        let ticks = clock::from_seconds(seconds[Timeout::TcpTransitory as usize]);
        play(&tables, &env, UplinkOut, &tcp(NODE, SERVER, SYN));
        at(&env, uptime, ticks + over);
        prop_assert_eq!(play(&tables, &env, UplinkOut, &tcp(NODE, SERVER, SYN)).verdict, Verdict::Created);
        prop_assert_eq!(flows(&tables).len(), 1);
        prop_assert_eq!(sweep(&tables, &env), 0);
        at_rest(&tables).map_err(TestCaseError::fail)?;
    }
}
