//! The options that choose flows, in conntrack-tools' words, and how their values are written.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use clap::Args;
use ipnet::Ipv4Net;
use netlab_common::net::protocol;

use crate::conntrack::{Filter, STATES, TupleFilter};

/// Which flows; all that is given must hold.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which flows")]
pub struct Matching {
    /// Of this protocol: tcp, udp, icmp, or an IP protocol's number.
    #[arg(short, long, value_name = "PROTO", value_parser = protocol_number)]
    proto: Option<u8>,
    /// Opened from this address or network.
    #[arg(short, long, value_name = "ADDR[/LEN]", value_parser = network)]
    src: Option<Ipv4Net>,
    /// Opened to this address or network.
    #[arg(short, long, value_name = "ADDR[/LEN]", value_parser = network)]
    dst: Option<Ipv4Net>,
    /// Opened from this TCP or UDP port.
    #[arg(long, value_name = "N[-M]", value_parser = ports)]
    sport: Option<RangeInclusive<u16>>,
    /// Opened to this TCP or UDP port.
    #[arg(long, value_name = "N[-M]", value_parser = ports)]
    dport: Option<RangeInclusive<u16>>,
    /// Whose answers come from this address or network.
    #[arg(long, value_name = "ADDR[/LEN]", value_parser = network)]
    reply_src: Option<Ipv4Net>,
    /// Whose answers come to this address or network, before they are translated back.
    #[arg(long, value_name = "ADDR[/LEN]", value_parser = network)]
    reply_dst: Option<Ipv4Net>,
    /// Whose answers come from this TCP or UDP port.
    #[arg(long, alias = "reply-port-src", value_name = "N[-M]", value_parser = ports)]
    reply_sport: Option<RangeInclusive<u16>>,
    /// Whose answers come to this TCP or UDP port.
    #[arg(long, alias = "reply-port-dst", value_name = "N[-M]", value_parser = ports)]
    reply_dport: Option<RangeInclusive<u16>>,
    /// In this state, or in any of several when it is given several times.
    #[arg(long, value_name = "NAME", value_parser = state)]
    state: Vec<&'static str>,
    /// Made by the rule of this number.
    #[arg(long, value_name = "N")]
    rule: Option<u32>,
}

impl From<Matching> for Filter {
    fn from(given: Matching) -> Self {
        Filter {
            protocol: given.proto,
            original: TupleFilter { src: given.src, dst: given.dst, sport: given.sport, dport: given.dport },
            reply: TupleFilter {
                src: given.reply_src,
                dst: given.reply_dst,
                sport: given.reply_sport,
                dport: given.reply_dport,
            },
            states: given.state,
            rule: given.rule,
        }
    }
}

fn protocol_number(text: &str) -> Result<u8, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(protocol::TCP),
        "udp" => Ok(protocol::UDP),
        "icmp" => Ok(protocol::ICMP),
        number => number.parse().map_err(|_| "it is tcp, udp, icmp, or a number from 0 to 255".to_owned()),
    }
}

fn network(text: &str) -> Result<Ipv4Net, String> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let address = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address,
        Ok(IpAddr::V6(_)) => return Err("flows have IPv4 addresses only".to_owned()),
        Err(_) => return Err(format!("`{address}` is not an IPv4 address such as 10.10.0.10")),
    };
    let length = length.parse().ok().filter(|length| *length <= 32);
    let length = length.ok_or("the prefix length after `/` is a number from 0 to 32")?;
    Ipv4Net::new(address, length).map_err(|error| error.to_string())
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        text.parse::<u16>().map_err(|_| format!("`{text}` is not a port, a number from 0 to 65535"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("a range goes from the lower port to the higher: {last}-{first}"));
    }
    Ok(first..=last)
}

fn state(text: &str) -> Result<&'static str, String> {
    let found = STATES.into_iter().find(|name| name.eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("the states are {}", STATES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{network, ports, protocol_number, state};

    #[test]
    fn protocols_are_names_or_numbers() {
        assert_eq!(protocol_number("tcp"), Ok(6));
        assert_eq!(protocol_number("UDP"), Ok(17));
        assert_eq!(protocol_number("icmp"), Ok(1));
        assert_eq!(protocol_number("132"), Ok(132));
        assert!(protocol_number("256").unwrap_err().contains("0 to 255"));
        assert!(protocol_number("tpc").unwrap_err().contains("tcp, udp, icmp"));
    }

    #[test]
    fn an_address_is_a_network_of_its_own_and_a_networks_address_may_be_any_in_it() {
        assert_eq!(network("10.10.0.10").unwrap().to_string(), "10.10.0.10/32");
        assert!(network("10.10.0.10/16").unwrap().contains(&std::net::Ipv4Addr::new(10, 10, 255, 1)));
        assert!(network("0.0.0.0/0").unwrap().contains(&std::net::Ipv4Addr::new(8, 8, 8, 8)));
    }

    #[test]
    fn wrong_addresses_are_explained() {
        assert_eq!(network("earth").unwrap_err(), "`earth` is not an IPv4 address such as 10.10.0.10");
        assert!(network("10.0.0").unwrap_err().contains("not an IPv4 address"));
        assert!(network("").unwrap_err().contains("not an IPv4 address"));
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/8/8"] {
            assert!(network(text).unwrap_err().contains("0 to 32"), "{text}");
        }
        assert!(network("::1").unwrap_err().contains("IPv4 addresses only"));
    }

    #[test]
    fn ports_are_one_or_a_range() {
        assert_eq!(ports("80"), Ok(80..=80));
        assert_eq!(ports("0-65535"), Ok(0..=65535));
        assert_eq!(ports("90-80").unwrap_err(), "a range goes from the lower port to the higher: 80-90");
        for text in ["65536", "", "80-", "-80", "1-2-3", "http"] {
            assert!(ports(text).unwrap_err().contains("is not a port"), "{text}");
        }
    }

    #[test]
    fn states_are_found_in_any_case_and_listed_when_unknown() {
        assert_eq!(state("established"), Ok("ESTABLISHED"));
        assert_eq!(state("Fin_Wait"), Ok("FIN_WAIT"));
        assert_eq!(
            state("OPEN").unwrap_err(),
            "the states are SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE, UNREPLIED, REPLIED, MAPPING"
        );
    }
}
