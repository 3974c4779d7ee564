//! Times: as short and as long as a lab file may set them, and over the clock's wrap.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use netlab_tests::attack::{Gun, MASQUERADES, NOBODY, Pins, count, flows, lab};
use netlab_tests::inside::{at, bind_udp, dial};
use netlab_tests::live::{echo_server, speak};
use netlab_tests::machine::Machine;
use netlab_tests::segment::Segment;

/// Seconds until the one flow of a protocol ends.
fn expires(machine: &Machine, protocol: &str) -> Option<u64> {
    flows(machine).iter().find(|flow| flow["protocol"] == protocol)?["expires_s"].as_u64()
}

/// Tries until something holds, for so many seconds at the most.
fn within(seconds: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn times_from_a_second_to_days_are_as_the_lab_file_sets_them() {
    const DAY: u64 = 86_400;
    let machine = lab(&format!(
        "[flows]\nquarantine = 1\ntimeouts = {{ udp_unreplied = 1, icmp = 1, udp = {}, tcp_established = {} }}\n{MASQUERADES}",
        3 * DAY,
        30 * DAY
    ));
    let _server = echo_server(&machine, "internet", at("8.8.8.8", 7));
    let client =
        dial(&machine, "earth", (Ipv4Addr::new(10, 10, 0, 10), 30_000), at("8.8.8.8", 7)).expect("served");
    speak(&client, 1).expect("it works");
    let node = bind_udp(&machine, "earth", at("10.10.0.10", 30_000));
    node.send_to(b"word", (NOBODY, 53)).expect("the kernel takes a datagram");
    let _ = machine.sh_in("earth", "ping -qc1 -W2 8.8.8.8").ok();
    assert_eq!(expires(&machine, "udp"), Some(1));
    assert_eq!(expires(&machine, "icmp"), Some(1));
    let tcp = expires(&machine, "tcp").expect("it lives");
    assert!((30 * DAY - 60..=30 * DAY + 1).contains(&tcp), "{tcp}");
    within(5, "short times are over", || count(&machine, &[]) == 1);

    let server = bind_udp(&machine, "internet", at("8.8.8.8", 53));
    node.send_to(b"word", ("8.8.8.8", 53)).expect("the kernel takes a datagram");
    let mut buffer = [0; 8];
    let (_, from) = server.recv_from(&mut buffer).expect("it arrives");
    server.send_to(b"back", from).expect("the kernel takes a datagram");
    node.recv_from(&mut buffer).expect("the answer");
    sleep(Duration::from_secs(3));
    let udp = expires(&machine, "udp").expect("an answered one has another time");
    assert!((3 * DAY - 60..=3 * DAY).contains(&udp), "{udp}");
    speak(&client, 2).expect("it lives");
    let table = machine.netlab(["conntrack", "ls"]).ok();
    assert!(table.contains("2 flows"), "{table}");
    // Slots and ports of what is over have come back.
    let pins = Pins::of(&machine);
    within(5, "what is over is swept", || pins.slots().used - pins.slots().waiting == 2);
}

#[test]
fn times_are_kept_over_the_wrap_of_the_clock() {
    let machine = lab(&format!("[flows]\nquarantine = 1\ntimeouts = {{ udp_unreplied = 5 }}\n{MASQUERADES}"));
    let pins = Pins::of(&machine);
    // Some two and a half seconds from now the clock begins at zero again.
    pins.wind_to_the_wrap(38);
    let _server = echo_server(&machine, "internet", at("8.8.8.8", 7));
    let client =
        dial(&machine, "earth", (Ipv4Addr::new(10, 10, 0, 10), 30_000), at("8.8.8.8", 7)).expect("served");
    let gun = Gun::at(&machine, "earth", "left");
    gun.fire((0..100).map(|number| Segment::udp((Ipv4Addr::new(10, 10, 5, number), 5000), (NOBODY, 53), 1)));
    let begun = Instant::now();
    assert_eq!(count(&machine, &["--proto", "udp"]), 100);
    let mut word = 0;
    let mut speak_until = |seconds: u64| {
        while begun.elapsed() < Duration::from_secs(seconds) {
            word += 1;
            speak(&client, word).expect("it lives");
            sleep(Duration::from_millis(50));
        }
    };
    speak_until(4);
    assert_eq!(count(&machine, &["--proto", "udp"]), 100, "none is over too soon");
    let ages: Vec<_> = flows(&machine).iter().filter_map(|flow| flow["age_s"].as_u64()).collect();
    assert!(ages.iter().all(|age| (3..=7).contains(age)), "{ages:?}");
    speak_until(6);
    assert_eq!(count(&machine, &["--proto", "udp"]), 0, "nor too late");
    within(5, "they are swept", || pins.slots().used - pins.slots().waiting == 1);
    assert_eq!(count(&machine, &["--proto", "tcp"]), 1);
    assert_eq!(expires(&machine, "tcp").map(|left| left > 7000), Some(true), "of two hours and four minutes");
    speak(&client, u32::MAX).expect("it lives");
}
