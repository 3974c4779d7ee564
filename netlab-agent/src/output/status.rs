//! A running lab at a glance.

use serde_json::{Value, json};

use super::{json as document, size, table as render};
use crate::datapath::xdp::Choice;
use crate::lab::{Cable, End, Lab, Place};

/// What a lab's agent and datapath are doing.
pub struct Health {
    /// The agent's process id, if it is alive.
    pub agent: Option<i32>,
    /// The datapath, if the lab has one.
    pub datapath: Option<DatapathHealth>,
    /// Where packets are taken over, and why there, by interface.
    pub ways: Vec<Choice>,
    /// What is not there any more, a sentence each.
    pub drift: Vec<String>,
    /// What netlab leaves alone or cannot do as the host is set up, a sentence each.
    pub aside: Vec<String>,
}

/// The flow table's use.
pub struct DatapathHealth {
    /// Flows now.
    pub flows: usize,
    /// Flows there is room for.
    pub capacity: usize,
    /// Memory of the table, in bytes.
    pub memory: u64,
    /// What happened to flows, by name: only what did.
    pub events: Vec<(&'static str, u64)>,
    /// Whether the programs are those that this netlab carries.
    pub current: bool,
}

/// One line a running lab.
pub fn labs(rows: &[(String, Option<i32>)]) -> String {
    let rows = rows.iter().map(|(name, agent)| {
        let agent = agent.map_or_else(|| "dead".to_owned(), |pid| format!("pid {pid}"));
        vec![name.clone(), agent]
    });
    render(&["LAB", "AGENT"], rows, &[])
}

fn addresses(end: &End) -> String {
    let list: Vec<String> = end.addresses.iter().map(ToString::to_string).collect();
    if list.is_empty() { "-".into() } else { list.join(", ") }
}

fn other_side(lab: &Lab, cable: &Cable, other: &End) -> String {
    match cable.bridge {
        Some(bridge) => format!("{} ({})", lab.bridges[bridge].name, other.name),
        None => format!("{} ({})", lab.place_name(other.place), other.name),
    }
}

/// The lab for reading: its stacks and their interfaces, then what watches over them.
pub fn table(lab: &Lab, health: &Health) -> String {
    let mut rows = Vec::new();
    for bridge in &lab.bridges {
        let list: Vec<String> = bridge.addresses.iter().map(ToString::to_string).collect();
        let list = if list.is_empty() { "-".into() } else { list.join(", ") };
        rows.push(vec!["host".into(), bridge.name.clone(), list, "bridge".into()]);
    }
    for cable in &lab.cables {
        rows.push(vec![
            lab.place_name(cable.near.place).into(),
            cable.near.name.clone(),
            addresses(&cable.near),
            other_side(lab, cable, &cable.far),
        ]);
        if cable.bridge.is_none() {
            rows.push(vec![
                lab.place_name(cable.far.place).into(),
                cable.far.name.clone(),
                addresses(&cable.far),
                other_side(lab, cable, &cable.near),
            ]);
        }
    }
    let namespace = lab.namespace(Place::Host).unwrap_or("the stack netlab was started in");
    let mut text = format!("lab {}; the host is {namespace}\n", lab.name);
    text.push_str(&render(&["NODE", "INTERFACE", "ADDRESS", "CABLED TO"], rows, &[]));
    if !health.ways.is_empty() {
        text.push_str(&ways(&health.ways));
    }
    match health.agent {
        Some(pid) => text.push_str(&format!("agent: pid {pid}\n")),
        None => text.push_str(
            "agent: dead; traffic, new flows and time-outs go on, but nobody follows the uplink's\n\
             \x20      address until `netlab up` starts another\n",
        ),
    }
    match &health.datapath {
        Some(datapath) => text.push_str(&flows(datapath)),
        None if lab.host.uplink.is_none() => text.push_str("datapath: none, the lab has no uplink\n"),
        None => text.push_str("datapath: gone\n"),
    }
    for sentence in &health.aside {
        text.push_str(&format!("aside: {sentence}\n"));
    }
    for sentence in &health.drift {
        text.push_str(&format!("drift: {sentence}\n"));
    }
    if !health.drift.is_empty() {
        text.push_str(&format!("take the lab down and up again: `netlab down -l {}`\n", lab.name));
    }
    text
}

/// Where packets are taken over, and why there.
fn ways(ways: &[Choice]) -> String {
    let rows = ways
        .iter()
        .map(|choice| vec![choice.interface.name.clone(), choice.way.name().into(), choice.why.clone()]);
    render(&["INTERFACE", "DATAPATH", "WHY"], rows, &[])
}

/// The flow table's use, its memory, and what happened in it.
fn flows(datapath: &DatapathHealth) -> String {
    let mut text = format!(
        "flows: {} of {}; table of {}, {} B a flow\n",
        datapath.flows,
        datapath.capacity,
        size(datapath.memory),
        datapath.memory / datapath.capacity.max(1) as u64
    );
    if !datapath.events.is_empty() {
        let events: Vec<String> =
            datapath.events.iter().map(|(name, count)| format!("{count} {name}")).collect();
        text.push_str(&format!("flow events: {}\n", events.join(", ")));
    }
    if !datapath.current {
        text.push_str("programs: of another build; `netlab up` with the lab's file replaces them\n");
    }
    text
}

/// The lab for programs.
pub fn json(lab: &Lab, health: &Health) -> String {
    let end = |end: &End| json!({ "node": lab.place_name(end.place), "interface": end.name, "addresses": end.addresses });
    let cables: Vec<Value> = lab
        .cables
        .iter()
        .map(|cable| {
            let bridge = cable.bridge.map(|bridge| lab.bridges[bridge].name.as_str());
            json!({ "near": end(&cable.near), "far": end(&cable.far), "bridge": bridge })
        })
        .collect();
    let bridges: Vec<Value> = lab
        .bridges
        .iter()
        .map(|bridge| json!({ "interface": bridge.name, "addresses": bridge.addresses }))
        .collect();
    let nodes: Vec<&str> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
    let datapath = health.datapath.as_ref().map(|datapath| {
        let events: serde_json::Map<String, Value> =
            datapath.events.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
        json!({
            "flows": datapath.flows,
            "capacity": datapath.capacity,
            "memory_bytes": datapath.memory,
            "events": events,
            "current": datapath.current,
        })
    });
    let interface = |choice: &Choice| {
        json!({
            "interface": choice.interface.name,
            "datapath": choice.way.name(),
            "why": choice.why,
            "takes_frames": choice.takes_frames,
            "warning": choice.warning,
        })
    };
    let interfaces: Vec<Value> = health.ways.iter().map(interface).collect();
    let fields = json!({
        "host": lab.host.namespace,
        "nodes": nodes,
        "bridges": bridges,
        "cables": cables,
        "agent": health.agent,
        "datapath": datapath,
        "interfaces": interfaces,
        "aside": health.aside,
        "drift": health.drift,
    });
    document("status", &lab.name, fields)
}
