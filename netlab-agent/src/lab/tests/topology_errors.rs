//! Mistakes in names, links and interfaces.

use insta::assert_snapshot;

use super::{PLANETS, planets_and, planets_with, report};

const EARTH: &str = "links = [{ to = \"planet-br\", address = \"10.10.0.10/16\" }]";

#[test]
fn a_link_to_an_unknown_bridge_suggests_the_nearest_name_and_makes_no_further_errors() {
    let text = format!("{PLANETS}\n[[forward]]\npublish = \"8000:earth\"\n");
    assert_snapshot!(report(&text.replacen("to = \"planet-br\"", "to = \"plant-br\"", 1)));
}

#[test]
fn a_link_to_nowhere_near_lists_what_exists() {
    assert_snapshot!(report(&PLANETS.replacen("to = \"planet-br\"", "to = \"switch\"", 1)));
}

#[test]
fn two_interfaces_of_one_name_show_both_places() {
    assert_snapshot!(report(&planets_with(
        EARTH,
        "links = [\n  { to = \"planet-br\", name = \"eth1\", address = \"10.10.0.10/16\" },\n  { to = \"neptune\" },\n]"
    )));
}

#[test]
fn ports_bridges_and_host_ends_share_one_namespace() {
    assert_snapshot!(report(
        &PLANETS
            .replacen(
                "address = \"10.10.0.10/16\" }",
                "address = \"10.10.0.10/16\", peer = \"planet-br\" }",
                1
            )
            .replacen("address = \"10.10.0.20/16\" }", "address = \"10.10.0.20/16\", peer = \"eth0\" }", 1)
    ));
}

#[test]
fn an_interface_cannot_be_called_lo() {
    assert_snapshot!(report(&planets_with(EARTH, "links = [{ to = \"planet-br\", name = \"lo\" }]")));
}

#[test]
fn interface_names_the_kernel_refuses_are_refused_here() {
    assert_snapshot!(report(&planets_with(
        EARTH,
        "links = [\n  { to = \"planet-br\", name = \"earth-to-the-planets\" },\n  \
         { to = \"planet-br\", name = \"\" },\n  { to = \"planet-br\", name = \"a/b\" },\n  \
         { to = \"planet-br\", name = \"a b\" },\n  { to = \"planet-br\", name = \"..\" },\n]"
    )));
}

#[test]
fn a_name_of_a_bridge_and_a_node_is_ambiguous() {
    assert_snapshot!(report(&planets_and("[node.planet-br]\n")));
}

#[test]
fn nothing_but_the_host_is_called_host() {
    assert_snapshot!(report(&planets_and("[node.host]\n\n[bridge.host]\n")));
}

#[test]
fn a_node_and_the_host_need_two_namespaces() {
    assert_snapshot!(report(&planets_with("namespace = \"planet-host\"", "namespace = \"earth\"")));
}

#[test]
fn a_node_cannot_be_linked_to_itself() {
    assert_snapshot!(report(&planets_with(EARTH, "links = [{ to = \"earth\" }]")));
}

#[test]
fn an_address_on_a_bridge_port_belongs_on_the_bridge() {
    assert_snapshot!(report(&planets_with(
        EARTH,
        "links = [{ to = \"planet-br\", address = \"10.10.0.10/16\", peer = { address = \"10.10.0.9/16\" } }]"
    )));
}

#[test]
fn mtu_mac_and_state_have_limits() {
    assert_snapshot!(report(&planets_with(
        EARTH,
        "links = [\n  { to = \"planet-br\", mtu = 67, mac = \"01:00:5e:00:00:01\", state = \"dwn\" },\n  \
         { to = \"planet-br\", mtu = 65536, mac = \"00:00:00:00:00:00\", state = \"off\" },\n  \
         { to = \"planet-br\", mac = \"02:00:00:00:00\" },\n  { to = \"planet-br\", mac = \"02:00:00:00:00:07\", \
         peer = { mac = \"02:00:00:00:00:07\" } },\n]"
    )));
}

#[test]
fn a_datapath_and_a_bypass_are_words_and_belong_to_the_hosts_ends() {
    let text =
        planets_with("uplink = \"eth0\"", "uplink = \"eth0\"\ndatapath = \"xpd\"\nbypass = \"sometimes\"");
    assert_snapshot!(report(&text.replace(
        EARTH,
        "links = [\n  { to = \"planet-br\", datapath = \"generic\" },\n  { to = \"neptune\", datapath = \"tc\" },\n]"
    )));
}

#[test]
fn many_mistakes_are_shown_in_one_run() {
    assert_snapshot!(report(include_str!("many_mistakes.toml")));
}
