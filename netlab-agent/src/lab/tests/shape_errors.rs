//! Mistakes that show without understanding the lab: syntax, keys, types.

use insta::assert_snapshot;

use super::{PLANETS, planets_and, planets_with, report};

#[test]
fn several_syntax_errors_are_shown_at_once() {
    assert_snapshot!(report("version = \nname = planets\n\n[host\nuplink = \"eth0\"\n"));
}

#[test]
fn a_table_defined_twice_is_a_syntax_error() {
    assert_snapshot!(report(&planets_and("[node.earth]\ngateway = \"none\"\n")));
}

#[test]
fn an_unknown_key_suggests_the_nearest_one() {
    assert_snapshot!(report(&planets_with("forwarding = true", "forwardng = true")));
}

#[test]
fn an_unknown_key_far_from_all_others_lists_what_the_table_takes() {
    assert_snapshot!(report(&planets_and("[[forward]]\npublish = \"8000:earth\"\nlimit = 3\n")));
}

#[test]
fn a_wrong_type_says_what_is_there_and_how_to_write_it() {
    assert_snapshot!(report(&planets_with(
        "address = \"10.10.0.1/16\"",
        "address = 10\nmtu = \"1500\"\nmac = [\"02:00:00:00:00:01\"]"
    )));
}

#[test]
fn one_bracket_where_two_are_needed_is_explained() {
    assert_snapshot!(report(&planets_and("[masquerade]\nfrom = \"planet-br\"\n")));
}

#[test]
fn links_that_are_no_list_are_explained() {
    assert_snapshot!(report(&planets_with(
        "links = [{ to = \"planet-br\", address = \"10.10.0.10/16\" }]",
        "links = { to = \"planet-br\", address = \"10.10.0.10/16\" }"
    )));
}

#[test]
fn missing_keys_are_all_named() {
    assert_snapshot!(report(
        "[node.earth]\nlinks = [{ address = \"10.0.0.1/24\" }]\n\n[[forward]]\n\n[[check]]\nping = \"earth\"\n"
    ));
}

#[test]
fn another_version_of_the_format_is_refused() {
    assert_snapshot!(report(&planets_with("version = 1", "version = 2")));
}

#[test]
fn names_that_cannot_be_files_are_refused() {
    let text = planets_with("name = \"planets\"", "name = \"../planets\"")
        .replace("\"planet-host\"", "\"planet host\"")
        .replace("[node.neptune]", "[node.\".neptune\"]");
    assert_snapshot!(report(&text));
}

#[test]
fn a_lab_name_over_32_bytes_is_refused() {
    assert_snapshot!(report(&planets_with(
        "name = \"planets\"",
        "name = \"the-planets-of-our-solar-system-and-pluto\""
    )));
}

#[test]
fn a_sysctl_outside_the_namespace_is_refused() {
    assert_snapshot!(report(&planets_with(
        "forwarding = true",
        "forwarding = true\nsysctl = { \"kernel.hostname\" = \"x\", \"net/../kernel.panic\" = 1, \
         \"net.ipv4..x\" = 1, \"net.ipv4.ip_forward\" = 1, \"net.core.somaxconn\" = true }"
    )));
}

#[test]
fn mistakes_in_wait_and_run_are_explained() {
    assert_snapshot!(report(&planets_with(
        "[node.neptune]",
        "run = [\"\"]\nwait = [\"8000\", \"tpc:80\", \"tcp:0\", \"udp:70000\"]\n\n[node.neptune]\nwait = \"tcp:80\""
    )));
}

#[test]
fn a_misspelt_key_makes_no_further_errors() {
    let rules = "[[masquerade]]\nfrom = \"planet-br\"\n\n[[forward]]\npublish = \"10.10.0.1:80:earth\"\n";
    let text =
        format!("{}\n{rules}", PLANETS.replace("address = \"10.10.0.1/16\"", "adress = \"10.10.0.1/16\""));
    let text = text
        .replace("uplink = ", "uplnk = ")
        .replace("address = \"10.10.0.10/16\"", "addres = \"10.10.0.10/16\"")
        .replace("[node.neptune]", "rum = \"sleep 9\"\nwait = \"tcp:80\"\n\n[node.neptune]");
    assert_snapshot!(report(&text));
}
