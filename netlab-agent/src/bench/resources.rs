//! What NAT costs beside time on packets: memory a flow, and the time until many forwards work.

use std::time::Instant;
use std::{fs, io};

use super::bed::Bed;
use super::error::{BenchError, Result};
use super::frames::Course;
use super::owner::{Owner, netlab};
use super::packets::{self, Outcome, Tools};
use super::variant::Made;
use super::{object, rivals, text};
use crate::datapath::rules::RuleMaps;
use crate::topology::LabDir;
use crate::{datapath, lab, nat};

/// Bytes of memory a flow.
///
/// netlab's table is made at once, and says how large it is. The kernel allocates connections one by one: what its
/// allocator holds more after a burst of flows than before it, and the share of a bucket.
///
/// # Errors
/// When the bench itself fails.
pub fn memory(tools: &mut Tools<'_>, bed: &Bed) -> Result<Outcome> {
    if matches!(bed.spec.variant.made(), Made::Netlab(_)) {
        let ran = netlab(&["status", "-l", &bed.names.lab, "-o", "json"])?;
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

/// Seconds until so many forwards work. A rival loads its rules into a host that has none. netlab has no command for
/// that by itself: what `netlab up` does for forwards is done here, in a lab that has room for as many. Two whole `up`s,
/// with them and without, would differ by less than either does from time to time.
///
/// # Errors
/// When the bench itself fails.
pub fn load(owner: &Owner, bed: &Bed, forwards: u32) -> Result<Outcome> {
    let Some(host) = &bed.host else { return Ok(Err("there is no host".into())) };
    match bed.spec.variant.made() {
        Made::Kernel(Some(rival)) => {
            rivals::clear(host, rival)?;
            let script = rivals::script(rival, forwards);
            let begun = Instant::now();
            rivals::load(host, rival, &script)?;
            let took = begun.elapsed();
            rivals::clear(host, rival)?;
            Ok(Ok(vec![took.as_secs_f64()]))
        }
        Made::Netlab(_) => write_forwards(owner, bed, object::index(host, "planet-br")?),
        _ => Ok(Err("it has no forwards".into())),
    }
}

/// Seconds that netlab takes for the forwards of a lab that is up, from its file to its maps.
fn write_forwards(owner: &Owner, bed: &Bed, bridge: u32) -> Result<Outcome> {
    let failed = |error: datapath::Error| BenchError::system("write forwards")(io::Error::other(error));
    let name = &bed.names.lab;
    // The lab's agent, which would put its rules right, leaves them alone meanwhile.
    let _lock = match LabDir::new(name).wait_for_rules() {
        Ok(lock) => lock,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let file = owner.write("forwards.toml", &text::lab(&bed.spec, &bed.names))?;
    let lab = match lab::load(&file) {
        Ok(loaded) => loaded.lab,
        Err(failure) => return Ok(Err(failure.to_string())),
    };
    let mut maps = RuleMaps::open(name).map_err(failed)?;
    // What is the same already would not be written: so each leads elsewhere, and no port to any.
    let mut other = nat::rules(&lab, &text::host(bridge));
    other.forwards.iter_mut().for_each(|(_, forward)| forward.targets[0].port ^= 1);
    other.forward_ports.clear();
    maps.apply(name, &other).map_err(failed)?;
    let begun = Instant::now();
    // A process that starts, reads the file and checks it; and what comes after that, of which the lab is known here.
    if !netlab(&["lint", &file.display().to_string()])?.status.success() {
        return Ok(Err("`netlab lint` refuses the lab".into()));
    }
    maps.apply(name, &nat::rules(&lab, &text::host(bridge))).map_err(failed)?;
    let json = serde_json::to_string_pretty(&lab).map_err(io::Error::other);
    owner.write("lab.json", &json.map_err(BenchError::system("write the lab down"))?)?;
    Ok(Ok(vec![begun.elapsed().as_secs_f64()]))
}
