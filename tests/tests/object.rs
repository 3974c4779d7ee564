//! The eBPF object without any traffic: it has every map and program that the agent will ask for, of the right
//! type and size, under a licence the kernel's helpers are open to, and the verifier takes all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya::programs::{Program, ProgramType};
use bytemuck::Zeroable as _;
use netlab_agent::datapath::object::{self, Sizes, Traits};
use netlab_agent::sys::batch;
use netlab_common::abi::config::{self, Config, SOURCE_ROWS};
use netlab_common::abi::event::EVENTS;
use netlab_common::abi::flow::{Flow, FlowRef, Tuple};
use netlab_common::abi::fragment::{FRAGMENTS, Fragment, FragmentKey, WAITING, Waiting};
use netlab_common::abi::names;
use netlab_common::abi::port::{Pulse, Shard};
use netlab_common::abi::recent::{self, HINTS, Recent};
use netlab_common::abi::rule::{AllowKey, Forward, ForwardKey, ForwardPort, MasqueradeTarget, RuleCounters};
use netlab_common::abi::verdict::{COUNTERS, Count};
use netlab_common::abi::way::{Exit, WAYS, Way};
use netlab_tests::need::need_root;

const SIZES: Sizes = Sizes {
    flows: 4096,
    contacts: 11,
    forward_ports: 3,
    allow: 4,
    masquerades: 5,
    zones: 7,
    interfaces: 6,
    rules: 9,
    traits: Traits { uplink_header: 14, counting: 1 },
};

/// What the kernel says of an entry that there is no room for.
const E2BIG: i32 = 7;

/// A prefix's length stands before its address in the key of a trie.
const PREFIX: usize = size_of::<u32>() + size_of::<[u8; 4]>();

/// And before rule and source in an allow list's.
const ALLOWED: usize = size_of::<u32>() + size_of::<AllowKey<4>>();

/// Loads, or says that the test cannot run.
fn loaded() -> Option<Ebpf> {
    need_root().then(|| object::load(&SIZES).expect("the object loads"))
}

/// What a map must be.
struct Expected {
    name: &'static str,
    data: fn(&Map) -> Option<&MapData>,
    key: usize,
    value: usize,
    entries: u32,
}

macro_rules! is {
    ($kind:ident) => {
        |map| if let Map::$kind(data) = map { Some(data) } else { None }
    };
}

fn expected() -> [Expected; 24] {
    let row = |name, data, key, value, entries| Expected { name, data, key, value, entries };
    let index = size_of::<u32>();
    let (tuple, reference) = (size_of::<Tuple<4>>(), size_of::<FlowRef>());
    let (forward_key, forward_port) = (size_of::<ForwardKey<4>>(), size_of::<ForwardPort>());
    let (datagram, noted) = (size_of::<FragmentKey<4>>(), size_of::<Fragment>());
    let cells = SOURCE_ROWS * config::source_cells(SIZES.flows);
    [
        row(names::FLOWS, is!(Array), index, size_of::<Flow<4>>(), SIZES.flows),
        row(names::KEYS, is!(HashMap), tuple, reference, 2 * SIZES.flows),
        row(names::FREE_SLOTS, is!(Queue), 0, size_of::<u32>(), SIZES.flows),
        row(names::FRESH_SLOT, is!(Array), index, size_of::<u64>(), 1),
        row(names::CONFIG, is!(Array), index, size_of::<Config>(), 1),
        row(names::PORTS, is!(Array), index, size_of::<Shard>(), config::shards(SIZES.flows)),
        row(names::SOURCES, is!(Array), index, size_of::<u32>(), cells),
        row(names::CONTACTS, is!(LruHashMap), tuple, reference, SIZES.contacts),
        row(names::PULSE, is!(Array), index, size_of::<Pulse>(), 1),
        row(names::FRAGMENTS, is!(LruHashMap), datagram, noted, FRAGMENTS),
        row(names::WAITING, is!(Array), index, size_of::<Waiting<4>>(), WAITING),
        row(names::FORWARD_PORTS, is!(HashMap), forward_key, forward_port, SIZES.forward_ports),
        row(names::FORWARDS, is!(Array), index, size_of::<Forward<4>>(), SIZES.rules),
        row(names::ALLOW, is!(LpmTrie), ALLOWED, size_of::<u32>(), SIZES.allow),
        row(names::MASQUERADES, is!(LpmTrie), PREFIX, size_of::<MasqueradeTarget<4>>(), SIZES.masquerades),
        row(names::ZONES, is!(LpmTrie), PREFIX, size_of::<u32>(), SIZES.zones),
        row(names::INTERFACES, is!(HashMap), index, size_of::<[u8; 4]>(), SIZES.interfaces),
        row(names::EPOCH, is!(Array), index, size_of::<u32>(), 2),
        row(names::EXITS, is!(HashMap), index, size_of::<Exit>(), SIZES.interfaces),
        row(names::WAYS, is!(Array), index, size_of::<Way>(), WAYS),
        row(
            names::RECENT,
            is!(Array),
            index,
            HINTS * size_of::<Recent>(),
            1 << recent::most_bits(SIZES.flows),
        ),
        row(names::RULE_COUNTERS, is!(PerCpuArray), index, size_of::<RuleCounters>(), SIZES.rules),
        row(names::VERDICT_COUNTERS, is!(PerCpuArray), index, size_of::<Count>(), COUNTERS),
        row(names::EVENTS, is!(Array), index, size_of::<u64>(), EVENTS),
    ]
}

/// Maps that are no other program's business, and not pinned: what a packet lays aside, and what programs tell
/// of it.
const OWN: [&str; 5] = ["NL_DRAFT", "NL_HEADERS", "NL_NOW", "NL_SCRATCH", "AYA_LOGS"];

#[test]
fn every_map_has_the_type_and_the_sizes_that_both_sides_use() {
    let Some(object) = loaded() else { return };
    for Expected { name, data, key, value, entries } in expected() {
        let map = object.map(name).unwrap_or_else(|| panic!("no map {name}"));
        let data = data(map).unwrap_or_else(|| panic!("{name} is of another type"));
        let info = data.info().unwrap();
        let found = (info.key_size() as usize, info.value_size() as usize, info.max_entries());
        assert_eq!(found, (key, value, entries), "key, value and entries of {name}");
    }
}

#[test]
fn many_entries_go_to_a_map_at_once_and_to_none_of_another_form() {
    let Some(object) = loaded() else { return };
    let Some(Map::Array(map)) = object.map(names::FORWARDS) else { panic!("no array of forwards") };
    let len = map.info().unwrap().max_entries();
    let last = Forward { count: 7, ..Forward::zeroed() };
    batch::write(map, &[0, len - 1], &[Forward { turn: 3, ..last }, last]).unwrap();
    let found: Vec<Forward<4>> = batch::read_array(map, len).unwrap();
    assert_eq!(found.len(), len as usize);
    assert_eq!((found[0].turn, found[0].count, found[len as usize - 1]), (3, 7, last));
    assert_eq!(batch::read_array::<Forward<4>>(map, 1).unwrap(), found[..1]);
    let refused = |result: std::io::Result<()>| result.unwrap_err().kind() == ErrorKind::InvalidInput;
    assert!(refused(batch::read_array::<u64>(map, 1).map(drop)), "values of eight bytes");
    assert!(refused(batch::write(map, &[0u64], &[last])), "keys of eight bytes");
    assert_eq!(batch::write(map, &[len], &[last]).unwrap_err().raw_os_error(), Some(E2BIG));
}

#[test]
fn the_object_has_the_named_maps_and_no_others() {
    let rows: BTreeSet<&str> = expected().iter().map(|row| row.name).collect();
    assert_eq!(rows, BTreeSet::from(names::MAPS), "the table above covers every named map");
    let Some(object) = loaded() else { return };
    let found: BTreeSet<&str> =
        object.maps().map(|(name, _)| name).filter(|name| !name.starts_with('.')).collect();
    assert_eq!(found, rows.into_iter().chain(OWN).collect());
}

#[test]
fn the_object_has_the_named_programs_and_no_others() {
    let Some(object) = loaded() else { return };
    let found: BTreeMap<_, _> =
        object.programs().map(|(name, program)| (name, program.prog_type())).collect();
    let tc = names::TC_PROGRAMS.map(|name| (name, ProgramType::SchedClassifier));
    let xdp = names::XDP_PROGRAMS.into_iter().chain(names::CROSS_PROGRAMS);
    let xdp = xdp.map(|name| (name, ProgramType::Xdp));
    let sweep = (names::SWEEP_PROGRAM, ProgramType::SchedClassifier);
    assert_eq!(found, tc.into_iter().chain(xdp).chain([sweep]).collect());
}

#[test]
fn the_kernel_keeps_every_name_whole() {
    let programs = [&names::TC_PROGRAMS[..], &names::XDP_PROGRAMS, &names::CROSS_PROGRAMS];
    for name in [&names::MAPS[..], &programs.concat(), &[names::SWEEP_PROGRAM]].concat() {
        assert!(name.len() <= 15, "{name} is cut off in the kernel's own lists");
    }
}

#[test]
fn the_verifier_takes_every_program_and_the_kernel_its_licence() {
    let Some(mut object) = loaded() else { return };
    for (name, program) in object.programs_mut() {
        let taken = match program {
            Program::SchedClassifier(program) => program.load(),
            Program::Xdp(program) => program.load(),
            other => panic!("{name} is of type {:?}", other.prog_type()),
        };
        taken.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        // The kernel's own judgement of the licence, without which the helpers that rewrite are closed.
        assert_eq!(program.info().unwrap().gpl_compatible(), Some(true), "{name}");
    }
}
