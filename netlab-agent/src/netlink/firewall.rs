//! What in the thread's namespace looks at packets on their way through the host: netfilter's chains and programs. A
//! packet that passes by the host's stack passes by them, too.
//!
//! Chains count that have rules or drop what has none. A chain's rules are not read: whom they would let through
//! depends on more than the packet. IPv6's do not count, for netlab takes none of its packets past the stack.

use std::fs;
use std::io;

use nix::sys::socket::SockProtocol;

use super::ipsec;
use super::raw::{RawSocket, attribute, attributes, number_be, text};
use crate::sys::iptables;

/// The parts of netfilter's netlink: nf_tables, and the list of who sees packets.
const NFTABLES: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const HOOKS: u16 = 12;
/// `NFT_MSG_GETCHAIN`.
const GET_CHAIN: u16 = NFTABLES << 8 | libc::NFT_MSG_GETCHAIN as u16;
/// `NFNL_MSG_HOOK_GET`.
const GET_HOOKS: u16 = HOOKS << 8;
/// Length of `struct nfgenmsg`, whose first byte is the family.
const HEADER: usize = 4;

/// `NFTA_CHAIN_…`.
const TABLE: u16 = 1;
const NAME: u16 = 3;
const HOOK: u16 = 4;
const POLICY: u16 = 5;
const USE: u16 = 6;
/// `NFTA_HOOK_…`, and `NFTA_DEVICE_NAME` in the last.
const HOOK_NUMBER: u16 = 1;
const HOOK_DEVICE: u16 = 3;
const HOOK_DEVICES: u16 = 4;
/// The policy to drop.
const DROP: u32 = 0;

/// The families' names as `nft` has them, and the hooks of each that see what is on its way through.
const FAMILIES: [(i32, &str, &[u32]); 4] = [
    (libc::NFPROTO_INET, "inet", &[PREROUTING, FORWARD, POSTROUTING, INGRESS]),
    (libc::NFPROTO_IPV4, "ip", &[PREROUTING, FORWARD, POSTROUTING]),
    (libc::NFPROTO_BRIDGE, "bridge", &[PREROUTING, FORWARD, POSTROUTING]),
    (libc::NFPROTO_NETDEV, "netdev", &[0, 1]),
];
const PREROUTING: u32 = 0;
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;
const INGRESS: u32 = 5;

/// Who looks at packets that are on their way through: a readable name each. Of what is bound to interfaces, only
/// that on `interfaces` counts.
///
/// # Errors
/// What the kernel says.
pub fn looks_at_forwarded(interfaces: &[String]) -> io::Result<Vec<String>> {
    let mut found = chains(interfaces)?;
    found.extend(tables()?);
    found.extend(programs()?);
    if ipsec::has_policies()? {
        found.push("an IPsec policy".to_owned());
    }
    Ok(found)
}

/// Whether a kernel says that it does not know of such a thing at all.
fn is_unknown(error: &io::Error) -> bool {
    let codes = [libc::EOPNOTSUPP, libc::EINVAL, libc::EPROTONOSUPPORT, libc::ENOENT, libc::ENOPROTOOPT];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// The chains of nf_tables, among them those that `iptables` makes there.
fn chains(interfaces: &[String]) -> io::Result<Vec<String>> {
    let socket = match RawSocket::open(SockProtocol::NetlinkNetFilter) {
        Err(error) if is_unknown(&error) => return Ok(Vec::new()),
        opened => opened?,
    };
    match socket.list(GET_CHAIN, &[0; HEADER]) {
        Ok(answers) => Ok(answers.iter().filter_map(|(_, body)| chain(body, interfaces)).collect()),
        Err(error) if is_unknown(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn chain(body: &[u8], interfaces: &[String]) -> Option<String> {
    let family = i32::from(*body.first()?);
    let body = body.get(HEADER..)?;
    // Only a base chain has a hook; others are seen by way of one.
    let hook = attribute(body, HOOK)?;
    let number = attribute(hook, HOOK_NUMBER).and_then(number_be)?;
    let (_, name, hooks) = FAMILIES.into_iter().find(|(known, ..)| *known == family)?;
    let mut devices: Vec<String> = attribute(hook, HOOK_DEVICE).map(text).into_iter().collect();
    devices.extend(attributes(attribute(hook, HOOK_DEVICES).unwrap_or_default()).map(|(_, one)| text(one)));
    let is_on_ours = devices.is_empty() || devices.iter().any(|device| interfaces.contains(device));
    let drops = attribute(body, POLICY).and_then(number_be) == Some(DROP);
    let has_rules = attribute(body, USE).and_then(number_be).is_none_or(|rules| rules > 0);
    if !hooks.contains(&number) || !is_on_ours || !(drops || has_rules) {
        return None;
    }
    let [table, chain] = [TABLE, NAME].map(|kind| attribute(body, kind).map(text).unwrap_or_default());
    let policy = if drops { " (policy drop)" } else { "" };
    Some(format!("nft table {name} {table}, chain {chain}{policy}"))
}

/// The tables of the older `iptables`.
fn tables() -> io::Result<Vec<String>> {
    const PATH: &str = "/proc/thread-self/net/ip_tables_names";
    let names = match fs::read_to_string(PATH) {
        // To ask for a table that is not there would make it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut found = Vec::new();
    for table in names.lines() {
        let entries = iptables::table(table)?;
        for (hook, chain) in [(0, "PREROUTING"), (2, "FORWARD"), (4, "POSTROUTING")] {
            let Some(chain_of) = entries.chain(hook) else { continue };
            if chain_of.has_rules || chain_of.drops {
                let policy = if chain_of.drops { " (policy drop)" } else { "" };
                found.push(format!("iptables: table {table}, chain {chain}{policy}"));
            }
        }
    }
    Ok(found)
}

/// BPF programs of netfilter's. Not every kernel can list them; one that cannot has no need to be asked again.
fn programs() -> io::Result<Vec<String>> {
    /// `NFNLA_HOOK_…`: number, chain, and in that `NFNLA_HOOK_INFO_TYPE` and its value for programs.
    const NUMBER: u16 = 1;
    const CHAIN_INFO: u16 = 6;
    const INFO_TYPE: u16 = 2;
    const BPF: u32 = 2;
    let socket = match RawSocket::open(SockProtocol::NetlinkNetFilter) {
        Err(error) if is_unknown(&error) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut found = Vec::new();
    for (number, hook) in [(PREROUTING, "prerouting"), (FORWARD, "forward"), (POSTROUTING, "postrouting")] {
        let mut body = vec![libc::NFPROTO_IPV4 as u8, 0, 0, 0];
        body.extend(super::raw::written(NUMBER, &number.to_be_bytes()));
        let answers = match socket.list(GET_HOOKS, &body) {
            Err(error) if is_unknown(&error) => return Ok(Vec::new()),
            answers => answers?,
        };
        let is_program = |body: &[u8]| {
            let info = attribute(body.get(HEADER..)?, CHAIN_INFO)?;
            Some(attribute(info, INFO_TYPE).and_then(number_be)? == BPF)
        };
        if answers.iter().any(|(_, body)| is_program(body) == Some(true)) {
            found.push(format!("a netfilter BPF program on the {hook} hook"));
        }
    }
    Ok(found)
}
