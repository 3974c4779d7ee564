//! How long a large lab takes to come up and to go.

use std::time::{Duration, Instant};

use netlab_agent::lab::Place;

use crate::kit::{down, lab, pings, sandboxed, up};

#[test]
#[ignore = "a measurement; run it by name with --nocapture"]
fn measure_250_nodes_on_one_bridge() {
    sandboxed("measure::measure_250_nodes_on_one_bridge", || async {
        for host in [Some("m-host"), None, Some("m-host"), None] {
            let lab = lab("m", host, 250);
            let begin = Instant::now();
            let built = up(&lab).await;
            let up_time = begin.elapsed();
            assert!(pings(&built, Place::Node(0), "m", "10.10.1.200"));
            drop(built);
            let begin = Instant::now();
            down("m").await;
            eprintln!("250 nodes, host {host:?}: up {up_time:?}, down {:?}", begin.elapsed());
            // The kernel frees namespaces in the background; the next round should not pay for it.
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
    });
}
