//! The datapath in the kernel, unattached: a freshly loaded object with a case's rules in its maps, whose
//! programs are run on frames by `BPF_PROG_TEST_RUN`.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, PerCpuArray};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, Pod};
use netlab_agent::datapath::object::{self, Sizes};
use netlab_common::abi::flow::{Flow, FlowRef, Tuple, life};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::names;
use netlab_common::abi::rule::{ForwardKey, ForwardTarget, MasqueradeTarget, RuleCounters};
use netlab_common::abi::verdict::{Count, Disposition};

use crate::rules::Rules;
use crate::state::{self, Counts, Outcome, State};

const TC_ACT_UNSPEC: u32 = -1i32 as u32;
const TC_ACT_SHOT: u32 = 2;
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// Which of the two twins of a hook's program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one for skbs.
    Tc,
    /// The one for frames that are no skbs yet.
    Xdp,
}

/// A loaded object.
#[derive(Debug)]
pub struct Kernel {
    place: Place,
    object: Ebpf,
    /// Programs go through the verifier when they are first needed.
    loaded: [bool; Hook::ALL.len()],
    rules: u32,
}

impl Kernel {
    /// Loads the object and writes the rules into its maps.
    ///
    /// # Errors
    /// When the kernel refuses something.
    pub fn load(place: Place, rules: &Rules) -> anyhow::Result<Self> {
        let sizes = Sizes {
            flows: rules.room,
            forwards: rules.forwards.len() as u32,
            masquerades: rules.masquerades.len() as u32,
            zones: rules.zones.len() as u32,
            interfaces: 8,
            rules: rules.count(),
        };
        let mut object = object::load(&sizes).context("the object does not load")?;
        let mut forwards =
            HashMap::<_, ForwardKey<4>, ForwardTarget<4>>::try_from(map_mut(&mut object, names::FORWARDS)?)?;
        for (key, target) in &rules.forwards {
            forwards.insert(key, target, 0)?;
        }
        let mut masquerades =
            LpmTrie::<_, [u8; 4], MasqueradeTarget<4>>::try_from(map_mut(&mut object, names::MASQUERADES)?)?;
        for ((start, len), target) in &rules.masquerades {
            masquerades.insert(&Key::new(u32::from(*len), *start), target, 0)?;
        }
        let mut zones = LpmTrie::<_, [u8; 4], u32>::try_from(map_mut(&mut object, names::ZONES)?)?;
        for ((start, len), zone) in &rules.zones {
            zones.insert(&Key::new(u32::from(*len), *start), *zone as u32, 0)?;
        }
        Ok(Kernel { place, object, loaded: [false; Hook::ALL.len()], rules: rules.count() })
    }

    /// Which twins run.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Runs a hook's program on a frame, which must be longer than an Ethernet header.
    ///
    /// # Errors
    /// When the kernel refuses to, when the action is not the verdict's, or when counters do not add up.
    pub fn run(&mut self, hook: Hook, frame: &[u8]) -> anyhow::Result<Outcome> {
        let before = self.counts()?;
        let mut became = vec![0; frame.len() + 64];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut became), ..TestRunOptions::default() };
        let result = match self.place {
            Place::Tc => self.classifier(hook)?.test_run(options),
            Place::Xdp => self.xdp(hook)?.test_run(options),
        }
        .context("the program does not run")?;
        became.truncate(result.data_size_out as usize);

        let verdict = state::verdict_between(&before, &self.counts()?, hook, frame.len())
            .with_context(|| format!("in {:?}", self.place))?;
        let dropped = match (self.place, result.return_value) {
            (Place::Tc, TC_ACT_UNSPEC) | (Place::Xdp, XDP_PASS) => false,
            (Place::Tc, TC_ACT_SHOT) | (Place::Xdp, XDP_DROP) => true,
            (place, action) => bail!("{} in {place:?} gave action {action}", verdict.name()),
        };
        let drops = verdict.disposition() == Disposition::Dropped;
        ensure!(dropped == drops, "{} in {:?}: dropped is {dropped}", verdict.name(), self.place);
        Ok(Outcome { verdict, frame: became })
    }

    fn classifier(&mut self, hook: Hook) -> anyhow::Result<&SchedClassifier> {
        let name = names::TC_PROGRAMS[hook as usize];
        let program = self.object.program_mut(name).with_context(|| format!("no program {name}"))?;
        let program: &mut SchedClassifier = program.try_into()?;
        if !std::mem::replace(&mut self.loaded[hook as usize], true) {
            program.load().with_context(|| format!("{name} is refused"))?;
        }
        Ok(program)
    }

    fn xdp(&mut self, hook: Hook) -> anyhow::Result<&Xdp> {
        let name = names::XDP_PROGRAMS[hook as usize];
        let program = self.object.program_mut(name).with_context(|| format!("no program {name}"))?;
        let program: &mut Xdp = program.try_into()?;
        if !std::mem::replace(&mut self.loaded[hook as usize], true) {
            program.load().with_context(|| format!("{name} is refused"))?;
        }
        Ok(program)
    }

    /// Makes every flow look as if it had been idle for so long.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn age(&mut self, time: Duration) -> anyhow::Result<()> {
        self.change_flows(|flow| {
            let last_seen = flow.counters.last_seen;
            flow.counters.last_seen = last_seen.saturating_sub(time.as_nanos() as u64);
        })
    }

    /// Marks every flow as one that the agent is taking away.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn end_flows(&mut self) -> anyhow::Result<()> {
        self.change_flows(|flow| flow.head.life = life::ENDING)
    }

    fn change_flows(&mut self, change: impl Fn(&mut Flow<4>)) -> anyhow::Result<()> {
        let flows = self.flows()?;
        let mut map = Array::<_, Flow<4>>::try_from(map_mut(&mut self.object, names::FLOWS)?)?;
        for (slot, mut flow) in flows {
            change(&mut flow);
            map.set(slot, flow, 0)?;
        }
        Ok(())
    }

    /// Every slot that is in use.
    fn flows(&self) -> anyhow::Result<Vec<(u32, Flow<4>)>> {
        let map = Array::<_, Flow<4>>::try_from(self.map(names::FLOWS)?)?;
        let mut flows = vec![];
        for slot in 0..map.len() {
            let flow = map.get(&slot, 0)?;
            if flow.head.life != life::FREE {
                flows.push((slot, flow));
            }
        }
        Ok(flows)
    }

    /// Everything that can be compared.
    ///
    /// # Errors
    /// When a map cannot be read, a flow lacks a key, or a key its flow.
    pub fn state(&self) -> anyhow::Result<State> {
        let keys = HashMap::<_, Tuple<4>, FlowRef>::try_from(self.map(names::KEYS)?)?;
        let keys: Vec<_> = keys.iter().collect::<Result<_, _>>()?;
        let flows = state::whole(self.flows()?, keys).with_context(|| format!("in {:?}", self.place))?;
        let mut rules = self.summed(names::RULE_COUNTERS, |sum: &mut RuleCounters, one| {
            sum.flows += one.flows;
            for direction in 0..2 {
                sum.packets[direction] += one.packets[direction];
                sum.bytes[direction] += one.bytes[direction];
            }
        })?;
        // A map has at least one entry, rules or not.
        rules.truncate(self.rules as usize);
        Ok(State { flows, counts: self.counts()?, rules })
    }

    fn counts(&self) -> anyhow::Result<Counts> {
        self.summed(names::VERDICT_COUNTERS, |sum: &mut Count, one| {
            sum.packets += one.packets;
            sum.bytes += one.bytes;
        })
    }

    /// A per-CPU array's values, all CPUs together.
    fn summed<V: Pod + Default>(&self, name: &str, add: impl Fn(&mut V, &V)) -> anyhow::Result<Vec<V>> {
        let map = PerCpuArray::<_, V>::try_from(self.map(name)?)?;
        let mut sums = vec![];
        for index in 0..map.len() {
            let mut sum = V::default();
            map.get(&index, 0)?.iter().for_each(|one| add(&mut sum, one));
            sums.push(sum);
        }
        Ok(sums)
    }

    fn map(&self, name: &str) -> anyhow::Result<&aya::maps::Map> {
        self.object.map(name).with_context(|| format!("no map {name}"))
    }
}

fn map_mut<'a>(object: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut aya::maps::Map> {
    object.map_mut(name).with_context(|| format!("no map {name}"))
}
