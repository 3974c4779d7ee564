//! Mistakes in `[flows]`.

use insta::assert_snapshot;

use super::{planets_and, report};

#[test]
fn numbers_out_of_their_limits_are_all_shown() {
    assert_snapshot!(report(&planets_and(
        "[flows]\nsize = 63\nper_source = 4194305\nquarantine = 0\ntimeouts = { tcp_established = 31536001, udp = 0, \
         icmp = -1 }\n"
    )));
}

#[test]
fn one_source_cannot_have_more_than_there_is() {
    assert_snapshot!(report(&planets_and("[flows]\nsize = 1000\nper_source = 1001\n")));
}

#[test]
fn nor_more_than_the_default_where_the_file_has_no_size() {
    assert_snapshot!(report(&planets_and("[flows]\nper_source = 65537\n")));
}

#[test]
fn misspelt_keys_and_wrong_types_are_explained() {
    assert_snapshot!(report(&planets_and(
        "[flows]\nsizes = 100000\nper_source = 90000\nquarantine = \"long\"\npickup = 1\n\n[flows.timeouts]\ntcp_establishd = 10\nudp = 1.5\n"
    )));
}

#[test]
fn timeouts_that_are_no_table_are_explained() {
    assert_snapshot!(report(&planets_and("[flows]\ntimeouts = 300\n")));
}
