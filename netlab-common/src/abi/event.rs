//! What happens to flows rather than to packets, counted: how they end, and what was done to make room.

macro_rules! events {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// Something that happened to a flow, or for one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Event { $($(#[doc = $doc])* $variant = $number,)* }

        impl Event {
            /// All events, in the order of their numbers.
            pub const ALL: &'static [Event] = &[$(Event::$variant,)*];

            /// The name users and other tools see; stable.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Event::$variant => $name,)* }
            }

            /// One sentence on what happened, the same as in this file.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self { $(Event::$variant => concat!($($doc),*),)* }
            }
        }
    };
}

events! {
    /// A flow was taken away because its time was up.
    Expired = 0, "expired";
    /// A flow that was over or not yet assured made room for a new one, because the table was full.
    Evicted = 1, "evicted";
    /// A user ended a flow.
    Removed = 2, "removed";
    /// A flow ended because its external address is not the host's any more.
    AddressGone = 3, "address_gone";
    /// A flow ended because its forward was taken away.
    RuleGone = 4, "rule_gone";
    /// Two packets opened the same flow at once, and the later one joined the earlier one's.
    Joined = 5, "joined";
    /// A refusal was answered with ICMP.
    Answered = 6, "answered";
    /// A refusal was not answered, because one was answered a moment before.
    AnswerHeld = 7, "answer_held";
    /// No port was free for any remote in the bitmap, so all ports were tried for this one.
    PortScan = 8, "port_scan";
    /// A fragment that waited went on, because the first one of its datagram had come.
    FragmentReleased = 9, "fragment_released";
    /// A fragment that waited was given up: the first one of its datagram did not come in time.
    FragmentLost = 10, "fragment_lost";
    /// A fragment came before the first one of its datagram, and there was no place for it to wait.
    FragmentUnkept = 11, "fragment_unkept";
}

/// Length of the event counters.
pub const EVENTS: u32 = Event::ALL.len() as u32;
