//! What a lab file may say about how packets cross the host. Which of it can be had is seen on the machine.

use serde::{Deserialize, Serialize};

/// Where packets that come in at an interface are translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Datapath {
    /// At XDP where that costs nothing, else at TC.
    #[default]
    Auto,
    /// As socket buffers, at TC.
    Tc,
    /// Established flows as frames, at XDP; everything else at TC.
    Xdp,
}

impl Datapath {
    /// The words of the lab file.
    pub const WORDS: [(&'static str, Datapath); 3] =
        [("auto", Datapath::Auto), ("tc", Datapath::Tc), ("xdp", Datapath::Xdp)];
}

/// Whether packets of established flows pass by the host's stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Bypass {
    /// Unless something in the host's stack wants to see them.
    #[default]
    Auto,
    /// Whatever is there.
    Always,
    /// Not at all: every packet goes by the host's stack.
    Never,
}

impl Bypass {
    /// The words of the lab file.
    pub const WORDS: [(&'static str, Bypass); 3] =
        [("auto", Bypass::Auto), ("always", Bypass::Always), ("never", Bypass::Never)];
}
