//! What a wire carried: tcpdump on an interface of a private machine, from before the traffic to after it.

use crate::machine::Machine;

/// A running capture; it ends with its machine if the test does not end it.
pub struct Capture<'a> {
    machine: &'a Machine,
    name: String,
}

impl<'a> Capture<'a> {
    /// Begins to capture on an interface; whole packets, so that checksums can be verified afterwards.
    pub fn start(machine: &'a Machine, namespace: &str, interface: &str) -> Self {
        Self::start_with(machine, namespace, interface, "")
    }

    /// The same with packets' headers only, for what would fill the disk.
    pub fn start_short(machine: &'a Machine, namespace: &str, interface: &str) -> Self {
        Self::start_with(machine, namespace, interface, "-s 96")
    }

    fn start_with(machine: &'a Machine, namespace: &str, interface: &str, options: &str) -> Self {
        let name = format!("{namespace}-{interface}");
        // As root: tcpdump's own user may not write into the test's folder.
        let script = format!(
            "rm -f {name}.pcap
             tcpdump -Z root -i {interface} {options} -U --immediate-mode -B 16384 -w {name}.pcap </dev/null >{name}.out 2>&1 &
             echo $! >{name}.pid"
        );
        let _ = machine.sh_in(namespace, &script).ok();
        machine.wait_until(&format!("grep -q 'listening on' {name}.out"));
        Capture { machine, name }
    }

    /// Ends the capture once the file no longer grows.
    ///
    /// # Panics
    /// When tcpdump does not end.
    pub fn stop(self) -> Captured<'a> {
        let Capture { machine, name } = self;
        machine.wait_until(&format!(
            "a=$(stat -c %s {name}.pcap); sleep 0.1; [ $(stat -c %s {name}.pcap) = $a ]"
        ));
        let _ = machine.sh(&format!("kill -INT $(cat {name}.pid)")).ok();
        machine.wait_until(&format!("grep -q 'dropped by kernel' {name}.out"));
        Captured { machine, name }
    }
}

/// A capture that has ended.
pub struct Captured<'a> {
    machine: &'a Machine,
    name: String,
}

impl Captured<'_> {
    /// The packets that match a filter of tcpdump's, one a line.
    pub fn packets(&self, filter: &str) -> Vec<String> {
        let script = format!("tcpdump -nnr {}.pcap '{filter}' 2>/dev/null", self.name);
        self.machine.sh(&script).ok().lines().map(str::to_owned).collect()
    }

    /// How many packets match a filter.
    pub fn count(&self, filter: &str) -> usize {
        let script = format!("tcpdump -nnr {}.pcap '{filter}' 2>/dev/null | wc -l", self.name);
        self.machine.sh(&script).ok().trim().parse().expect("a number")
    }

    /// The first packets of a filter whose checksum is wrong. This says something only about packets that come
    /// from where no offload is left to compute it.
    pub fn wrong_checksums(&self, filter: &str) -> String {
        let show = format!("tcpdump -vvnnr {}.pcap '{filter}' 2>/dev/null", self.name);
        self.machine
            .sh(&format!("{show} | grep -i -B1 'incorrect\\|bad.*cksum\\|wrong icmp' | head -8"))
            .stdout
    }
}
