//! Prints each program's name and how many instructions the verifier went through, one pair a line: what
//! `cargo xtask verifier` compares with the budget. Loads, attaches nothing.

use anyhow::Context as _;
use aya::programs::{SchedClassifier, Xdp};
use netlab_agent::datapath::object::{self, Sizes, Traits};
use netlab_common::abi::names;

fn main() -> anyhow::Result<()> {
    let sizes = Sizes {
        flows: 64,
        contacts: 8,
        forward_ports: 8,
        allow: 8,
        masquerades: 8,
        zones: 8,
        interfaces: 8,
        rules: 8,
        traits: Traits::default(),
    };
    let mut object = object::load(&sizes).context("the object does not load")?;
    for name in names::TC_PROGRAMS.into_iter().chain([names::SWEEP_PROGRAM]) {
        let program: &mut SchedClassifier =
            object.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
        program.load().with_context(|| format!("{name} is refused"))?;
        println!("{name}\t{}", program.info()?.verified_instruction_count().unwrap_or(0));
    }
    for name in names::XDP_PROGRAMS.into_iter().chain(names::CROSS_PROGRAMS) {
        let program: &mut Xdp =
            object.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
        program.load().with_context(|| format!("{name} is refused"))?;
        println!("{name}\t{}", program.info()?.verified_instruction_count().unwrap_or(0));
    }
    Ok(())
}
