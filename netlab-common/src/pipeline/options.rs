//! Headers with IP options. Two options say by which way a packet is to go: whoever sets them chooses whom the answers
//! pass, and could reach behind the NAT; routers drop them by default (RFC 7126, sections 4.3 and 4.4), and so does
//! netlab where a packet crosses the uplink. And the header's checksum is that of the options too.

use super::{Stage, arrival};
use crate::abi::hook::Hook;
use crate::abi::verdict::Verdict;
use crate::net::{checksum, ipv4};
use crate::packet::Packet;
use crate::tables::Tables;

/// Looks at the options of a packet that has some.
#[inline(always)]
pub fn options<P: Packet, T: Tables<4>>(hook: Hook, packet: &P, tables: &T) -> u32 {
    let crosses = matches!(hook, Hook::UplinkIn | Hook::UplinkOut);
    let stage = if !is_sum_right(packet, tables) {
        Stage::Verdict(arrival::malformed(hook))
    } else if crosses && is_source_routed(packet, tables) {
        Stage::Verdict(Verdict::SourceRoute)
    } else {
        Stage::Again
    };
    stage.pack()
}

/// Whether the header's checksum is right. A header is a whole number of words, fifteen at most.
#[inline(always)]
fn is_sum_right<P: Packet, T: Tables<4>>(packet: &P, tables: &T) -> bool {
    let start = packet.link_len();
    let first: [u8; 1] = packet.load(start).unwrap_or([0]);
    // The verifier must not know it afterwards by where the loop ended, or it follows what comes then once for each end.
    let words = tables.forget((first[0] & 0x0f) as u32) as usize;
    let mut sum = 0;
    let mut word = 0;
    while word < 15 && word < words {
        let Some(bytes) = packet.load::<4>(start + word * 4) else { return false };
        sum += u64::from(u32::from_ne_bytes(bytes));
        word += 1;
    }
    checksum::is_all_ones(sum)
}

/// Whether one of the options is a source route. At most forty bytes are options, and each step takes one at least.
#[inline(always)]
fn is_source_routed<P: Packet, T: Tables<4>>(packet: &P, tables: &T) -> bool {
    let start = packet.link_len();
    let first: [u8; 1] = packet.load(start).unwrap_or([0]);
    let end = ((first[0] & 0x0f) as usize) << 2;
    let mut at = ipv4::MIN_LEN;
    let mut step = 0;
    while step < 40 && at < end {
        // The mask keeps the offset within a header for the verifier.
        let Some([kind]) = packet.load::<1>(start + (at & 63)) else { return false };
        match kind {
            ipv4::OPTION_END => return false,
            ipv4::OPTION_NONE => at += 1,
            ipv4::OPTION_LOOSE_ROUTE | ipv4::OPTION_STRICT_ROUTE => return true,
            _ => {
                let Some([len]) = packet.load::<1>(start + ((at + 1) & 63)) else { return false };
                // A length that does not even cover itself is nonsense, and the receiver's to refuse.
                if len < 2 {
                    return false;
                }
                at += len as usize;
            }
        }
        // The verifier then follows each step once, and not once for each way that the steps before it can have gone.
        at = tables.forget(at as u32) as usize;
        step += 1;
    }
    false
}
