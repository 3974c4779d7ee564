//! Mistakes in masquerades, and which of them get on with each other.

use insta::assert_snapshot;

use super::{planets_and, report};

fn masquerades(keys: &[&str]) -> String {
    let rules: Vec<String> =
        keys.iter().map(|keys| format!("[[masquerade]]\nfrom = \"planet-br\"\n{keys}\n")).collect();
    planets_and(&rules.join("\n"))
}

#[test]
fn mistakes_in_masquerade_are_explained() {
    assert_snapshot!(report(&planets_and(
        "[bridge.bare-br]\n\n[[masquerade]]\nfrom = \"10.10.0.1/16\"\nports = \"2000-1000\"\nout = \"planet-br\"\n\n\
         [[masquerade]]\nfrom = \"planets-br\"\nports = \"0-99\"\n\n[[masquerade]]\nfrom = \"bare-br\"\n"
    )));
}

#[test]
fn a_pool_of_the_wrong_form_is_pointed_at() {
    assert_snapshot!(report(&masquerades(&[
        "to = \"192.0.2\"",
        "to = \"192.0.2.1/29\"",
        "to = \"192.0.2.6-192.0.2.1\"",
        "to = \"192.0.2.1-192.0.2.300\"",
        "to = \"192.0.2.0-6\"",
        "to = \"internet\"",
        "to = \"2001:db8::1\"",
    ])));
}

#[test]
fn a_pool_of_addresses_that_nobody_can_have_is_refused() {
    assert_snapshot!(report(&masquerades(&[
        "to = \"0.0.0.0/0\"",
        "to = \"127.0.0.1\"",
        "to = \"126.0.0.0-128.0.0.0\"",
        "to = \"223.255.255.0-224.0.0.1\"",
        "to = \"20.0.0.0/15\"",
    ])));
}

#[test]
fn a_pool_may_have_65536_addresses() {
    super::lab(&masquerades(&["to = \"20.0.0.0/16\""]));
}

#[test]
fn an_address_of_a_node_is_not_for_others_to_hide_behind() {
    assert_snapshot!(report(&masquerades(&["to = \"192.168.0.0/24\""])));
}

#[test]
fn mappings_and_filterings_have_the_names_of_the_rfc() {
    assert_snapshot!(report(&masquerades(&[
        "mapping = \"endpoint-independant\"\nfiltering = \"adress-dependent\"",
        "mapping = \"symmetric\"\nfiltering = \"cone\"",
        "mapping = true\nfiltering = \"address-dependent\"",
        "maping = \"endpoint-independent\"\nfiltering = \"address-dependent\"",
    ])));
}

#[test]
fn a_filtering_that_lets_others_in_needs_a_mapping_for_them() {
    assert_snapshot!(report(&masquerades(&[
        "filtering = \"endpoint-independent\"",
        "mapping = \"endpoint-dependent\"\nfiltering = \"address-dependent\"",
    ])));
}

#[test]
fn two_mappings_behind_the_uplink_need_ports_of_their_own() {
    assert_snapshot!(report(&masquerades(
        &["", "mapping = \"endpoint-independent\"", "ports = \"1-2000\"",]
    )));
}

#[test]
fn two_mappings_behind_overlapping_pools_need_ports_of_their_own() {
    assert_snapshot!(report(&masquerades(&[
        "to = \"192.0.2.0/29\"\nports = \"1024-40000\"",
        "to = \"192.0.2.7\"\nports = \"40000-50000\"\nmapping = \"endpoint-independent\"",
    ])));
}

#[test]
fn a_pool_with_the_uplinks_address_is_not_another() {
    assert_snapshot!(report(&masquerades(&[
        "to = \"192.168.0.108-192.168.0.110\"",
        "mapping = \"endpoint-independent\"",
    ])));
}

#[test]
fn mappings_get_on_when_they_are_alike_or_apart() {
    let independent = "mapping = \"endpoint-independent\"";
    super::lab(&masquerades(&[independent, independent]));
    super::lab(&masquerades(&["", "to = \"192.0.2.1\"\nmapping = \"endpoint-independent\""]));
    super::lab(&masquerades(&[
        "to = \"192.0.2.0/30\"",
        "to = \"192.0.2.4/30\"\nmapping = \"endpoint-independent\"",
    ]));
    super::lab(&masquerades(&[
        "ports = \"1024-32767\"",
        "ports = \"32768-65535\"\nmapping = \"endpoint-independent\"",
    ]));
}
