//! The program that takes away flows whose time is up. It is attached to nothing: the agent runs it, slice by
//! slice, on a frame that tells which slots to look at. Because it runs in the kernel to its end, an agent that
//! is killed leaves no flow half taken away.

use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use netlab_common::abi::port::{Order, Swept};
use netlab_common::conntrack::end::Sweep;
use netlab_common::packet::Packet;
use netlab_common::tables::{Env, Tables};

use crate::atomic;
use crate::env::KernelEnv;
use crate::maps::PULSE;
use crate::tables::MapTables;
use crate::tc::TcPacket;

/// Sweeps the slots that the frame names; gives a [`Swept`].
#[classifier]
#[expect(clippy::needless_pass_by_value, reason = "the macro gives the context by value")]
pub fn nl_sweep(context: TcContext) -> i32 {
    let packet = TcPacket::new(context.skb.skb);
    let Some(bytes) = packet.load::<{ Order::FRAME_LEN }>(0) else { return -1 };
    let Some(order) = Order::from_frame(&bytes) else { return -1 };
    let env = KernelEnv::of_skb(context.skb.skb);
    let now = MapTables.now(&env);
    if let Some(pulse) = PULSE.get_ptr_mut(0) {
        // SAFETY: the pointer is to a whole aligned entry.
        unsafe { atomic::exchange(&raw mut (*pulse).swept, now) };
    }
    let mut sweep = Sweep::from(order.first, now);
    env.search(&MapTables, order.count, &mut sweep);
    Swept::new(sweep.ended, sweep.stayed).0 as i32
}
