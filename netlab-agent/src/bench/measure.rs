//! The measurements by name: what each gives, in which unit, and whether more of it is better.

use serde::Serialize;

use super::variant::Hook;

/// In which direction a TCP stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Earth sends.
    Out,
    /// The world sends, on a connection that earth opened.
    In,
}

/// What a measurement sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Frames into the world's end of a cable.
    FramesIn,
    /// Frames into earth's.
    FramesOut,
    /// What sockets send.
    Sockets,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// UDP packets of established flows from earth to the world.
    Packets {
        /// Length of the frame.
        bytes: u16,
        /// How many flows they belong to.
        flows: u32,
        /// Where the sink takes them.
        sink: Hook,
    },
    /// The same, 64 bytes each, with a table that has room for a million flows.
    Spread {
        /// How many flows they belong to.
        flows: u32,
    },
    /// UDP packets from earth of which each opens a flow.
    NewOut,
    /// The same from the world, through the last of so many forwards.
    NewIn {
        /// How many there are.
        forwards: u32,
    },
    /// UDP packets from the world to a port that is not forwarded, beside so many that are.
    Miss {
        /// How many there are.
        forwards: u32,
    },
    /// One TCP connection that carries as much as it can.
    Stream(Way),
    /// One byte there and one back, on a connection that stays.
    Requests,
    /// The same, each on a connection of its own.
    Connections,
    /// Bytes of memory a flow.
    Memory,
    /// Time in netlab's programs.
    Programs,
    /// Time until so many forwards work.
    Load {
        /// How many.
        forwards: u32,
    },
}

/// What a row of the report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    /// How JSON and the targets call it.
    pub id: String,
    /// How tables call it.
    pub title: String,
    /// The unit of its values.
    pub unit: &'static str,
    /// Whether more is better.
    pub more_is_better: bool,
}

/// The same number in words, such as 10,000.
pub fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Measure {
    /// What it sends, if anything that programs may be chosen by.
    pub fn traffic(self) -> Option<Traffic> {
        match self {
            Measure::Packets { .. } | Measure::Spread { .. } | Measure::NewOut => Some(Traffic::FramesOut),
            Measure::NewIn { .. } | Measure::Miss { .. } => Some(Traffic::FramesIn),
            Measure::Stream(_) | Measure::Requests | Measure::Connections => Some(Traffic::Sockets),
            Measure::Memory | Measure::Programs | Measure::Load { .. } => None,
        }
    }

    /// The series that it adds a value to in each round, in the order of its values.
    pub fn series(self) -> Vec<Series> {
        let more = |id: String, title: String, unit| Series { id, title, unit, more_is_better: true };
        let less = |id: &str, title: &str, unit| Series {
            id: id.to_owned(),
            title: title.to_owned(),
            unit,
            more_is_better: false,
        };
        match self {
            Measure::Packets { bytes, flows, sink } => {
                let (end, said) = match sink {
                    Hook::Xdp => ("", ""),
                    Hook::Tc => ("_tc_sink", ", sink in TC"),
                };
                let ending = if flows == 1 { "" } else { "s" };
                let title = format!("{bytes}-byte packets, {} flow{ending}{said}", grouped(flows));
                vec![more(format!("packets_{bytes}_{flows}{end}"), title, "packets/s")]
            }
            Measure::Spread { flows } => {
                let ending = if flows == 1 { "" } else { "s" };
                let title = format!("64-byte packets, {} flow{ending}, large table", grouped(flows));
                vec![more(format!("spread_{flows}"), title, "packets/s")]
            }
            Measure::NewOut => vec![more("new_out".into(), "new UDP flows out".into(), "flows/s")],
            Measure::NewIn { forwards } => {
                let title = format!("new UDP flows in, last of {} forwards", grouped(forwards));
                vec![more(format!("new_in_{forwards}"), title, "flows/s")]
            }
            Measure::Miss { forwards } => {
                let title = format!("UDP past {} forwards, to the host", grouped(forwards));
                vec![more(format!("miss_{forwards}"), title, "packets/s")]
            }
            Measure::Stream(Way::Out) => {
                vec![more("stream_out".into(), "TCP stream out".into(), "bits/s")]
            }
            Measure::Stream(Way::In) => vec![more("stream_in".into(), "TCP stream in".into(), "bits/s")],
            Measure::Requests => vec![
                more("requests".into(), "TCP requests".into(), "requests/s"),
                less("requests_p50", "TCP request latency, median", "s"),
                less("requests_p99", "TCP request latency, 99 %", "s"),
            ],
            Measure::Connections => {
                vec![more("connections".into(), "TCP connections".into(), "connections/s")]
            }
            Measure::Memory => vec![less("memory", "memory a flow", "bytes")],
            Measure::Programs => vec![
                less("program_port_in", "program at earth's port, known flow", "s"),
                less("program_uplink_out", "program at the uplink, known flow", "s"),
                less("program_uplink_out_new", "program at the uplink, new flow", "s"),
            ],
            Measure::Load { forwards } => {
                let title = format!("loading {} forwards", grouped(forwards));
                vec![less(&format!("load_{forwards}"), &title, "s")]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups_of_three() {
        assert_eq!([1, 1_000, 10_000, 1_000_000].map(grouped), ["1", "1,000", "10,000", "1,000,000"]);
    }

    #[test]
    fn a_series_is_named_by_all_that_tells_it_from_others() {
        let packets = |sink| Measure::Packets { bytes: 64, flows: 1, sink }.series().remove(0);
        assert_eq!(packets(Hook::Xdp).id, "packets_64_1");
        assert_eq!(packets(Hook::Xdp).title, "64-byte packets, 1 flow");
        assert_eq!(packets(Hook::Tc).id, "packets_64_1_tc_sink");
    }
}
