//! Packets per second and new flows per second: the generator at one end, the sink at the other, and only what is
//! rightly translated counts.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::error::Result;
use super::frames::{Course, ENDLESS, Stream};
use super::interrupt::Interrupt;
use super::machine::room_in;
use super::object::{Counts, Object, wait};
use super::text::{self, mac};
use super::variant::{Hook, Made};
use super::words::counted;

/// What came of a measurement: its values, or why the round does not count.
pub type Outcome = std::result::Result<Vec<f64>, String>;

/// New flows are made in one burst of so many: fewer than any table has room for.
const BURST: u32 = 200_000;
/// How long a burst may last.
const BURST_TIME: Duration = Duration::from_millis(500);
/// How long all flows may take to come into being before packets are counted.
const FILLING: Duration = Duration::from_secs(20);
/// How long packets of established flows go before they are counted. The sink that has just been put there makes the
/// host's interface another one to the kernel, and netlab then learns its ways anew.
const WARM: Duration = Duration::from_millis(300);
/// Of a burst, the part that must arrive.
const ARRIVED: f64 = 0.995;

/// What `bench` works with.
#[derive(Debug)]
pub struct Tools<'a> {
    /// The bench's programs.
    pub object: &'a mut Object,
    /// Whether the user wants it to end.
    pub interrupt: &'a Interrupt,
    /// How long one measurement counts.
    pub seconds: f64,
}

/// Where frames go in and come out.
struct Ends<'a> {
    from: (&'a crate::netns::Namespace, &'a str),
    to: (&'a crate::netns::Namespace, &'a str),
    stream: Stream,
}

fn ends(bed: &Bed, course: Course, bytes: u16, flows: u64) -> Ends<'_> {
    let next = match (course, bed.spec.variant.made()) {
        (Course::Out, Made::Cable) => mac::WORLD,
        (Course::Out, _) => mac::BRIDGE,
        (Course::In { .. }, _) => mac::HOST,
    };
    let (earth, world) = ((&bed.earth, "earth-veth"), (&bed.world, "eth0"));
    let stream = Stream { course, bytes, flows, next };
    match course {
        Course::Out => Ends { from: earth, to: world, stream },
        Course::In { .. } => Ends { from: world, to: earth, stream },
    }
}

/// Packets per second of established flows, which are those of the round before where it had them.
///
/// # Errors
/// When the bench itself fails; what the packets do is in the outcome.
pub fn established(tools: &mut Tools<'_>, bed: &Bed, bytes: u16, flows: u32, hook: Hook) -> Result<Outcome> {
    let flows = room(bed, flows)?;
    let ends = ends(bed, Course::Out, bytes, flows.into());
    let object = &mut *tools.object;
    bed.tell(object)?;
    let _sink = object.sink(ends.to.0, ends.to.1, hook)?;
    if !bed.met.load(Ordering::Relaxed) {
        object.expect(ends.stream.expected(bed.seen()))?;
        bed.met.store(meet(object, &ends, tools.interrupt)?, Ordering::Relaxed);
    }
    let (interrupt, seconds) = (tools.interrupt, tools.seconds);
    object.expect(ends.stream.expected(bed.seen()))?;
    let measured = object.generate(ends.from, &ends.stream, u32::MAX, interrupt, |object, running| {
        // Each packet of the first pass opens its flow, and the second one's may still show it the way.
        let wanted = u64::from(flows) * 2;
        wait(FILLING, running, || Ok(object.made()?.frames >= wanted))?;
        if object.made()?.frames < wanted {
            return Ok(None);
        }
        interrupt.sleep(WARM)?;
        let (before, made_before) = (object.counts()?, object.made()?.frames);
        let (begun, waited) = (Instant::now(), running.waited());
        interrupt.sleep(Duration::from_secs_f64(seconds))?;
        let (after, made_after) = (object.counts()?, object.made()?.frames);
        // The time in which others had the CPU is nobody's cost.
        let took = begun.elapsed().saturating_sub(running.waited().saturating_sub(waited));
        Ok(Some((before, after, made_after - made_before, took)))
    })?;
    let Some((before, after, made, took)) = measured else {
        return Ok(Err(format!("{flows} flows did not come into being in {} s", FILLING.as_secs())));
    };
    let good = after[counted::GOOD] - before[counted::GOOD];
    if let Some(wrong) = wrong(&after) {
        return Ok(Err(wrong));
    }
    if good == 0 {
        return Ok(Err(format!("none of {made} packets arrived")));
    }
    Ok(Ok(vec![good as f64 / took.as_secs_f64()]))
}

/// New flows per second: one burst in which each packet opens a flow.
///
/// # Errors
/// As above.
pub fn opening(tools: &mut Tools<'_>, bed: &Bed, course: Course) -> Result<Outcome> {
    bed.flush()?;
    let ends = ends(bed, course, 64, ENDLESS);
    let object = &mut *tools.object;
    bed.tell(object)?;
    let _sink = object.sink(ends.to.0, ends.to.1, Hook::Xdp)?;
    object.expect(ends.stream.expected(bed.seen()))?;
    meet(object, &ends, tools.interrupt)?;
    bed.flush()?;
    object.expect(ends.stream.expected(bed.seen()))?;
    let made = burst(object, &ends, tools.interrupt)?;
    let counts = object.counts()?;
    if let Some(wrong) = wrong(&counts) {
        return Ok(Err(wrong));
    }
    let share = counts[counted::GOOD] as f64 / made.frames.max(1) as f64;
    if share < ARRIVED {
        return Ok(Err(format!("{} of {} new flows arrived", counts[counted::GOOD], made.frames)));
    }
    Ok(Ok(vec![made.timed as f64 * share / made.time.as_secs_f64()]))
}

/// Packets per second to a port of the host's that is not forwarded. The host's own stack counts them.
///
/// # Errors
/// As above.
pub fn missing(tools: &mut Tools<'_>, bed: &Bed) -> Result<Outcome> {
    bed.flush()?;
    let ends = ends(bed, Course::In { port: text::NOT_FORWARDED }, 64, ENDLESS);
    let Some(host) = &bed.host else { return Ok(Err("there is no host".into())) };
    let object = &mut *tools.object;
    let _sink = object.sink(ends.to.0, ends.to.1, Hook::Xdp)?;
    object.expect(ends.stream.expected(bed.seen()))?;
    let before = host.enter(no_ports)?;
    let made = burst(object, &ends, tools.interrupt)?;
    let refused = host.enter(no_ports)?.saturating_sub(before);
    let seen = object.counts()?[counted::SEEN];
    if seen > 0 {
        return Ok(Err(format!("{seen} packets reached earth")));
    }
    let share = refused as f64 / made.frames.max(1) as f64;
    if share < ARRIVED {
        return Ok(Err(format!("{refused} of {} packets reached the host", made.frames)));
    }
    Ok(Ok(vec![made.timed as f64 / made.time.as_secs_f64()]))
}

/// As many flows as the kernel's table has room for: its limit is the machine's, and is left as it is.
fn room(bed: &Bed, flows: u32) -> Result<u32> {
    let (Made::Kernel(Some(_)), Some(host)) = (bed.spec.variant.made(), &bed.host) else { return Ok(flows) };
    Ok(flows.min(room_in(host.enter(conntrack_max)?)))
}

/// How many connections the kernel keeps in the namespace of the thread.
pub fn conntrack_max() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap_or_default();
    text.trim().parse().unwrap_or(u32::MAX)
}

fn burst(object: &mut Object, ends: &Ends<'_>, interrupt: &Interrupt) -> Result<super::object::Made> {
    let waited = object.generate(ends.from, &ends.stream, BURST, interrupt, |_, running| {
        let mut waited = Duration::ZERO;
        wait(BURST_TIME, running, || {
            // What a thread has waited is not told any more once it has ended.
            waited = waited.max(running.waited());
            Ok(false)
        })?;
        Ok(waited)
    })?;
    settle(object, interrupt)?;
    let made = object.made()?;
    Ok(super::object::Made { time: made.time.saturating_sub(waited), ..made })
}

/// A few packets first, so that neighbours know each other; the first of all waits for ARP, and may be lost. Whether any
/// arrived.
fn meet(object: &mut Object, ends: &Ends<'_>, interrupt: &Interrupt) -> Result<bool> {
    for _ in 0..20 {
        object.generate(ends.from, &ends.stream, 64, interrupt, |_, running| {
            wait(Duration::from_secs(1), running, || Ok(false))
        })?;
        settle(object, interrupt)?;
        if object.counts()?[counted::SEEN] > 0 {
            return Ok(true);
        }
        interrupt.sleep(Duration::from_millis(50))?;
    }
    Ok(false)
}

/// Waits until nothing arrives any more.
fn settle(object: &Object, interrupt: &Interrupt) -> Result<()> {
    let mut before = object.counts()?;
    loop {
        interrupt.check()?;
        thread::sleep(Duration::from_millis(10));
        let now = object.counts()?;
        if now == before {
            return Ok(());
        }
        before = now;
    }
}

/// What was wrong with packets, if anything was.
fn wrong(counts: &Counts) -> Option<String> {
    let names = [
        (counted::BAD_LENGTH, "length"),
        (counted::BAD_SOURCE, "source address"),
        (counted::BAD_DESTINATION, "destination address"),
        (counted::BAD_PORT, "port"),
        (counted::BAD_HEADER_SUM, "IP checksum"),
        (counted::BAD_UDP_SUM, "UDP checksum"),
    ];
    let found: Vec<String> = names
        .iter()
        .filter(|(word, _)| counts[*word] > 0)
        .map(|(word, name)| format!("{} packets with a wrong {name}", counts[*word]))
        .collect();
    (!found.is_empty()).then(|| found.join(", "))
}

/// Datagrams that the stack of this namespace had no socket for.
fn no_ports() -> u64 {
    // `self` would be the namespace of the process, not of the thread.
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let place = names.split_whitespace().position(|name| name == "NoPorts");
    place.and_then(|place| values.split_whitespace().nth(place)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_wrong_packet_fails_the_round() {
        let mut counts = Counts::default();
        counts[counted::GOOD] = 1_000_000;
        assert_eq!(wrong(&counts), None);
        counts[counted::BAD_UDP_SUM] = 1;
        assert_eq!(wrong(&counts).as_deref(), Some("1 packets with a wrong UDP checksum"));
    }
}
