//! The lab file, read into plain structs that keep every place. Which keys a table may have stands in
//! `shapes`; nothing is resolved or compared here, `check` does that.

use toml::de::DeTable;

use super::diagnostic::{Problems, Span};
use super::read::{Table, Texts};
use super::shapes::{
    BRIDGE, CHECK, DOCUMENT, FLOWS, FORWARD, HOST, LINK, MASQUERADE, NODE, PEER, ROUTE, TIMEOUTS,
};
use super::text::{Spanned, Text};

/// A whole file.
#[derive(Debug)]
pub struct File {
    pub version: Option<Spanned<i64>>,
    pub name: Option<Text>,
    pub host: HostTable,
    pub bridges: Vec<BridgeTable>,
    pub nodes: Vec<NodeTable>,
    pub flows: FlowsTable,
    pub masquerades: Vec<MasqueradeTable>,
    pub forwards: Vec<ForwardTable>,
    pub checks: Vec<CheckTable>,
}

/// `[host]`.
#[derive(Debug, Default)]
pub struct HostTable {
    pub namespace: Option<Text>,
    pub uplink: Option<Text>,
    pub forwarding: Option<Spanned<bool>>,
    pub datapath: Option<Text>,
    pub bypass: Option<Text>,
    pub counters: Option<Spanned<bool>>,
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
    pub datapath: Option<Text>,
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

/// `[flows]`.
#[derive(Debug, Default)]
pub struct FlowsTable {
    pub size: Option<Spanned<i64>>,
    pub per_source: Option<Spanned<i64>>,
    pub quarantine: Option<Spanned<i64>>,
    pub pickup: Option<Spanned<bool>>,
    /// Those of `timeouts` that were given, by their key.
    pub timeouts: Vec<(&'static str, Spanned<i64>)>,
    /// As in `HostTable`.
    pub sound: bool,
}

/// `[[masquerade]]`.
#[derive(Debug)]
pub struct MasqueradeTable {
    pub from: Option<Text>,
    pub to: Option<Text>,
    pub ports: Option<Text>,
    pub mapping: Option<Text>,
    pub filtering: Option<Text>,
    pub out: Option<Text>,
    pub span: Span,
    /// As in `HostTable`.
    pub sound: bool,
}

/// `[[forward]]`.
#[derive(Debug)]
pub struct ForwardTable {
    pub publish: Option<Text>,
    pub allow: Texts,
    /// As in `HostTable`.
    pub sound: bool,
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
        flows: flows(&top, problems),
        masquerades: top
            .tables("masquerade", &MASQUERADE)
            .iter()
            .map(|table| masquerade(table, problems))
            .collect(),
        forwards: top.tables("forward", &FORWARD).iter().map(|table| forward(table, problems)).collect(),
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
        host.datapath = table.text("datapath");
        host.bypass = table.text("bypass");
        host.counters = table.flag("counters");
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
    LinkTable {
        to: table.required_text("to"),
        near: end(table),
        peer,
        datapath: table.text("datapath"),
        span: table.span.clone(),
    }
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

fn flows(top: &Table<'_>, problems: &Problems) -> FlowsTable {
    let before = problems.count();
    let mut flows = FlowsTable::default();
    if let Some(table) = top.table("flows", &FLOWS) {
        let timeouts = table.table("timeouts", &TIMEOUTS);
        let timeout = |(key, _): &(&'static str, _)| Some((*key, timeouts.as_ref()?.integer(key)?));
        flows.timeouts = TIMEOUTS.keys.iter().filter_map(timeout).collect();
        flows.size = table.integer("size");
        flows.per_source = table.integer("per_source");
        flows.quarantine = table.integer("quarantine");
        flows.pickup = table.flag("pickup");
    }
    flows.sound = problems.count() == before;
    flows
}

fn masquerade(table: &Table<'_>, problems: &Problems) -> MasqueradeTable {
    let before = problems.count();
    let mut masquerade = MasqueradeTable {
        from: table.required_text("from"),
        to: table.text("to"),
        ports: table.text("ports"),
        mapping: table.text("mapping"),
        filtering: table.text("filtering"),
        out: table.text("out"),
        span: table.span.clone(),
        sound: true,
    };
    masquerade.sound = table.all_known() && problems.count() == before;
    masquerade
}

fn forward(table: &Table<'_>, problems: &Problems) -> ForwardTable {
    let before = problems.count();
    let (publish, allow) = (table.required_text("publish"), table.texts("allow"));
    ForwardTable { publish, allow, sound: table.all_known() && problems.count() == before }
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
