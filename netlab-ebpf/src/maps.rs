//! Every map. The sizes here are the least; the agent sets the lab's own when it loads the object.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, PerCpuArray, Queue};
use netlab_common::abi::flow::{Flow, FlowRef, Tuple};
use netlab_common::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, RuleCounters};
use netlab_common::abi::verdict::{COUNTERS, Count};

/// One slot a flow. The agent maps it into its memory, to list and to expire flows without system calls.
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

/// Port forwards.
#[map(name = "NL_FORWARDS")]
pub static FORWARDS: HashMap<ForwardKey<4>, ForwardTarget<4>> = HashMap::with_max_entries(1, 0);

/// Masquerades by source prefix.
#[map(name = "NL_MASQUERADES")]
pub static MASQUERADES: LpmTrie<[u8; 4], MasqueradeTarget<4>> = LpmTrie::with_max_entries(1, 0);

/// Whose an address is, by prefix.
#[map(name = "NL_ZONES")]
pub static ZONES: LpmTrie<[u8; 4], u32> = LpmTrie::with_max_entries(1, 0);

/// Interfaces, by index, on which nodes' packets arrive at the host's stack; the value says nothing.
#[map(name = "NL_INTERFACES")]
pub static INTERFACES: HashMap<u32, u32> = HashMap::with_max_entries(1, 0);

/// Counters of each rule.
#[map(name = "NL_RULES")]
pub static RULE_COUNTERS: PerCpuArray<RuleCounters> = PerCpuArray::with_max_entries(1, 0);

/// Received and verdict counters of each hook.
#[map(name = "NL_VERDICTS")]
pub static VERDICT_COUNTERS: PerCpuArray<Count> = PerCpuArray::with_max_entries(COUNTERS, 0);
