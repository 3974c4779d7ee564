//! Mistakes about the uplink, in forwards and in checks.

use insta::assert_snapshot;

use super::{PLANETS, planets_and, planets_with, report};

fn forward(publish: &[&str]) -> String {
    let rules: Vec<String> =
        publish.iter().map(|publish| format!("[[forward]]\npublish = \"{publish}\"\n")).collect();
    report(&planets_and(&rules.join("\n")))
}

fn check(keys: &[&str]) -> String {
    let checks: Vec<String> = keys.iter().map(|keys| format!("[[check]]\n{keys}\n")).collect();
    report(&planets_and(&checks.join("\n")))
}

#[test]
fn a_forward_to_an_unknown_node_suggests_the_nearest_name() {
    assert_snapshot!(forward(&["192.168.0.108:8000:earht:8000"]));
}

#[test]
fn a_forward_to_a_bridge_or_to_the_host_is_explained() {
    assert_snapshot!(forward(&["8000:planet-br:8000", "8001:host"]));
}

#[test]
fn ports_out_of_range_are_pointed_at_inside_the_string() {
    assert_snapshot!(forward(&["0:earth:65536", "http:earth:80"]));
}

#[test]
fn a_forward_of_the_wrong_form_shows_the_form() {
    assert_snapshot!(forward(&[
        "8000",
        "1:earth:2:3",
        "8000::80",
        "[::1]:80:earth",
        "80:earth/sctp",
        "80:earth/tpc"
    ]));
}

#[test]
fn two_forwards_of_one_port_show_both_places() {
    assert_snapshot!(forward(&["192.168.0.108:8000:earth", "192.168.0.108:8000:neptune"]));
}

#[test]
fn a_forward_on_any_address_takes_the_port_on_all() {
    assert_snapshot!(forward(&["192.168.0.108:8000-8010:earth", "8005:neptune"]));
}

#[test]
fn targets_of_the_wrong_form_are_pointed_at() {
    assert_snapshot!(forward(&[
        "3000:earth:8000,",
        "3001:earth:8000,neptune:1:2",
        "3002:earth:8000/tcp,neptune:8000/tcp",
        "3003:earth:8000/tcp,neptune:8000",
        "3004:earth,neptune:0,planet-br:80",
        "3005:earth,10.10.0.20",
    ]));
}

#[test]
fn a_target_given_twice_shows_both_places() {
    assert_snapshot!(forward(&["3000:earth:3000,neptune,earth", "3001:earth,earth:80,earht"]));
}

#[test]
fn every_target_must_have_room_for_the_range() {
    assert_snapshot!(forward(&["3000-3010:earth:9000-9005,neptune:65530"]));
}

#[test]
fn sixteen_targets_are_the_most() {
    let targets: Vec<String> = (1..=17).map(|port| format!("earth:{port}")).collect();
    assert_snapshot!(forward(&[&format!("3000:{}", targets.join(","))]));
    super::lab(&planets_and(&format!("[[forward]]\npublish = \"3000:{}\"\n", targets[1..].join(","))));
}

#[test]
fn mistakes_in_allow_are_explained() {
    let allow = ["[]", "\"192.168.0.1/24\"", "[\"neptune\", \"10.0.0.0/33\", \"fd00::/8\"]", "[80]"];
    let rules: Vec<String> = (1..)
        .zip(allow)
        .map(|(port, allow)| format!("[[forward]]\npublish = \"{port}:earth\"\nallow = {allow}\n"))
        .collect();
    assert_snapshot!(report(&planets_and(&rules.join("\n"))));
}

#[test]
fn tcp_and_udp_do_not_share_ports() {
    super::lab(&planets_and(
        "[[forward]]\npublish = \"53:earth/udp\"\n[[forward]]\npublish = \"53:neptune/tcp\"\n",
    ));
}

#[test]
fn ranges_must_fit() {
    assert_snapshot!(forward(&["8000-8010:earth:9000-9005", "8020-8010:earth", "9000-9010:earth:65530",]));
}

#[test]
fn a_forward_to_a_node_without_an_address_shows_the_node() {
    assert_snapshot!(report(&planets_and("[node.pluto]\n\n[[forward]]\npublish = \"80:pluto\"\n")));
}

#[test]
fn a_forward_on_an_address_the_host_does_not_have_lists_those_it_has() {
    assert_snapshot!(forward(&["192.168.0.109:8000:earth"]));
}

#[test]
fn in_the_machines_own_stack_any_host_address_may_exist() {
    super::lab(&format!(
        "{}\n[[forward]]\npublish = \"172.16.0.1:8000:earth\"\n",
        PLANETS.replace("namespace = \"planet-host\"\n", "")
    ));
}

#[test]
fn nat_rules_without_an_uplink_are_one_mistake() {
    let rules = "[[masquerade]]\nfrom = \"planet-br\"\n\n[[forward]]\npublish = \"80:earth\"\n";
    assert_snapshot!(report(&format!("{}\n{rules}", PLANETS.replace("uplink = \"eth0\"\n", ""))));
}

#[test]
fn an_uplink_that_is_no_interface_of_the_host_is_refused() {
    assert_snapshot!(report(&planets_with("uplink = \"eth0\"", "uplink = \"eth1\"")));
}

#[test]
fn an_uplink_that_is_a_bridge_port_is_refused() {
    assert_snapshot!(report(&planets_with("uplink = \"eth0\"", "uplink = \"earth-planet-br\"")));
}

#[test]
fn an_automatic_uplink_needs_a_default_route() {
    assert_snapshot!(report(
        &planets_with("uplink = \"eth0\"", "uplink = \"auto\"")
            .replace("routes = [{ to = \"default\", via = \"192.168.0.1\" }]\n", "")
    ));
}

#[test]
fn a_check_from_an_unknown_node_suggests_the_nearest_name() {
    assert_snapshot!(check(&["from = \"neptun\"\nping = \"10.10.0.10\""]));
}

#[test]
fn a_check_tries_exactly_one_thing() {
    assert_snapshot!(check(&[
        "from = \"earth\"",
        "from = \"earth\"\nping = \"neptune\"\ntcp = \"neptune:80\"",
    ]));
}

#[test]
fn mistakes_in_checks_are_explained() {
    assert_snapshot!(check(&[
        "from = \"earth\"\nping = \"10.10.0.300\"",
        "from = \"earth\"\nping = \"neptun\"",
        "from = \"earth\"\nping = \"host\"",
        "from = \"earth\"\nping = \"2001:db8::1\"",
        "from = \"earth\"\nhttp = \"https://neptune/\"",
        "from = \"earth\"\nhttp = \"http://neptune:99999/\"",
        "from = \"earth\"\nhttp = \"http://neptun/\"",
        "from = \"earth\"\nhttp = \"http://[::1]:80/\"",
        "from = \"earth\"\ntcp = \"neptune\"",
        "from = \"earth\"\nping = \"neptune\"\nstatus = 200",
        "from = \"earth\"\nhttp = \"http://neptune/\"\nstatus = 20",
        "from = \"earth\"\nping = \"neptune\"\nexpect = \"fial\"",
    ]));
}
