//! The lab without its agent, and with another one: nothing that lives notices, and nothing is lost.

use std::hint::spin_loop;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use netlab_common::abi::ABI_VERSION;
use netlab_common::abi::event::Event;
use netlab_tests::attack::{Gun, MASQUERADES, NOBODY, Pins, count, lab, size};
use netlab_tests::inside::at;
use netlab_tests::live::Live;
use netlab_tests::machine::Machine;
use netlab_tests::segment::Segment;
use netlab_tests::stream::Stream;

/// Times after which a test need not wait long.
const BRIEF: &str = "timeouts = { udp_unreplied = 1, tcp_transitory = 1 }\nquarantine = 1\n";

/// Datagrams to nobody, from so many clients; to eight of its ports, because one remote has ports for 64,512 flows.
fn spray(number: u32) -> impl Iterator<Item = Segment> {
    (0..number).map(|number| {
        let [high, low] = (1024 + (number % 50_000) as u16).to_be_bytes();
        let from = (Ipv4Addr::new(10, 10, high, low), 5000 + (number / 50_000) as u16);
        Segment::udp(from, (NOBODY, 50 + (number % 8) as u16), number)
    })
}

fn agent(machine: &Machine) -> Option<i64> {
    machine.json(&["status"])["agent"].as_i64()
}

/// Somebody who stands ready to kill the agent at a word, without any more ado.
struct Killer(Child);

impl Killer {
    fn ready(machine: &Machine) -> Self {
        let agent = agent(machine).expect("it lives");
        let mut shell = machine.command("sh");
        shell.args(["-c", &format!("read word; kill -9 {agent}")]).stdin(Stdio::piped());
        Killer(shell.spawn().expect("a shell"))
    }

    fn strike(mut self) {
        self.0.stdin.take().expect("it was asked for").write_all(b"now\n").expect("it listens");
        assert!(self.0.wait().expect("a child").success());
    }
}

fn kill_the_agent(machine: &Machine) {
    Killer::ready(machine).strike();
    is_dead(machine);
}

fn is_dead(machine: &Machine) {
    // The machine's first process buries nobody, so it is still in the list of processes.
    machine.wait_until("$NETLAB status | grep -q 'agent: dead'");
}

#[test]
fn an_agent_killed_under_load_is_not_missed_and_a_new_one_takes_over() {
    let machine = lab(&format!("[flows]\nsize = 4096\n{BRIEF}{MASQUERADES}"));
    let pins = Pins::of(&machine);
    let live = Live::open(&machine, ("mars", "10.20.0.30"), ("internet", at("8.8.8.8", 7)), 20);
    let stream = Stream::open(&machine, "earth", at("10.10.0.10", 30_000), 53);
    let gun = Gun::at(&machine, "earth", "left");
    let ((((), words), ended), told) = stream.during(|| {
        let spoken = live.while_they_speak(|| {
            kill_the_agent(&machine);
            gun.fire(spray(1000));
            assert_eq!(agent(&machine), None);
            // So long after the last sweep the datapath sweeps by itself, when a flow is asked for.
            sleep(Duration::from_secs(6));
        });
        let before = pins.event(Event::Expired);
        gun.fire_slowly(spray(1000).map(|segment| Segment { to: (NOBODY, 90), ..segment }), 1000);
        (spoken, pins.event(Event::Expired) - before)
    });
    told.is_whole();
    println!("without an agent: {} datagrams and {words} words, none lost; {ended} flows expired", told.sent);
    assert!(ended >= 900, "expiry goes on: {ended} of 1000");
    let (said, told) = stream.during(|| {
        let ran = machine.netlab(["up"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr
    });
    told.is_whole();
    assert!(said.contains("this one takes over"), "{said}");
    assert!(agent(&machine).is_some());
    live.all_speak(7);
    // It sweeps what its predecessor left.
    sleep(Duration::from_secs(4));
    assert_eq!(count(&machine, &["--proto", "udp", "--dst", "203.0.113.5"]), 0);
    assert_eq!(pins.slots().used - pins.slots().waiting, 21, "slots of flows that live");
    live.all_speak(8);
}

#[test]
fn agents_killed_in_the_middle_of_sweeping_lose_no_slot() {
    let number = size(20_000, 200_000);
    let machine = lab(&format!("[flows]\nsize = {}\n{BRIEF}{MASQUERADES}", 2 * number));
    let pins = Pins::of(&machine);
    let gun = Gun::at(&machine, "earth", "left");
    let rounds = size(4, 20);
    for round in 0..rounds {
        let killer = Killer::ready(&machine);
        gun.fire(spray(number));
        // The first flows are over two seconds after they were made, and the agent sweeps once a second.
        let ended = pins.event(Event::Expired) + u64::from(number * round / rounds);
        while pins.event(Event::Expired) <= ended {
            spin_loop();
        }
        killer.strike();
        is_dead(&machine);
        let left = pins.slots();
        println!("killed with {} of {} slots given back", left.waiting, left.used);
        let _ = machine.netlab(["up"]).ok();
    }
    machine.wait_until("[ $($NETLAB conntrack count) = 0 ]");
    sleep(Duration::from_secs(3));
    kill_the_agent(&machine);
    pins.are_at_rest();
}

#[test]
fn programs_are_replaced_under_load_without_losing_a_packet_a_flow_or_a_count() {
    let machine = lab(&format!("[flows]\nsize = 4096\n{MASQUERADES}"));
    let live = Live::open(&machine, ("mars", "10.20.0.30"), ("internet", at("8.8.8.8", 7)), 20);
    let stream = Stream::open(&machine, "earth", at("10.10.0.10", 30_000), 53);
    stream.during(|| sleep(Duration::from_millis(200))).1.is_whole();
    let flows_before = count(&machine, &[]);
    let counted = |machine: &Machine| {
        let all = machine.json(&["masquerade", "ls"]);
        let counters =
            all["masquerades"].as_array().expect("a list").iter().map(|one| one["counters"].clone());
        counters.map(|one| (one["flows"].as_u64(), one["packets"]["original"].as_u64())).collect::<Vec<_>>()
    };
    let before = counted(&machine);
    let (((), words), told) = stream.during(|| {
        live.while_they_speak(|| {
            for _ in 0..size(2, 20) {
                // As another build of netlab would have noted it.
                let _ = machine.sh("echo another >/run/netlab/attack/programs").ok();
                let ran = machine.netlab(["up"]);
                assert_eq!(ran.code, 0, "{}", ran.stderr);
                assert!(
                    ran.stderr.contains("programs of another build; they were replaced"),
                    "{}",
                    ran.stderr
                );
            }
        })
    });
    told.is_whole();
    println!("programs replaced {} times: {} datagrams and {words} words, none lost", size(2, 20), told.sent);
    assert_eq!(count(&machine, &[]), flows_before);
    for ((flows, packets), (flows_before, packets_before)) in counted(&machine).into_iter().zip(before) {
        assert_eq!(flows, flows_before, "no flow was made anew");
        assert!(packets > packets_before, "and the counters go on");
    }
    assert!(agent(&machine).is_some());
}

#[test]
fn maps_of_another_layout_are_refused_with_a_clear_message_and_left_as_they_are() {
    let machine = lab(MASQUERADES);
    let stream = Stream::open(&machine, "earth", at("10.10.0.10", 30_000), 53);
    let folder = "/sys/fs/bpf/netlab/attack";
    let (said, told) = stream.during(|| {
        let other = ABI_VERSION - 1;
        let _ = machine.sh(&format!("mv {folder}/v{ABI_VERSION} {folder}/v{other}")).ok();
        let _ =
            machine.sh("cp -a /run/netlab/attack/programs kept; echo x >/run/netlab/attack/programs").ok();
        let said = [
            machine.netlab(["conntrack", "ls"]).fails(6),
            machine.netlab(["stats"]).fails(6),
            machine.netlab(["up"]).fails(6),
        ];
        let _ = machine.sh(&format!("mv {folder}/v{other} {folder}/v{ABI_VERSION}")).ok();
        let _ = machine.sh("cp -a kept /run/netlab/attack/programs").ok();
        said
    });
    told.is_whole();
    for said in said {
        assert!(said.contains("another version of netlab, whose maps this one cannot read"), "{said}");
        assert!(said.contains("netlab down -l attack"), "{said}");
    }
    assert_eq!(count(&machine, &[]), 1, "its flow is there again");
}
