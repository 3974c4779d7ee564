//! What NAT costs beside time on packets: memory a flow, and the time until many forwards work.

use std::fs;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::error::Result;
use super::frames::Course;
use super::owner::{Owner, netlab};
use super::packets::{self, Outcome, Tools};
use super::plan::Spec;
use super::rivals;
use super::variant::Made;

/// Bytes of memory a flow.
///
/// netlab's table is made at once, and says how large it is. The kernel allocates connections one by one: what its
/// allocator holds more after a burst of flows than before it, and the share of a bucket.
///
/// # Errors
/// When the bench itself fails.
pub fn memory(tools: &mut Tools<'_>, bed: &Bed) -> Result<Outcome> {
    if matches!(bed.spec.variant.made(), Made::Netlab(_)) {
        let ran = netlab(&["status", "-l", &bed.name, "-o", "json"])?;
        let status: serde_json::Value =
            serde_json::from_str(&String::from_utf8_lossy(&ran.stdout)).unwrap_or_default();
        let bytes = find(&status, "memory_bytes");
        return Ok(match bytes {
            Some(bytes) => Ok(vec![bytes / f64::from(bed.spec.flows)]),
            None => Err("`netlab status` does not say how much memory it has".into()),
        });
    }
    let Some(host) = &bed.host else { return Ok(Err("there is no host".into())) };
    bed.flush()?;
    let before = slabs();
    if let Err(what) = packets::opening(tools, bed, Course::Out)? {
        return Ok(Err(what));
    }
    let after = slabs();
    let count = |name: &str| -> f64 {
        // These files show the namespace of the thread that opens them.
        let path = format!("/proc/sys/net/netfilter/{name}");
        fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0.0)
    };
    let (flows, buckets, most) = host
        .enter(|| (count("nf_conntrack_count"), count("nf_conntrack_buckets"), count("nf_conntrack_max")))?;
    bed.flush()?;
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(Err("/proc/slabinfo cannot be read".into()));
    };
    if flows < 1.0 {
        return Ok(Err("the kernel has no flows".into()));
    }
    // A bucket is a pointer, and two entries of each flow lie in the table.
    Ok(Ok(vec![(after - before) / flows + buckets * 8.0 / most.max(1.0)]))
}

/// Bytes in the caches that connections and their extensions are allocated from.
fn slabs() -> Option<f64> {
    let text = fs::read_to_string("/proc/slabinfo").ok()?;
    let mut sum = 0.0;
    for line in text.lines().skip(2) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.first()?;
        if *name == "nf_conntrack" || matches!(*name, "kmalloc-128" | "kmalloc-192" | "kmalloc-256") {
            let number = |index: usize| words.get(index)?.parse::<f64>().ok();
            // Objects in use and their size.
            sum += number(1)? * number(3)?;
        }
    }
    Some(sum)
}

fn find(value: &serde_json::Value, key: &str) -> Option<f64> {
    match value {
        serde_json::Value::Object(fields) => match fields.get(key) {
            Some(found) => found.as_f64(),
            None => fields.values().find_map(|value| find(value, key)),
        },
        _ => None,
    }
}

/// How often a lab comes up with and without them.
const LOADS: usize = 3;

/// Seconds until so many forwards work. A rival loads its rules into a host that has none; for netlab it is what
/// `netlab up` takes longer with them than without.
///
/// # Errors
/// When the bench itself fails.
pub fn load(
    owner: &Owner,
    number: usize,
    tools: &mut Tools<'_>,
    bed: &Bed,
    forwards: u32,
) -> Result<Outcome> {
    match (bed.spec.variant.made(), &bed.host) {
        (Made::Kernel(Some(rival)), Some(host)) => {
            rivals::clear(host, rival)?;
            let begun = Instant::now();
            rivals::load(host, rival, forwards)?;
            let took = begun.elapsed().as_secs_f64();
            rivals::clear(host, rival)?;
            Ok(Ok(vec![took]))
        }
        (Made::Netlab(_), _) => {
            // What is left of two times that are ten times as long: of each the shortest, which nobody else made longer.
            let (mut without, mut all) = (Duration::MAX, Duration::MAX);
            for _ in 0..LOADS {
                let mut took = |forwards| -> Result<Duration> {
                    tools.interrupt.check()?;
                    Ok(Bed::new(owner, number, Spec { forwards, ..bed.spec }, tools.object)?.took)
                };
                without = without.min(took(1)?);
                all = all.min(took(forwards)?);
            }
            Ok(Ok(vec![all.saturating_sub(without).as_secs_f64().max(1e-6)]))
        }
        _ => Ok(Err("it has no forwards".into())),
    }
}
