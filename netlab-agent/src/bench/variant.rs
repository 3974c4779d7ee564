//! The ways on which packets are sent: what is measured, and what it is compared with.

use serde::Serialize;

/// One way between earth and the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Both ends on one cable, with nothing between them.
    Direct,
    /// The kernel forwards, without NAT.
    Plain,
    /// The kernel's NAT, told by iptables.
    Iptables,
    /// The same a second time, in a lab of its own: the A/A control.
    IptablesAgain,
    /// The kernel's NAT, told by nftables, one rule a forward.
    NftRule,
    /// The same with one map for all forwards.
    NftMap,
    /// netlab, attached to TC.
    Tc,
    /// The same without counters.
    TcNoCounters,
    /// netlab, attached to XDP.
    Xdp,
    /// netlab, which chooses by itself.
    Auto,
    /// A TC program that only redirects.
    FloorTc,
    /// An XDP program that only redirects.
    FloorXdp,
}

/// What a variant's lab has in its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// There is no host.
    Cable,
    /// The kernel's own forwarding, and perhaps rules of a rival.
    Kernel(Option<Rival>),
    /// netlab, with this value of `datapath`.
    Netlab(&'static str),
    /// A program of the bench on earth's port.
    Floor(Hook),
}

/// Whose rules the kernel follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// iptables.
    Iptables,
    /// nftables with one rule a forward.
    NftRule,
    /// nftables with a map.
    NftMap,
}

/// Where a program of the bench is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Frames before they are skbs.
    Xdp,
    /// skbs.
    Tc,
}

impl Variant {
    /// All of them, in the order of tables.
    pub const ALL: [Variant; 12] = [
        Variant::Direct,
        Variant::Plain,
        Variant::Iptables,
        Variant::IptablesAgain,
        Variant::NftRule,
        Variant::NftMap,
        Variant::Tc,
        Variant::TcNoCounters,
        Variant::Xdp,
        Variant::Auto,
        Variant::FloorTc,
        Variant::FloorXdp,
    ];

    /// How tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Variant::Direct => "one cable, no host",
            Variant::Plain => "forwarding, no NAT",
            Variant::Iptables => "iptables",
            Variant::IptablesAgain => "iptables (A/A)",
            Variant::NftRule => "nftables, rules",
            Variant::NftMap => "nftables, map",
            Variant::Tc => "netlab TC",
            Variant::TcNoCounters => "netlab TC, no counts",
            Variant::Xdp => "netlab XDP",
            Variant::Auto => "netlab auto",
            Variant::FloorTc => "redirect only, TC",
            Variant::FloorXdp => "redirect only, XDP",
        }
    }

    /// How programs call it: in JSON, and in the names of labs.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Direct => "direct",
            Variant::Plain => "plain",
            Variant::Iptables => "iptables",
            Variant::IptablesAgain => "iptables-again",
            Variant::NftRule => "nft-rule",
            Variant::NftMap => "nft-map",
            Variant::Tc => "tc",
            Variant::TcNoCounters => "tc-no-counters",
            Variant::Xdp => "xdp",
            Variant::Auto => "auto",
            Variant::FloorTc => "floor-tc",
            Variant::FloorXdp => "floor-xdp",
        }
    }

    /// What its lab has in its host.
    pub fn made(self) -> Made {
        match self {
            Variant::Direct => Made::Cable,
            Variant::Plain => Made::Kernel(None),
            Variant::Iptables | Variant::IptablesAgain => Made::Kernel(Some(Rival::Iptables)),
            Variant::NftRule => Made::Kernel(Some(Rival::NftRule)),
            Variant::NftMap => Made::Kernel(Some(Rival::NftMap)),
            Variant::Tc | Variant::TcNoCounters => Made::Netlab("tc"),
            Variant::Xdp => Made::Netlab("xdp"),
            Variant::Auto => Made::Netlab("auto"),
            Variant::FloorTc => Made::Floor(Hook::Tc),
            Variant::FloorXdp => Made::Floor(Hook::Xdp),
        }
    }

    /// Whether the source of what earth sends changes on the way.
    pub fn translates(self) -> bool {
        matches!(self.made(), Made::Kernel(Some(_)) | Made::Netlab(_))
    }
}
