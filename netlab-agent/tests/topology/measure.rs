//! How long a large lab takes to come up and to go.

use std::fs;
use std::time::{Duration, Instant};

use netlab_agent::lab::Place;

use crate::kit::{down, lab, pings, sandboxed, up};

/// User-space time of this process in milliseconds; the kernel counts it in hundredths of a second.
fn ticks() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = text.rsplit_once(") ").unwrap().1;
    fields.split(' ').nth(11).unwrap().parse::<u64>().unwrap() * 10
}

#[test]
#[ignore = "a measurement; run it by name with --nocapture"]
fn measure_250_nodes_on_one_bridge() {
    sandboxed("measure::measure_250_nodes_on_one_bridge", || async {
        for host in [Some("m-host"), None, Some("m-host"), None] {
            let lab = lab("m", host, 250);
            let (begin, spent) = (Instant::now(), ticks());
            let built = up(&lab).await;
            let (up_time, spent) = (begin.elapsed(), ticks() - spent);
            assert!(pings(&built, Place::Node(0), "m", "10.10.1.200"));
            drop(built);
            let begin = Instant::now();
            down("m").await;
            let down_time = begin.elapsed();
            eprintln!(
                "250 nodes, host {host:?}: up {up_time:?}, of it {spent} ms in user space; down {down_time:?}"
            );
            // The kernel frees namespaces in the background; the next round should not pay for it.
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
    });
}
