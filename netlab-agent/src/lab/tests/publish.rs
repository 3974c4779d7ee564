//! A forward that is added to a checked lab: the same meaning as in its file, and the same mistakes.

use insta::assert_snapshot;

use super::{PLANETS, lab, planets_and};
use crate::error::Kind;
use crate::lab::{Lab, publish};

/// Nodes whose address for the host is not simply their first: cabled to each other before they are to the
/// host, at the far end of another's cable, on `lo` alone, and down.
const ODD: &str = "
[node.pluto]
links = [
  { to = \"earth\", address = \"10.30.0.1/24\", peer = { address = \"10.30.0.2/24\" } },
  { to = \"planet-br\", state = \"down\", address = [\"10.10.0.40/16\", \"10.10.0.41/16\"] },
]
[node.charon]
loopback = [\"127.0.0.2/8\", \"9.9.9.9/32\"]
links = [{ to = \"pluto\" }]
[node.nix]
[node.hydra]
loopback = \"10.60.0.1/32\"
links = [
  { to = \"nix\", address = \"10.40.0.1/24\", peer = { address = \"10.40.0.2/24\" } },
  { to = \"host\", address = \"10.50.0.1/24\", peer = { address = \"10.50.0.2/24\" } },
]
";

fn refuse(lab: &Lab, text: &str, allow: &[&str]) -> String {
    let allow: Vec<String> = allow.iter().map(|net| (*net).to_owned()).collect();
    let failure = publish(lab, text, &allow, 7).expect_err("the forward is wrong");
    assert_eq!(failure.kind, Kind::Usage);
    failure.to_string()
}

#[test]
fn it_means_what_it_would_mean_in_the_file() {
    let forwards = [
        ("\"8000:earth\"", ""),
        ("\"192.168.0.108:9000-9010:neptune:9100,pluto/udp\"", "[\"192.168.0.0/24\", \"8.8.8.8\"]"),
        ("\"10.50.0.2:80:pluto:80,charon,nix,hydra:90\"", ""),
        ("\"443:internet,earth:8443/tcp\"", "\"0.0.0.0/0\""),
    ];
    let rules: Vec<String> = forwards
        .iter()
        .map(|(publish, allow)| {
            let allow = if allow.is_empty() { String::new() } else { format!("allow = {allow}\n") };
            format!("[[forward]]\npublish = {publish}\n{allow}")
        })
        .collect();
    let mut lab = lab(&planets_and(&format!("{ODD}\n{}", rules.join("\n"))));
    let read = std::mem::take(&mut lab.forwards);
    assert_eq!(read.len(), forwards.len());
    for forward in read {
        let allow: Vec<String> = forward.allow.iter().map(ToString::to_string).collect();
        let added = publish(&lab, &forward.publish, &allow, forward.rule).expect("it is right in the file");
        assert_eq!(added, forward);
        lab.forwards.push(added);
    }
}

#[test]
fn mistakes_are_shown_under_the_words_of_the_command() {
    let lab = lab(PLANETS);
    let shown = [
        refuse(&lab, "8000:earht:8000,neptune:0", &["10.0.0.0/8", "10.0.0.1/8", "all"]),
        refuse(&lab, "192.168.0.109:80:planet-br/tpc", &[]),
        refuse(&lab, "80", &[]),
        refuse(&lab, "", &[""]),
    ];
    assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn a_port_that_is_forwarded_already_names_the_forward() {
    let lab = lab(&planets_and("[[forward]]\npublish = \"192.168.0.108:8000-8010:earth\"\n"));
    let shown = [refuse(&lab, "192.168.0.108:8005:neptune", &[]), refuse(&lab, "8000:neptune:80/tcp", &[])];
    assert_snapshot!(shown.join("\n\n"));
    publish(&lab, "8000:neptune/udp", &[], 1).expect("another protocol has ports of its own");
    publish(&lab, "10.10.0.1:8000:neptune", &[], 1).expect("another address has ports of its own");
}

#[test]
fn a_node_without_an_address_and_a_host_without_an_uplink_are_explained() {
    let bare = lab(&PLANETS.replace("uplink = \"eth0\"\n", ""));
    let nameless = lab(&planets_and("[node.pluto]\n"));
    let shown = [refuse(&bare, "80:earth", &[]), refuse(&nameless, "80:pluto", &[])];
    assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn in_the_machines_own_stack_any_host_address_may_exist() {
    let lab = lab(&PLANETS.replace("namespace = \"planet-host\"\n", ""));
    publish(&lab, "172.16.0.1:80:earth", &[], 0).expect("netlab does not know the machine's addresses here");
}

#[test]
fn escape_sequences_of_an_argument_do_not_reach_the_terminal() {
    let shown = refuse(&lab(PLANETS), "80:\u{1b}[31mearth\n\u{85}", &["\u{1b}]0;x\u{7}"]);
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
}
