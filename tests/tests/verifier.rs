//! How many instructions the kernel's verifier walks for each program, held to a budget: a program may grow by
//! a tenth before somebody has to say so in `budget.toml`.

use std::collections::BTreeMap;

use aya::programs::{Program, ProgramInfo};
use netlab_agent::datapath::object::{self, Sizes, Traits};
use netlab_common::abi::names;
use netlab_tests::need::need_root;
use netlab_tests::stack;

const SIZES: Sizes = Sizes {
    flows: 64,
    contacts: 8,
    forward_ports: 8,
    allow: 8,
    masquerades: 8,
    zones: 8,
    interfaces: 8,
    rules: 8,
    traits: Traits { uplink_header: 14, counting: 1 },
};

/// Instructions by program, under whatever heading.
fn budget() -> BTreeMap<String, u32> {
    let file: BTreeMap<String, BTreeMap<String, u32>> =
        toml::from_str(include_str!("../budget.toml")).expect("budget.toml is a table of numbers");
    file.into_values().flatten().collect()
}

fn load(program: &mut Program) -> ProgramInfo {
    match program {
        Program::SchedClassifier(program) => program.load().expect("the verifier takes it"),
        Program::Xdp(program) => program.load().expect("the verifier takes it"),
        other => panic!("a program of type {:?}", other.prog_type()),
    }
    program.info().expect("a loaded program has information")
}

#[test]
fn no_program_outgrows_its_budget_by_more_than_a_tenth() {
    if !need_root() {
        return;
    }
    let budget = budget();
    let mut object = object::load(&SIZES).unwrap();
    let mut faults = vec![];
    for (name, program) in object.programs_mut() {
        let walked = load(program).verified_instruction_count().expect("the kernel counts since 5.16");
        match budget.get(name) {
            None => faults.push(format!("{name} walks {walked} instructions and has no budget")),
            Some(allowed) if u64::from(walked) * 10 > u64::from(*allowed) * 11 => {
                faults.push(format!("{name} walks {walked} instructions, over a budget of {allowed}"));
            }
            Some(_) => {}
        }
    }
    assert!(
        faults.is_empty(),
        "{}\nmake them smaller, or accept it with `cargo xtask verifier --write`",
        faults.join("\n")
    );
}

#[test]
fn the_budget_names_every_program_and_no_other() {
    let mut named: Vec<_> = names::TC_PROGRAMS
        .into_iter()
        .chain(names::XDP_PROGRAMS)
        .chain(names::CROSS_PROGRAMS)
        .chain([names::SWEEP_PROGRAM])
        .collect();
    named.sort_unstable();
    assert_eq!(budget().keys().collect::<Vec<_>>(), named);
}

#[test]
fn no_program_takes_more_stack_than_the_oldest_kernel_has_for_it() {
    let depths = stack::depths(object::OBJECT).expect("the object is read");
    for name in names::TC_PROGRAMS.into_iter().chain(names::CROSS_PROGRAMS).chain([names::SWEEP_PROGRAM]) {
        let depth = depths.get(name).unwrap_or_else(|| panic!("no program {name}"));
        assert!((32..=stack::LIMIT).contains(depth), "{name} takes {depth} bytes of {}", stack::LIMIT);
        println!("{name}: {depth}");
    }
}
