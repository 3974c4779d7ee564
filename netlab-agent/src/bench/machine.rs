//! What the numbers were measured on, and how much of it was taken away meanwhile.

use std::fs;

use serde::Serialize;

use super::{packets, rivals};

/// The machine, as far as it matters to the numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// The kernel's release.
    pub kernel: String,
    /// The processor's name.
    pub processor: String,
    /// How many CPUs it has.
    pub cpus: usize,
    /// The share of time that a hypervisor gave to others while the bench ran.
    pub steal: f64,
    /// The share of its time for which the generator waited while others had its CPU.
    pub waited: f64,
    /// The version of iptables.
    pub iptables: String,
    /// The version of nftables.
    pub nft: String,
    /// Connections that the kernel keeps at the most.
    pub conntrack_max: u32,
}

/// A moment in the kernel's account of CPU time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    all: u64,
    stolen: u64,
}

impl Account {
    /// Now.
    pub fn now() -> Self {
        Self::of(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn of(text: &str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let times: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        // What guests use, the last two, is in the user's time already.
        Account { all: times.iter().take(8).sum(), stolen: times.get(7).copied().unwrap_or(0) }
    }

    /// The share that was stolen since.
    pub fn stolen_since(self, before: Account) -> f64 {
        let all = self.all.saturating_sub(before.all);
        self.stolen.saturating_sub(before.stolen) as f64 / all.max(1) as f64
    }
}

/// How many flows are sent where the kernel keeps so many connections: a part of them is left for others.
pub fn room_in(conntrack_max: u32) -> u32 {
    conntrack_max - conntrack_max / 16
}

impl Machine {
    /// How many flows a variant gets at the most that is the kernel's own.
    pub fn room(&self) -> u32 {
        room_in(self.conntrack_max)
    }

    /// Looks at it.
    pub fn look(steal: f64, waited: f64) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let name = processors.lines().find_map(|line| line.strip_prefix("model name"));
        Machine {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: name
                .map(|name| name.trim_start_matches(['\t', ' ', ':']).to_owned())
                .unwrap_or_default(),
            cpus: processors.lines().filter(|line| line.starts_with("processor")).count(),
            steal,
            waited,
            iptables: rivals::version("iptables"),
            nft: rivals::version("nft"),
            conntrack_max: packets::conntrack_max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_the_eighth_number_of_the_first_line() {
        let before = Account::of("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 …\n");
        let after = Account::of("cpu  150 0 150 880 0 0 0 20 7 0\n");
        assert!((after.stolen_since(before) - 0.1).abs() < 1e-9);
    }
}
