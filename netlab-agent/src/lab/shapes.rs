//! Which tables the lab file has and which keys are in each, with a line for each key that shows how to write
//! it. What a value means is not said here.

use super::read::Shape;

/// The top level.
pub const DOCUMENT: Shape = Shape {
    what: "the lab file",
    keys: &[
        ("version", "version = 1"),
        ("name", "name = \"planets\""),
        ("host", "[host]"),
        ("bridge", "[bridge.planet-br]"),
        ("node", "[node.earth]"),
        ("flows", "[flows]"),
        ("masquerade", "[[masquerade]]"),
        ("forward", "[[forward]]"),
        ("check", "[[check]]"),
    ],
};

/// `[host]`.
pub const HOST: Shape = Shape {
    what: "[host]",
    keys: &[
        ("namespace", "namespace = \"planet-host\""),
        ("uplink", "uplink = \"eth0\""),
        ("forwarding", "forwarding = true"),
        ("datapath", "datapath = \"xdp\""),
        ("bypass", "bypass = \"never\""),
        ("counters", "counters = false"),
        ("routes", "routes = [{ to = \"default\", via = \"192.168.0.1\" }]"),
        ("sysctl", "sysctl = { \"net.ipv4.ip_default_ttl\" = 64 }"),
    ],
};

/// `[bridge.NAME]`.
pub const BRIDGE: Shape = Shape {
    what: "a bridge",
    keys: &[
        ("address", "address = \"10.10.0.1/16\""),
        ("mtu", "mtu = 1500"),
        ("mac", "mac = \"02:00:00:00:00:01\""),
    ],
};

/// `[node.NAME]`.
pub const NODE: Shape = Shape {
    what: "a node",
    keys: &[
        ("links", "links = [{ to = \"planet-br\", address = \"10.10.0.10/16\" }]"),
        ("gateway", "gateway = \"10.10.0.1\""),
        ("loopback", "loopback = \"8.8.8.8/32\""),
        ("routes", "routes = [{ to = \"10.20.0.0/16\", via = \"10.10.0.1\" }]"),
        ("sysctl", "sysctl = { \"net.ipv4.ip_forward\" = 1 }"),
        ("run", "run = \"python3 -m http.server 8000\""),
        ("wait", "wait = \"tcp:8000\""),
    ],
};

/// One entry of `links`.
pub const LINK: Shape = Shape {
    what: "a link",
    keys: &[
        ("to", "to = \"planet-br\""),
        ("name", "name = \"eth0\""),
        ("address", "address = \"10.10.0.10/16\""),
        ("mtu", "mtu = 1500"),
        ("mac", "mac = \"02:00:00:00:00:01\""),
        ("state", "state = \"up\""),
        ("peer", "peer = { name = \"earth-br-veth\" }"),
        ("datapath", "datapath = \"xdp\""),
    ],
};

/// A link's `peer`.
pub const PEER: Shape = Shape {
    what: "a link's `peer`",
    keys: &[
        ("name", "name = \"earth-br-veth\""),
        ("address", "address = \"192.168.0.108/24\""),
        ("mtu", "mtu = 1500"),
        ("mac", "mac = \"02:00:00:00:00:01\""),
        ("state", "state = \"up\""),
    ],
};

/// One entry of `routes`.
pub const ROUTE: Shape = Shape {
    what: "a route",
    keys: &[("to", "to = \"default\""), ("via", "via = \"192.168.0.1\""), ("dev", "dev = \"eth0\"")],
};

/// `[flows]`.
pub const FLOWS: Shape = Shape {
    what: "[flows]",
    keys: &[
        ("size", "size = 65536"),
        ("per_source", "per_source = 57344"),
        ("quarantine", "quarantine = 2"),
        ("pickup", "pickup = true"),
        ("timeouts", "timeouts = { udp = 300, icmp = 60 }"),
    ],
};

/// `timeouts` of `[flows]`.
pub const TIMEOUTS: Shape = Shape {
    what: "`timeouts`",
    keys: &[
        ("tcp_established", "tcp_established = 7440"),
        ("tcp_transitory", "tcp_transitory = 240"),
        ("tcp_closed", "tcp_closed = 120"),
        ("tcp_reset", "tcp_reset = 60"),
        ("udp", "udp = 300"),
        ("udp_unreplied", "udp_unreplied = 120"),
        ("icmp", "icmp = 60"),
        ("other", "other = 600"),
    ],
};

/// `[[masquerade]]`.
pub const MASQUERADE: Shape = Shape {
    what: "[[masquerade]]",
    keys: &[
        ("from", "from = \"10.10.0.0/16\""),
        ("to", "to = \"192.0.2.1\""),
        ("ports", "ports = \"1024-65535\""),
        ("mapping", "mapping = \"endpoint-independent\""),
        ("filtering", "filtering = \"address-dependent\""),
        ("out", "out = \"eth0\""),
    ],
};

/// `[[forward]]`.
pub const FORWARD: Shape = Shape {
    what: "[[forward]]",
    keys: &[("publish", "publish = \"8000:earth:8000/tcp\""), ("allow", "allow = \"192.168.0.0/24\"")],
};

/// `[[check]]`.
pub const CHECK: Shape = Shape {
    what: "[[check]]",
    keys: &[
        ("name", "name = \"earth reaches the internet\""),
        ("from", "from = \"earth\""),
        ("ping", "ping = \"8.8.8.8\""),
        ("http", "http = \"http://10.10.0.10:8000/\""),
        ("tcp", "tcp = \"10.10.0.10:8000\""),
        ("status", "status = 200"),
        ("expect", "expect = \"fail\""),
    ],
};
