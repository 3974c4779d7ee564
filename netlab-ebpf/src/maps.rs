//! Every map. The sizes here are the least; the agent sets the lab's own when it loads the object.

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, Queue};
use netlab_common::abi::config::Config;
use netlab_common::abi::event::EVENTS as EVENT_COUNT;
use netlab_common::abi::flow::{Flow, FlowRef, Tuple};
use netlab_common::abi::fragment::{self, Fragment, FragmentKey, WAITING_LEN, Waiting};
use netlab_common::abi::port::{Pulse, Shard};
use netlab_common::abi::recent::{HINTS, Recent};
use netlab_common::abi::rule::{AllowKey, Forward, ForwardKey, ForwardPort, MasqueradeTarget, RuleCounters};
use netlab_common::abi::verdict::{COUNTERS, Count};
use netlab_common::abi::way::{self, Exit, Way};
use netlab_common::conntrack::create::NewFlow;
use netlab_common::packet::Headers;

/// One slot a flow. The agent maps it into its memory, to list flows without system calls.
#[map(name = "NL_FLOWS")]
pub static FLOWS: Array<Flow<4>> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Two keys a flow, preallocated and never evicted: invariant 2 forbids an LRU here.
#[map(name = "NL_KEYS")]
pub static KEYS: HashMap<Tuple<4>, FlowRef> = HashMap::with_max_entries(2, 0);

/// Slots that were given back.
#[map(name = "NL_FREE")]
pub static FREE_SLOTS: Queue<u32> = Queue::with_max_entries(1, 0);

/// The first slot that was never used; it only rises, so a new lab need not fill the queue.
#[map(name = "NL_FRESH")]
pub static FRESH_SLOT: Array<u64> = Array::with_max_entries(1, 0);

/// The lab's settings.
#[map(name = "NL_CONFIG")]
pub static CONFIG: Array<Config> = Array::with_max_entries(1, 0);

/// External ports in use.
#[map(name = "NL_PORTS")]
pub static PORTS: Array<Shard> = Array::with_max_entries(1, 0);

/// Flows that sources hold.
#[map(name = "NL_SOURCES")]
pub static SOURCES: Array<u32> = Array::with_max_entries(1, 0);

/// Whom endpoints have sent to, where filtering depends on the address. One that is forgotten keeps a guest
/// out until the endpoint sends again, so this may be an LRU.
#[map(name = "NL_CONTACTS")]
pub static CONTACTS: LruHashMap<Tuple<4>, FlowRef> = LruHashMap::with_max_entries(1, 0);

/// Ports of datagrams in pieces. What is forgotten costs a datagram, so this may be an LRU.
#[map(name = "NL_FRAGMENTS")]
pub static FRAGMENTS: LruHashMap<FragmentKey<4>, Fragment> =
    LruHashMap::with_max_entries(fragment::FRAGMENTS, 0);

/// Fragments that wait for the first one of their datagram.
#[map(name = "NL_WAITING")]
pub static WAITING: Array<Waiting<4>> = Array::with_max_entries(fragment::WAITING, 0);

/// The headers of the packet, as it arrived; each CPU has one, as with `DRAFT`.
#[map(name = "NL_HEADERS")]
pub static HEADERS: PerCpuArray<Headers<4>> = PerCpuArray::with_max_entries(1, 0);

/// Where a first fragment's bytes are kept while those that waited for it are sent on in its place.
#[map(name = "NL_SCRATCH")]
pub static SCRATCH: PerCpuArray<[u8; WAITING_LEN]> = PerCpuArray::with_max_entries(1, 0);

/// When the agent last swept, and when a refusal was last answered.
#[map(name = "NL_PULSE")]
pub static PULSE: Array<Pulse> = Array::with_max_entries(1, 0);

/// Ports of forwards. Not preallocated, so that room for more of them costs nothing; only the agent writes.
#[map(name = "NL_FORWARD_PORT")]
pub static FORWARD_PORTS: HashMap<ForwardKey<4>, ForwardPort> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Forwards by rule.
#[map(name = "NL_FORWARDS")]
pub static FORWARDS: Array<Forward<4>> = Array::with_max_entries(1, 0);

/// Who may use restricted forwards.
#[map(name = "NL_ALLOW")]
pub static ALLOW: LpmTrie<AllowKey<4>, u32> = LpmTrie::with_max_entries(1, 0);

/// Masquerades by source prefix.
#[map(name = "NL_MASQUERADES")]
pub static MASQUERADES: LpmTrie<[u8; 4], MasqueradeTarget<4>> = LpmTrie::with_max_entries(1, 0);

/// Whose an address is, by prefix.
#[map(name = "NL_ZONES")]
pub static ZONES: LpmTrie<[u8; 4], u32> = LpmTrie::with_max_entries(1, 0);

/// The host's address on each interface, by index, on which nodes' packets arrive at its stack; zeros where
/// it has none.
#[map(name = "NL_INTERFACES")]
pub static INTERFACES: HashMap<u32, [u8; 4]> = HashMap::with_max_entries(1, 0);

/// The tick of the last change to what ways depend on; zero while all packets go by the host's stack. Then, how many
/// places for hints are made use of, as a power of two.
#[map(name = "NL_EPOCH")]
pub static EPOCH: Array<u32> = Array::with_max_entries(2, 0);

/// By which interfaces packets may leave past the host's stack, by index.
#[map(name = "NL_EXITS")]
pub static EXITS: HashMap<u32, Exit> = HashMap::with_max_entries(1, 0);

/// What was learnt of ways out.
#[map(name = "NL_WAYS")]
pub static WAYS: Array<Way> = Array::with_max_entries(way::WAYS, 0);

/// Where flows are that had a packet lately. Mappable, so that tests can empty it at once.
#[map(name = "NL_RECENT")]
pub static RECENT: Array<[Recent; HINTS]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Counters of each rule.
#[map(name = "NL_RULES")]
pub static RULE_COUNTERS: PerCpuArray<RuleCounters> = PerCpuArray::with_max_entries(1, 0);

/// Received and verdict counters of each hook.
#[map(name = "NL_VERDICTS")]
pub static VERDICT_COUNTERS: PerCpuArray<Count> = PerCpuArray::with_max_entries(COUNTERS, 0);

/// Event counters. Seldom touched, so all CPUs share them; the agent adds to them too.
#[map(name = "NL_EVENTS")]
pub static EVENTS: Array<u64> = Array::with_max_entries(EVENT_COUNT, BPF_F_MMAPABLE);

/// What the clock was last seen to show: the kernel's own count of its steps (`jiffies`) in the upper half, the tick that it
/// was then in the lower. Nobody else's business, so it is not pinned.
#[map(name = "NL_NOW")]
pub static NOW: Array<u64> = Array::with_max_entries(1, 0);

/// The flow that a packet wants made, the slot for it, and a place for `Tables::forget`; between two stages of its program. Each CPU has one, and no packet's
/// program is interrupted by another's on the same CPU. It is nobody else's business, so it is not pinned.
#[map(name = "NL_DRAFT")]
pub static DRAFT: PerCpuArray<(NewFlow<4>, u32, u32)> = PerCpuArray::with_max_entries(1, 0);
