//! Mistakes in addresses, networks, routes and gateways.

use insta::assert_snapshot;

use super::{PLANETS, planets_with, report};

const EARTH: &str = "address = \"10.10.0.10/16\"";

#[test]
fn an_address_without_prefix_length_says_how_to_write_it() {
    assert_snapshot!(report(&planets_with(EARTH, "address = \"10.10.0.10\"")));
}

#[test]
fn a_number_over_255_is_pointed_at() {
    assert_snapshot!(report(&planets_with(EARTH, "address = \"10.10.300.10/16\"")));
}

#[test]
fn a_prefix_length_over_32_is_pointed_at() {
    assert_snapshot!(report(&planets_with(EARTH, "address = \"10.10.0.10/33\"")));
}

#[test]
fn ipv6_is_said_to_be_not_there_yet() {
    assert_snapshot!(report(&planets_with(EARTH, "address = \"fd00::10/64\"")));
}

#[test]
fn the_network_and_broadcast_addresses_are_not_for_interfaces() {
    assert_snapshot!(report(
        &planets_with(EARTH, "address = \"10.10.0.0/16\"").replace("10.10.0.20/16", "10.10.255.255/16")
    ));
}

#[test]
fn loopback_and_multicast_addresses_are_not_for_cables() {
    assert_snapshot!(report(
        &planets_with(EARTH, "address = \"127.0.0.5/8\"").replace("10.10.0.20/16", "224.0.0.1/16")
    ));
}

#[test]
fn an_address_used_twice_shows_both_places_and_a_free_one() {
    assert_snapshot!(report(&planets_with("10.10.0.20/16", "10.10.0.10/16")));
}

#[test]
fn an_address_outside_the_bridges_network_shows_the_bridge() {
    assert_snapshot!(report(&planets_with("10.10.0.20/16", "10.20.0.20/16")));
}

#[test]
fn two_bridges_with_overlapping_networks_are_refused() {
    assert_snapshot!(report(&planets_with(
        "[node.earth]",
        "[bridge.moon-br]\naddress = \"10.10.128.1/24\"\n\n[node.earth]"
    )));
}

#[test]
fn a_bridge_and_the_hosts_cable_with_overlapping_networks_are_refused() {
    assert_snapshot!(report(
        &planets_with("10.10.0.1/16", "192.168.0.200/24")
            .replace("10.10.0.", "192.168.0.")
            .replace("/16", "/24")
    ));
}

#[test]
fn a_gateway_outside_the_nodes_networks_is_refused() {
    assert_snapshot!(report(&planets_with("[node.neptune]", "gateway = \"10.20.0.1\"\n\n[node.neptune]")));
}

#[test]
fn a_gateway_that_is_the_nodes_own_address_is_explained() {
    assert_snapshot!(report(&planets_with("[node.neptune]", "gateway = \"10.10.0.10\"\n\n[node.neptune]")));
}

#[test]
fn a_gateway_that_is_no_address_is_refused() {
    assert_snapshot!(report(&planets_with("[node.neptune]", "gateway = \"off\"\n\n[node.neptune]")));
}

#[test]
fn mistakes_in_routes_are_all_shown() {
    assert_snapshot!(report(&planets_with(
        "[node.neptune]",
        "routes = [\n  { to = \"10.20.0.1/16\", via = \"10.10.0.1\" },\n  { to = \"10.30.0.0/16\" },\n  \
         { to = \"10.40.0.0/16\", via = \"10.99.0.1\" },\n  { to = \"10.50.0.0/16\", dev = \"eth1\" },\n  \
         { to = \"10.60.0.0/16\", via = \"10.10.0.1/16\" },\n  { to = \"10.50.0.0/16\", dev = \"eth0\" },\n]\n\n\
         [node.neptune]"
    )));
}

#[test]
fn a_gateway_and_a_default_route_are_one_too_many() {
    assert_snapshot!(report(&planets_with(
        "[node.neptune]",
        "gateway = \"10.10.0.1\"\nroutes = [{ to = \"default\", via = \"10.10.0.1\" }]\n\n[node.neptune]"
    )));
}

#[test]
fn point_to_point_prefixes_have_no_network_address() {
    let text = PLANETS
        .replace("192.168.0.1/24", "192.168.0.0/31")
        .replace("192.168.0.108/24", "192.168.0.1/31")
        .replace("via = \"192.168.0.1\"", "via = \"192.168.0.0\"");
    super::lab(&text);
}
