//! Where in the kernel a packet is looked at.

/// A place where a program runs: both directions of a lab port and of the uplink, and the host's way to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Hook {
    /// A node's packet enters the host, on the host's side of the node's cable.
    PortIn = 0,
    /// A packet leaves the host for a node.
    PortOut = 1,
    /// A packet enters from the world.
    UplinkIn = 2,
    /// A packet leaves for the world.
    UplinkOut = 3,
    /// A packet of the host's own leaves for one of the host's own addresses, on the loopback interface.
    LocalOut = 4,
}

impl Hook {
    /// All hooks, in the order of their numbers.
    pub const ALL: [Hook; 5] = [Hook::PortIn, Hook::PortOut, Hook::UplinkIn, Hook::UplinkOut, Hook::LocalOut];

    /// Those of them where a packet may have no skb yet, in the order of their numbers.
    pub const OF_FRAMES: [Hook; 4] = [Hook::PortIn, Hook::PortOut, Hook::UplinkIn, Hook::UplinkOut];

    /// The hook of a number.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Hook {
        match number {
            0 => Hook::PortIn,
            1 => Hook::PortOut,
            2 => Hook::UplinkIn,
            3 => Hook::UplinkOut,
            _ => Hook::LocalOut,
        }
    }

    /// Whether routing is still ahead of the packet. Destinations change before it, sources after it.
    #[inline(always)]
    #[must_use]
    pub const fn is_ingress(self) -> bool {
        matches!(self, Hook::PortIn | Hook::UplinkIn)
    }

    /// Where the answers are met to a packet that is let in here: in the other direction of the same side of the host,
    /// or, for its own packets, on their way in.
    #[inline(always)]
    #[must_use]
    pub const fn opposite(self) -> Hook {
        match self {
            Hook::PortIn => Hook::PortOut,
            Hook::LocalOut => Hook::PortIn,
            Hook::PortOut => Hook::PortIn,
            Hook::UplinkIn => Hook::UplinkOut,
            Hook::UplinkOut => Hook::UplinkIn,
        }
    }

    /// The name users and other tools see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Hook::PortIn => "port_in",
            Hook::PortOut => "port_out",
            Hook::UplinkIn => "uplink_in",
            Hook::UplinkOut => "uplink_out",
            Hook::LocalOut => "local_out",
        }
    }
}
