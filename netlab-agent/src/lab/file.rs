//! The lab file's shape: which tables and keys there are, read into plain structs that keep every place.
//! Nothing is resolved or compared here; `check` does that.

use toml::de::DeTable;

use super::diagnostic::{Problems, Span};
use super::read::{Shape, Table, Texts};
use super::text::{Spanned, Text};

const DOCUMENT: Shape = Shape {
    what: "the lab file",
    keys: &[
        ("version", "version = 1"),
        ("name", "name = \"planets\""),
        ("host", "[host]"),
        ("bridge", "[bridge.planet-br]"),
        ("node", "[node.earth]"),
        ("masquerade", "[[masquerade]]"),
        ("forward", "[[forward]]"),
        ("check", "[[check]]"),
    ],
};

const HOST: Shape = Shape {
    what: "[host]",
    keys: &[
        ("namespace", "namespace = \"planet-host\""),
        ("uplink", "uplink = \"eth0\""),
        ("forwarding", "forwarding = true"),
        ("routes", "routes = [{ to = \"default\", via = \"192.168.0.1\" }]"),
        ("sysctl", "sysctl = { \"net.ipv4.ip_default_ttl\" = 64 }"),
    ],
};

const BRIDGE: Shape = Shape {
    what: "a bridge",
    keys: &[
        ("address", "address = \"10.10.0.1/16\""),
        ("mtu", "mtu = 1500"),
        ("mac", "mac = \"02:00:00:00:00:01\""),
    ],
};

const NODE: Shape = Shape {
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

const LINK: Shape = Shape {
    what: "a link",
    keys: &[
        ("to", "to = \"planet-br\""),
        ("name", "name = \"eth0\""),
        ("address", "address = \"10.10.0.10/16\""),
        ("mtu", "mtu = 1500"),
        ("mac", "mac = \"02:00:00:00:00:01\""),
        ("state", "state = \"up\""),
        ("peer", "peer = { name = \"earth-br-veth\" }"),
    ],
};

const PEER: Shape = Shape {
    what: "a link's `peer`",
    keys: &[
        ("name", "name = \"earth-br-veth\""),
        ("address", "address = \"192.168.0.108/24\""),
        ("mtu", "mtu = 1500"),
        ("mac", "mac = \"02:00:00:00:00:01\""),
        ("state", "state = \"up\""),
    ],
};

const ROUTE: Shape = Shape {
    what: "a route",
    keys: &[("to", "to = \"default\""), ("via", "via = \"192.168.0.1\""), ("dev", "dev = \"eth0\"")],
};

const MASQUERADE: Shape = Shape {
    what: "[[masquerade]]",
    keys: &[
        ("from", "from = \"10.10.0.0/16\""),
        ("ports", "ports = \"1024-65535\""),
        ("out", "out = \"eth0\""),
    ],
};

const FORWARD: Shape =
    Shape { what: "[[forward]]", keys: &[("publish", "publish = \"8000:earth:8000/tcp\"")] };

const CHECK: Shape = Shape {
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

/// A whole file.
#[derive(Debug)]
pub struct File {
    pub version: Option<Spanned<i64>>,
    pub name: Option<Text>,
    pub host: HostTable,
    pub bridges: Vec<BridgeTable>,
    pub nodes: Vec<NodeTable>,
    pub masquerades: Vec<MasqueradeTable>,
    pub forwards: Vec<Text>,
    pub checks: Vec<CheckTable>,
}

/// `[host]`.
#[derive(Debug, Default)]
pub struct HostTable {
    pub namespace: Option<Text>,
    pub uplink: Option<Text>,
    pub forwarding: Option<Spanned<bool>>,
    pub routes: Vec<RouteTable>,
    pub sysctls: Vec<(Text, Text)>,
    /// Reading it found nothing wrong, so what is not in it was really left out.
    pub sound: bool,
}

/// `[bridge.NAME]`.
#[derive(Debug)]
pub struct BridgeTable {
    pub name: Text,
    pub address: Texts,
    pub mtu: Option<Spanned<i64>>,
    pub mac: Option<Text>,
    /// As in `HostTable`.
    pub sound: bool,
}

/// `[node.NAME]`.
#[derive(Debug)]
pub struct NodeTable {
    pub name: Text,
    pub links: Vec<LinkTable>,
    /// Nothing about its interfaces was wrong, so there are no others.
    pub links_sound: bool,
    pub gateway: Option<Text>,
    pub loopback: Texts,
    pub routes: Vec<RouteTable>,
    pub sysctls: Vec<(Text, Text)>,
    pub run: Texts,
    pub wait: Texts,
    /// As in `HostTable`.
    pub sound: bool,
}

/// One entry of `links`.
#[derive(Debug)]
pub struct LinkTable {
    pub to: Option<Text>,
    pub near: EndTable,
    /// Empty when the file has no `peer`.
    pub peer: EndTable,
    pub span: Span,
}

/// What a file can say about one end of a link.
#[derive(Debug, Default)]
pub struct EndTable {
    pub name: Option<Text>,
    pub address: Texts,
    pub mtu: Option<Spanned<i64>>,
    pub mac: Option<Text>,
    pub state: Option<Text>,
}

/// One entry of `routes`.
#[derive(Debug)]
pub struct RouteTable {
    pub to: Option<Text>,
    pub via: Option<Text>,
    pub dev: Option<Text>,
    pub span: Span,
}

/// `[[masquerade]]`.
#[derive(Debug)]
pub struct MasqueradeTable {
    pub from: Option<Text>,
    pub ports: Option<Text>,
    pub out: Option<Text>,
    pub span: Span,
}

/// `[[check]]`.
#[derive(Debug)]
pub struct CheckTable {
    pub name: Option<Text>,
    pub from: Option<Text>,
    /// Those of `ping`, `http` and `tcp` that were given, with the place of the key.
    pub probes: Vec<(ProbeKey, Span, Option<Text>)>,
    pub status: Option<Spanned<i64>>,
    pub expect: Option<Text>,
    pub span: Span,
}

/// Which probe a check asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKey {
    Ping,
    Http,
    Tcp,
}

impl ProbeKey {
    const ALL: [ProbeKey; 3] = [ProbeKey::Ping, ProbeKey::Http, ProbeKey::Tcp];

    /// The key in the file.
    pub fn key(self) -> &'static str {
        match self {
            ProbeKey::Ping => "ping",
            ProbeKey::Http => "http",
            ProbeKey::Tcp => "tcp",
        }
    }
}

/// Reads a parsed document; what is wrong with its shape goes to `problems`.
pub fn read(source: &str, document: &DeTable<'_>, problems: &Problems) -> File {
    let top = Table::document(source, problems, &DOCUMENT, document);
    let version = top.integer("version");
    if top.key_span("version").is_none() {
        top.missing("version");
    }
    File {
        version,
        name: top.required_text("name"),
        host: host(&top, problems),
        bridges: bridges(&top, problems),
        nodes: nodes(&top, problems),
        masquerades: top.tables("masquerade", &MASQUERADE).iter().map(masquerade).collect(),
        forwards: top
            .tables("forward", &FORWARD)
            .iter()
            .filter_map(|table| table.required_text("publish"))
            .collect(),
        checks: top.tables("check", &CHECK).iter().map(check).collect(),
    }
}

fn host(top: &Table<'_>, problems: &Problems) -> HostTable {
    let before = problems.count();
    let mut host = HostTable::default();
    if let Some(table) = top.table("host", &HOST) {
        host.namespace = table.text("namespace");
        host.uplink = table.text("uplink");
        host.forwarding = table.flag("forwarding");
        host.routes = routes(&table);
        host.sysctls = table.settings("sysctl");
    }
    host.sound = problems.count() == before;
    host
}

fn bridges(top: &Table<'_>, problems: &Problems) -> Vec<BridgeTable> {
    let mut bridges = Vec::new();
    for (name, table) in top.named_tables("bridge", &BRIDGE) {
        let before = problems.count();
        let (address, mtu, mac) = (table.texts("address"), table.integer("mtu"), table.text("mac"));
        bridges.push(BridgeTable {
            name,
            address,
            mtu,
            mac,
            sound: table.all_known() && problems.count() == before,
        });
    }
    bridges
}

fn nodes(top: &Table<'_>, problems: &Problems) -> Vec<NodeTable> {
    let mut nodes = Vec::new();
    for (name, table) in top.named_tables("node", &NODE) {
        let before = problems.count();
        let links = table.tables("links", &LINK).iter().map(link).collect();
        let loopback = table.texts("loopback");
        let links_sound = table.all_known() && problems.count() == before;
        let mut node = NodeTable {
            name,
            links,
            links_sound,
            gateway: table.text("gateway"),
            loopback,
            routes: routes(&table),
            sysctls: table.settings("sysctl"),
            run: table.texts("run"),
            wait: table.texts("wait"),
            sound: true,
        };
        node.sound = table.all_known() && problems.count() == before;
        nodes.push(node);
    }
    nodes
}

fn link(table: &Table<'_>) -> LinkTable {
    let peer = match table.text_or_table("peer", &PEER) {
        Some(Ok(name)) => EndTable { name: Some(name), ..EndTable::default() },
        Some(Err(peer)) => end(&peer),
        None => EndTable::default(),
    };
    LinkTable { to: table.required_text("to"), near: end(table), peer, span: table.span.clone() }
}

fn end(table: &Table<'_>) -> EndTable {
    EndTable {
        name: table.text("name"),
        address: table.texts("address"),
        mtu: table.integer("mtu"),
        mac: table.text("mac"),
        state: table.text("state"),
    }
}

fn routes(table: &Table<'_>) -> Vec<RouteTable> {
    let read = |route: &Table<'_>| RouteTable {
        to: route.required_text("to"),
        via: route.text("via"),
        dev: route.text("dev"),
        span: route.span.clone(),
    };
    table.tables("routes", &ROUTE).iter().map(read).collect()
}

fn masquerade(table: &Table<'_>) -> MasqueradeTable {
    MasqueradeTable {
        from: table.required_text("from"),
        ports: table.text("ports"),
        out: table.text("out"),
        span: table.span.clone(),
    }
}

fn check(table: &Table<'_>) -> CheckTable {
    let probe = |key: ProbeKey| table.key_span(key.key()).map(|span| (key, span, table.text(key.key())));
    CheckTable {
        name: table.text("name"),
        from: table.required_text("from"),
        probes: ProbeKey::ALL.into_iter().filter_map(probe).collect(),
        status: table.integer("status"),
        expect: table.text("expect"),
        span: table.span.clone(),
    }
}
