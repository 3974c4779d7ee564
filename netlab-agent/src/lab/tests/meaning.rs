//! What a file without mistakes comes to: names, gateways, ports.

use std::net::IpAddr;

use super::{PLANETS, lab, planets_and, planets_with};
use crate::lab::{
    Bypass, Datapath, Expect, Filtering, Flows, Mapping, Place, Probe, Protocol, Timeouts, Uplink, Wait,
};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("the test writes an address")
}

fn far_names(text: &str) -> Vec<String> {
    lab(text).cables.into_iter().map(|cable| cable.far.name).collect()
}

#[test]
fn the_planets_are_read_as_written() {
    let lab = lab(PLANETS);
    assert_eq!(lab.host.namespace.as_deref(), Some("planet-host"));
    assert_eq!(lab.host.uplink, Some(Uplink::Named("eth0".to_owned())));
    assert_eq!(lab.host.forwarding, Some(true));
    assert_eq!(lab.host.routes[0].to.to_string(), "0.0.0.0/0");
    assert_eq!(
        lab.nodes.iter().map(|node| &*node.name).collect::<Vec<_>>(),
        ["earth", "neptune", "internet"]
    );
    assert_eq!(lab.cables[0].near.name, "eth0");
    assert_eq!(lab.cables[0].bridge, Some(0));
    assert_eq!(lab.cables[2].far.place, Place::Host);
    assert_eq!(lab.cables[2].far.addresses[0].to_string(), "192.168.0.108/24");
}

#[test]
fn nodes_on_a_bridge_take_its_address_as_gateway_and_others_take_none() {
    let lab = lab(PLANETS);
    assert_eq!(lab.nodes[0].gateway, Some(ip("10.10.0.1")));
    assert_eq!(lab.nodes[2].gateway, None);
}

#[test]
fn a_gateway_can_be_declined() {
    let lab = lab(&planets_with("[node.neptune]", "gateway = \"none\"\n\n[node.neptune]"));
    assert_eq!(lab.nodes[0].gateway, None);
}

#[test]
fn a_default_route_of_the_nodes_own_replaces_the_gateway() {
    let routes = "routes = [{ to = \"default\", via = \"10.10.0.20\" }]\n\n[node.neptune]";
    let lab = lab(&planets_with("[node.neptune]", routes));
    assert_eq!(lab.nodes[0].gateway, None);
    assert_eq!(lab.nodes[0].routes[0].via, Some(ip("10.10.0.20")));
}

#[test]
fn a_node_on_two_bridges_with_addresses_gets_no_gateway_by_itself() {
    let lab = lab(&planets_and(
        "[bridge.b2]\naddress = \"10.20.0.1/16\"\n\n[node.r]\nlinks = [{ to = \"planet-br\", address = \
         \"10.10.0.30/16\" }, { to = \"b2\", address = \"10.20.0.30/16\" }]\n",
    ));
    assert_eq!(lab.nodes[3].gateway, None);
}

#[test]
fn nameless_ends_get_short_distinct_names_that_do_not_change() {
    let text = "version = 1\nname = \"x\"\n[bridge.b]\n[bridge.a-long-bridge]\n[node.earth]\nlinks = [{ to = \
                \"b\" }, { to = \"b\" }, { to = \"a-long-bridge\" }, { to = \"host\" }, { to = \"mars\" }]\n\
                [node.mars]\n[node.a-node-with-a-long-name]\nlinks = [{ to = \"a-long-bridge\" }, { to = \
                \"a-long-bridge\" }]\n";
    let names = far_names(text);
    assert_eq!(names[..2], ["earth-b", "earth-b-2"]);
    assert_eq!(names[3..5], ["earth-eth3", "earth-eth4"]);
    assert!(names.iter().all(|name| name.len() <= 15), "{names:?}");
    assert_ne!(names[5], names[6]);
    assert_eq!(names, far_names(text));
}

#[test]
fn a_given_name_wins_over_a_made_up_one() {
    let text = "version = 1\nname = \"x\"\n[bridge.b]\n[node.earth]\nlinks = [{ to = \"b\" }]\n[node.mars]\n\
                links = [{ to = \"b\", peer = \"earth-b\" }]\n";
    assert_eq!(far_names(text), ["earth-b-2", "earth-b"]);
}

#[test]
fn the_mtu_holds_for_both_ends_unless_the_peer_has_its_own() {
    let text = "version = 1\nname = \"x\"\n[node.a]\nlinks = [{ to = \"b\", mtu = 1400, state = \"down\" }, \
                { to = \"b\", mtu = 1400, peer = { mtu = 1300, state = \"down\" } }]\n[node.b]\n";
    let cables = lab(text).cables;
    assert_eq!((cables[0].near.mtu, cables[0].far.mtu), (Some(1400), Some(1400)));
    assert_eq!((cables[1].near.mtu, cables[1].far.mtu), (Some(1400), Some(1300)));
    assert_eq!((cables[0].near.up, cables[0].far.up), (false, true));
    assert_eq!((cables[1].near.up, cables[1].far.up), (true, false));
}

#[test]
fn a_range_of_ports_is_one_forward() {
    let lab = lab(&planets_and(
        "[[forward]]\npublish = \"8000-8002:earth:9000/udp\"\n[[forward]]\npublish = \"192.168.0.108:7000:neptune\"\n\
         [[forward]]\npublish = \"65534-65535:earth\"\n[[masquerade]]\nfrom = \"earth\"\n",
    ));
    let ports: Vec<_> = lab
        .forwards
        .iter()
        .map(|forward| (forward.ports, forward.targets[0].port, forward.targets[0].node, forward.rule))
        .collect();
    assert_eq!(
        ports,
        [((8000, 8002), 9000, 0, 1), ((7000, 7000), 7000, 1, 2), ((65534, 65535), 65534, 0, 3)]
    );
    assert_eq!(lab.forwards[0].protocol, Protocol::Udp);
    assert_eq!(lab.forwards[0].publish, "8000-8002:earth:9000/udp");
    assert_eq!(lab.forwards[1].protocol, Protocol::Tcp);
    assert_eq!(lab.forwards[1].address.map(|a| a.to_string()).as_deref(), Some("192.168.0.108"));
    assert_eq!(lab.forwards[1].targets[0].address.to_string(), "10.10.0.20");
}

#[test]
fn a_forward_may_have_several_targets() {
    let lab = lab(&planets_and(
        "[[forward]]\npublish = \"192.168.0.108:3000-3001:earth,neptune:8000,earth:90/tcp\"\n",
    ));
    let targets: Vec<_> = lab.forwards[0]
        .targets
        .iter()
        .map(|target| (target.node, target.address.to_string(), target.port))
        .collect();
    let expected = [(0, "10.10.0.10", 3000), (1, "10.10.0.20", 8000), (0, "10.10.0.10", 90)];
    assert_eq!(targets, expected.map(|(node, address, port)| (node, address.to_owned(), port)));
}

#[test]
fn a_forward_may_be_for_some_only() {
    let lab = lab(&planets_and(
        "[[forward]]\npublish = \"1:earth\"\n[[forward]]\npublish = \"2:earth\"\nallow = \"192.168.0.0/24\"\n\
         [[forward]]\npublish = \"3:earth\"\nallow = [\"8.8.8.8\", \"0.0.0.0/0\"]\n",
    ));
    let allow = |index: usize| lab.forwards[index].allow.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(allow(0), Vec::<String>::new());
    assert_eq!(allow(1), ["192.168.0.0/24"]);
    assert_eq!(allow(2), ["8.8.8.8/32", "0.0.0.0/0"]);
}

#[test]
fn masquerade_takes_a_prefix_a_bridge_or_a_node() {
    let lab = lab(&planets_and(
        "[[masquerade]]\nfrom = \"10.10.0.0/24\"\n[[masquerade]]\nfrom = \"planet-br\"\nports = \"2000-3000\"\n\
         [[masquerade]]\nfrom = \"earth\"\nout = \"eth0\"\n",
    ));
    let from: Vec<_> = lab.masquerades.iter().map(|rule| rule.from[0].to_string()).collect();
    assert_eq!(from, ["10.10.0.0/24", "10.10.0.0/16", "10.10.0.10/32"]);
    assert_eq!(lab.masquerades[0].ports, (1024, 65535));
    assert_eq!(lab.masquerades[1].ports, (2000, 3000));
    assert_eq!(lab.masquerades[2].from_text, "earth");
    assert_eq!(lab.masquerades.iter().map(|rule| rule.rule).collect::<Vec<_>>(), [0, 1, 2]);
    let (mapping, filtering) = (Mapping::EndpointDependent, Filtering::AddressAndPortDependent);
    for rule in &lab.masquerades {
        assert_eq!((rule.to, rule.mapping, rule.filtering), (None, mapping, filtering));
    }
}

#[test]
fn a_pool_is_an_address_a_range_or_all_of_a_prefix() {
    let pools = |to: &str| {
        let text = format!("[[masquerade]]\nfrom = \"earth\"\nto = \"{to}\"\n");
        lab(&planets_and(&text)).masquerades[0].to.map(|(first, last)| format!("{first}-{last}"))
    };
    assert_eq!(pools("192.0.2.1").as_deref(), Some("192.0.2.1-192.0.2.1"));
    assert_eq!(pools("192.0.2.1-192.0.2.6").as_deref(), Some("192.0.2.1-192.0.2.6"));
    assert_eq!(pools("192.0.2.0/29").as_deref(), Some("192.0.2.0-192.0.2.7"));
}

#[test]
fn an_endpoint_independent_mapping_filters_as_strictly_as_others_unless_told() {
    let mapping = "mapping = \"endpoint-independent\"";
    let lab = lab(&planets_and(&format!(
        "[[masquerade]]\nfrom = \"earth\"\n{mapping}\n[[masquerade]]\nfrom = \"neptune\"\n{mapping}\n\
         filtering = \"endpoint-independent\"\n[[masquerade]]\nfrom = \"planet-br\"\n{mapping}\n\
         filtering = \"address-dependent\"\n"
    )));
    assert!(lab.masquerades.iter().all(|rule| rule.mapping == Mapping::EndpointIndependent));
    let filterings: Vec<_> = lab.masquerades.iter().map(|rule| rule.filtering).collect();
    let expected =
        [Filtering::AddressAndPortDependent, Filtering::EndpointIndependent, Filtering::AddressDependent];
    assert_eq!(filterings, expected);
}

#[test]
fn without_a_table_flows_have_their_defaults() {
    let flows = lab(PLANETS).flows;
    assert_eq!(flows, Flows::default());
    assert_eq!((flows.size, flows.per_source, flows.quarantine, flows.pickup), (65536, 57344, 2, false));
}

#[test]
fn an_eighth_of_the_flows_is_left_to_others_unless_the_file_says_otherwise() {
    assert_eq!(lab(&planets_and("[flows]\nsize = 100\n")).flows.per_source, 88);
    assert_eq!(lab(&planets_and("[flows]\nsize = 64\nper_source = 64\n")).flows.per_source, 64);
}

#[test]
fn every_timeout_has_its_key() {
    let text = "[flows]\nquarantine = 3600\npickup = true\ntimeouts = { tcp_established = 1, tcp_transitory = 2, \
                tcp_closed = 3, tcp_reset = 4, udp = 5, udp_unreplied = 6, icmp = 31536000,\n                other = 7 }\n";
    let flows = lab(&planets_and(text)).flows;
    let timeouts = Timeouts {
        tcp_established: 1,
        tcp_transitory: 2,
        tcp_closed: 3,
        tcp_reset: 4,
        udp: 5,
        udp_unreplied: 6,
        icmp: 31_536_000,
        other: 7,
    };
    assert_eq!(flows, Flows { quarantine: 3600, pickup: true, timeouts, ..Flows::default() });
}

#[test]
fn checks_resolve_names_and_word_themselves() {
    let lab = lab(&planets_and(
        "[[check]]\nfrom = \"earth\"\nping = \"internet\"\n[[check]]\nfrom = \"host\"\nhttp = \
         \"http://earth:8000/a?b\"\nexpect = \"fail\"\n[[check]]\nname = \"x\"\nfrom = \"internet\"\ntcp = \
         \"neptune:80\"\n",
    ));
    assert_eq!(lab.checks[0].name, "earth can ping internet");
    assert_eq!(lab.checks[0].probe, Probe::Ping(ip("192.168.0.1")));
    assert_eq!(lab.checks[1].name, "host cannot fetch http://earth:8000/a?b");
    assert_eq!((lab.checks[1].from, lab.checks[1].expect), (Place::Host, Expect::Fail));
    assert_eq!(
        lab.checks[1].probe,
        Probe::Http { url: "http://10.10.0.10:8000/a?b".to_owned(), status: 200 }
    );
    assert_eq!(lab.checks[2].probe, Probe::Tcp("10.10.0.20:80".parse().expect("an address")));
}

#[test]
fn a_links_datapath_overrides_the_hosts() {
    let plain = lab(PLANETS);
    assert_eq!((plain.host.datapath, plain.host.bypass), (Datapath::Auto, Bypass::Auto));
    assert!(plain.cables.iter().all(|cable| cable.datapath == Datapath::Auto));
    let text = planets_with("uplink = \"eth0\"", "uplink = \"eth0\"\ndatapath = \"xdp\"\nbypass = \"never\"");
    let lab = lab(&text.replace("10.10.0.20/16\" }", "10.10.0.20/16\", datapath = \"tc\" }"));
    assert_eq!((lab.host.datapath, lab.host.bypass), (Datapath::Xdp, Bypass::Never));
    let datapaths: Vec<_> = lab.cables.iter().map(|cable| cable.datapath).collect();
    assert_eq!(datapaths, [Datapath::Xdp, Datapath::Tc, Datapath::Xdp]);
}

#[test]
fn sysctls_may_be_dotted_with_or_without_quotes() {
    let lab = lab(&planets_with(
        "[node.neptune]",
        "sysctl = { \"net.ipv4.ip_forward\" = 1, net.core.somaxconn = \"256\" }\nrun = \"sleep 9\"\nwait = [\"udp:53\"]\n\n\
         [node.neptune]",
    ));
    let expected = [("net.ipv4.ip_forward", "1"), ("net.core.somaxconn", "256")];
    let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    assert_eq!(lab.nodes[0].sysctls, expected);
    assert_eq!(lab.nodes[0].wait, [Wait::Udp(53)]);
}
