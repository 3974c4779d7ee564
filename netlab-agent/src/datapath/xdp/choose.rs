//! XDP or TC for an interface: from what is wished and what there is to what it gets, with the reason. Pure.

use super::{Lately, Way, Wish};
use crate::netlink::device::feature;

/// Up to this MTU a frame lies in one piece, in whatever driver.
const ONE_PIECE: u32 = 3000;

/// What matters of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its driver's name.
    pub driver: String,
    /// Its MTU.
    pub mtu: u32,
    /// What its driver can do for XDP, if the kernel says: bits of [`feature`].
    pub features: Option<u64>,
    /// The lab's program is on it.
    pub ours: bool,
    /// Somebody else's program is on it.
    pub held: bool,
    /// What the kernel said when the lab's program was to be attached to it.
    pub refused: Option<String>,
    /// A veth's other end.
    pub other: OtherEnd,
    /// What has come from there lately.
    pub lately: Lately,
}

/// The other end of a veth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherEnd {
    /// It is no veth.
    None,
    /// It is not in a node of the lab's.
    Foreign,
    /// It is in a node of the lab's.
    Ours {
        /// It leaves checksums undone.
        checksums: bool,
        /// It sends aggregates of TCP.
        segmentation: bool,
        /// It puts together what arrives, for which it polls.
        gro: bool,
    },
}

/// What an XDP program on a veth costs.
const COSTS: &str = "XDP costs the sockets at the other end checksum and segmentation offload: TCP has about half its throughput";
const UNSEEN: &str = "the other end is none of the lab's: what its sockets leave of checksums undone arrives wrong (`ethtool -K … tx off`)";
const IN_VAIN: &str = "XDP was asked for and cannot be had";

/// What an interface gets, why, and what is to be said against it. Reasons fit into a line beside the interface.
pub fn choose(wish: Wish, facts: Option<&Facts>) -> (Way, String, Option<&'static str>) {
    if wish == Wish::Tc {
        return (Way::Tc, "asked for".to_owned(), None);
    }
    let in_vain = (wish == Wish::Xdp).then_some(IN_VAIN);
    let Some(facts) = facts else { return (Way::Tc, "it is not there".to_owned(), in_vain) };
    let driver = &facts.driver;
    let is_native = facts.features.map(|features| features & feature::BASIC != 0);
    if facts.held {
        return (Way::Tc, "another XDP program is on it".to_owned(), in_vain);
    }
    if is_native == Some(false) {
        return (Way::Tc, format!("{driver} has no native XDP"), in_vain);
    }
    if let Some(cause) = &facts.refused {
        return (Way::Tc, format!("the kernel refuses XDP: {cause}"), in_vain);
    }
    match (wish, facts.other) {
        (Wish::Xdp, OtherEnd::None) => (Way::Xdp, "asked for".to_owned(), None),
        (Wish::Xdp, OtherEnd::Ours { .. }) => (Way::Xdp, "asked for".to_owned(), Some(COSTS)),
        (Wish::Xdp, OtherEnd::Foreign) => (Way::Xdp, "asked for".to_owned(), Some(UNSEEN)),
        (_, OtherEnd::None) if is_native.is_some() => (Way::Xdp, format!("{driver} has native XDP"), None),
        (_, OtherEnd::None) => (Way::Tc, format!("this kernel does not say if {driver} has XDP"), None),
        (_, other) => {
            let (way, why) = of_veth(other, facts.lately);
            (way, why.to_owned(), None)
        }
    }
}

fn of_veth(other: OtherEnd, lately: Lately) -> (Way, &'static str) {
    match other {
        OtherEnd::Ours { .. } if lately == Lately::Frames => {
            (Way::Xdp, "frames come from the other end, and little else")
        }
        OtherEnd::Ours { .. } if lately == Lately::Sockets => {
            (Way::Tc, "sockets at the other end send again")
        }
        OtherEnd::Ours { segmentation: true, .. } => {
            (Way::Tc, "sockets at the other end use segmentation offload")
        }
        OtherEnd::Ours { checksums: true, .. } => (Way::Tc, "sockets at the other end use checksum offload"),
        OtherEnd::Ours { gro: false, .. } => (Way::Tc, "GRO is off at the other end"),
        OtherEnd::Ours { .. } => (Way::Xdp, "the other end sends and takes plain frames"),
        OtherEnd::None | OtherEnd::Foreign => (Way::Tc, "a veth whose other end is none of the lab's"),
    }
}

/// Whether frames may be sent to an interface by another one's XDP program. What it cannot take is lost there.
pub fn takes_frames(facts: &Facts) -> bool {
    match (facts.features, facts.other) {
        (Some(features), _) => {
            let pieces = features & feature::TAKES_PIECES != 0 || facts.mtu <= ONE_PIECE;
            features & feature::TAKES_FRAMES != 0 && pieces
        }
        (None, OtherEnd::Ours { gro, .. }) => gro,
        // Before kernels say so, most drivers take frames while they run a program themselves.
        (None, OtherEnd::None) => facts.ours && facts.mtu <= ONE_PIECE,
        (None, OtherEnd::Foreign) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = feature::BASIC | feature::TAKES_FRAMES | feature::TAKES_PIECES;

    fn facts(driver: &str, features: Option<u64>, other: OtherEnd) -> Facts {
        let driver = driver.to_owned();
        let (ours, held, refused, lately) = (false, false, None, Lately::Little);
        Facts { driver, mtu: 1500, features, ours, held, refused, other, lately }
    }

    fn ours(checksums: bool, segmentation: bool, gro: bool) -> OtherEnd {
        OtherEnd::Ours { checksums, segmentation, gro }
    }

    fn way(wish: Wish, facts: &Facts) -> Way {
        let (way, why, warning) = choose(wish, Some(facts));
        assert!(why.len() <= 53, "{why} does not fit into a line");
        assert!(warning.is_none() || wish == Wish::Xdp, "nobody asked for {warning:?}");
        way
    }

    #[test]
    fn auto_takes_xdp_where_it_costs_nothing() {
        let auto = |features, other| way(Wish::Auto, &facts("virtio_net", features, other));
        assert_eq!(auto(Some(ALL), OtherEnd::None), Way::Xdp);
        assert_eq!(auto(Some(0), OtherEnd::None), Way::Tc);
        assert_eq!(auto(None, OtherEnd::None), Way::Tc);
        for features in [Some(ALL), None] {
            assert_eq!(auto(features, OtherEnd::Foreign), Way::Tc);
            assert_eq!(auto(features, ours(true, true, true)), Way::Tc);
            assert_eq!(auto(features, ours(true, false, true)), Way::Tc);
            assert_eq!(auto(features, ours(false, false, false)), Way::Tc);
            assert_eq!(auto(features, ours(false, false, true)), Way::Xdp);
        }
    }

    #[test]
    fn auto_goes_by_what_comes_and_leaves_to_sockets_what_is_theirs() {
        let veth = |lately, other| Facts { lately, ..facts("veth", Some(ALL), other) };
        let sockets = ours(true, true, true);
        assert_eq!(way(Wish::Auto, &veth(Lately::Frames, sockets)), Way::Xdp);
        assert_eq!(way(Wish::Auto, &veth(Lately::Sockets, ours(false, false, true))), Way::Tc);
        assert_eq!(way(Wish::Auto, &veth(Lately::Frames, OtherEnd::Foreign)), Way::Tc);
        assert_eq!(way(Wish::Tc, &veth(Lately::Frames, sockets)), Way::Tc);
    }

    #[test]
    fn a_wish_for_xdp_is_met_where_it_can_be_and_its_price_is_said() {
        let ask = |facts: &Facts| choose(Wish::Xdp, Some(facts));
        let veth = facts("veth", Some(ALL), ours(true, true, false));
        assert_eq!(ask(&veth), (Way::Xdp, "asked for".to_owned(), Some(COSTS)));
        let foreign = facts("veth", Some(ALL), OtherEnd::Foreign);
        assert_eq!(ask(&foreign).2, Some(UNSEEN));
        let card = facts("virtio_net", None, OtherEnd::None);
        assert_eq!(ask(&card), (Way::Xdp, "asked for".to_owned(), None));
        let bridge = facts("bridge", Some(0), OtherEnd::None);
        let held = Facts { held: true, ..card.clone() };
        let refused = Facts { refused: Some("Device or resource busy".to_owned()), ..card };
        for facts in [bridge, held, refused] {
            assert_eq!((way(Wish::Xdp, &facts), ask(&facts).2), (Way::Tc, Some(IN_VAIN)));
            assert_eq!(way(Wish::Auto, &facts), Way::Tc);
        }
        assert_eq!(choose(Wish::Xdp, None).0, Way::Tc);
    }

    #[test]
    fn a_wish_for_tc_is_met_anywhere() {
        let card = facts("virtio_net", Some(ALL), OtherEnd::None);
        assert_eq!(choose(Wish::Tc, Some(&card)), (Way::Tc, "asked for".to_owned(), None));
        assert_eq!(choose(Wish::Tc, None).0, Way::Tc);
    }

    #[test]
    fn frames_go_to_whoever_takes_them_as_large_as_they_may_be() {
        let card = facts("virtio_net", Some(feature::BASIC | feature::TAKES_FRAMES), OtherEnd::None);
        assert!(takes_frames(&card));
        assert!(!takes_frames(&Facts { mtu: 9000, ..card.clone() }));
        assert!(takes_frames(&Facts { mtu: 9000, features: Some(ALL), ..card.clone() }));
        assert!(!takes_frames(&Facts { features: Some(feature::BASIC), ..card.clone() }));
        let old = Facts { features: None, ..card };
        assert!(!takes_frames(&old));
        assert!(takes_frames(&Facts { ours: true, ..old.clone() }));
        assert!(takes_frames(&Facts { other: ours(true, true, true), ..old.clone() }));
        assert!(!takes_frames(&Facts { other: ours(false, false, false), ..old.clone() }));
        assert!(!takes_frames(&Facts { other: OtherEnd::Foreign, ..old }));
    }
}
